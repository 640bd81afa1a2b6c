"""`ringback store` from the command line: what is asked for wrongly, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.store.sqlite.opening import prepare


def told(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["store", *arguments], env={"RINGBACK_STORE": ""})
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("move",), "--to: name the database"),
        (("move", "--to", "sqlite:///other.db"), "--to: name the database"),
        (("move", "--to", "mysql://host/db"), "--to: 'mysql' is no store"),
        (
            ("move", "--from", "postgresql://host/db", "--to", "postgresql://host/other"),
            "--from: only a store in a file",
        ),
        (("move", "--undo", "--to", "postgresql://host/db"), "--undo takes no --to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_asked_for_wrongly_is_told_with_status_2(arguments: tuple[str, ...], words: str) -> None:
    status, output = told(*arguments)
    assert (status, words in output) == (2, True), output


def test_undo_of_a_store_that_has_not_moved_says_so(tmp_path: Path) -> None:
    file = prepare(tmp_path / "ringback.db")
    status, output = told("move", "--from", f"sqlite:///{file}", "--undo")
    assert (status, output) == (0, f"sqlite:///{file} had not moved; it can be served from here\n")
    done = CliRunner().invoke(app, ["--json", "store", "move", "--from", f"sqlite:///{file}", "--undo"])
    assert json.loads(done.output) == {"source": f"sqlite:///{file}", "undone": False}
