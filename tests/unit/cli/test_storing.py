"""`ringback store` from the command line: what is asked for wrongly, and what is said."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.core.errors import StoreError
from ringback.store.sqlite.opening import FRAGMENTS, prepare
from ringback.store.statements import migrations

STEPS = migrations(FRAGMENTS)


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


def test_migrate_says_what_it_takes_and_takes_it_once(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/ringback.db"
    status, output = told("migrate", "--store", place, "--dry-run")
    assert (status, output.splitlines()[:2]) == (0, [f"{place} has schema 0; to take to {len(STEPS)}:", "  0001_first"])
    assert not (tmp_path / "ringback.db").exists()
    status, output = told("migrate", "--store", place)
    assert (status, output.splitlines()[0]) == (0, f"{place} brought from schema 0 to {len(STEPS)}:")
    assert told("migrate", "--store", place) == (0, f"{place} is up to date (schema {len(STEPS)})\n")


def test_migrate_refuses_what_is_not_ours(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE t (a)")
    done = CliRunner().invoke(app, ["store", "migrate", "--store", f"sqlite:///{tmp_path}/theirs.db"])
    assert isinstance(done.exception, StoreError)
    assert "a database of another program" in str(done.exception)
