"""`ringback store` from the command line: what is asked for wrongly, and what is said."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.core.clock import HandWound
from ringback.core.errors import StoreError
from ringback.store.sqlite import open_sqlite
from ringback.store.sqlite.opening import FRAGMENTS, prepare
from ringback.store.statements import migrations
from support.stores import submission

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


async def _stored(path: Path) -> None:
    store = await open_sqlite(path, clock=HandWound())
    await store.submit(submission(workload_id="w1", payload=b'{"a":1}'))
    await store.submit(submission(workload_id="w2", api="other"))
    await store.close()


@pytest.fixture
def stored(tmp_path: Path) -> str:
    asyncio.run(_stored(tmp_path / "ringback.db"))
    return f"sqlite:///{tmp_path}/ringback.db"


def test_check_says_what_is_wrong_its_cure_and_ends_with_1(stored: str) -> None:
    assert told("check", "--store", stored) == (0, "nothing is wrong\n")
    with closing(sqlite3.connect(stored.removeprefix("sqlite:///"), isolation_level=None)) as tables:
        tables.execute("UPDATE tallies SET unfinished = 7 WHERE api = 'iris'")
    status, output = told("check", "--store", stored)
    first, cure, last = output.splitlines()
    assert (status, last) == (1, "1 problem")
    assert first.startswith("problem: 1 counts of unfinished workloads differ from the workloads themselves (API iris)")
    assert cure.startswith(
        "  cure: stop all servers; then for that API: DELETE FROM tallies WHERE api = 'iris', and INSERT"
    )
    done = CliRunner().invoke(app, ["--json", "store", "check", "--store", stored])
    assert (done.exit_code, json.loads(done.output)["finding"]) == (1, "tallies")


def test_export_writes_lines_to_standard_output_or_a_file(stored: str, tmp_path: Path) -> None:
    status, output = told("export", "--store", stored, "--api", "iris", "--with-data")
    head, workload, end = [json.loads(line) for line in output.splitlines()]
    assert (status, head) == (0, {"kind": "export", "format": 1, "store": stored})
    assert (workload["id"], workload["payload"]) == ("w1", {"text": '{"a":1}'})
    assert end == {"kind": "end", "workload": 1, "attempt": 0, "delivery": 0, "delivery_attempt": 0}
    assert told("export", "--store", stored, "-o", str(tmp_path / "all.ndjson")) == (0, "")
    assert len((tmp_path / "all.ndjson").read_text().splitlines()) == 4
    assert not (tmp_path / "all.ndjson.part").exists()
    status, output = told("export", "--store", stored, "-o", str(tmp_path / "none" / "all.ndjson"))
    assert (status, "cannot be written: no such file or directory" in output) == (2, True)


def test_export_of_an_api_that_has_nothing_says_so_beside_its_lines(stored: str) -> None:
    done = CliRunner().invoke(app, ["store", "export", "--store", stored, "--api", "iris", "--api", "irsi"])
    assert (done.exit_code, done.stderr) == (0, "nothing there of irsi\n")
    assert len(done.stdout.splitlines()) == 3
