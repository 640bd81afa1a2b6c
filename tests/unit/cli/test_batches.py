"""`submit --batch` and `batches` against answers written down beforehand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from support.canned import Canned
from unit.cli.conftest import Run

COUNTS = {"in_queue": 0, "in_progress": 0, "completed": 2, "failed": 1, "canceled": 0, "total": 3}
BATCH = {
    "batch": "b-1",
    "api": "iris",
    "status": "completed",
    "counts": COUNTS,
    "submitted_at": "2026-01-31T12:00:00.123456+00:00",
    "finished_at": "2026-01-31T12:00:01.123456+00:00",
}
RUNNING = BATCH | {"status": "in_progress", "counts": COUNTS | {"in_queue": 3, "completed": 0, "failed": 0}}
ACCEPTED = {"batch": "b-1", "ids": ["1", "2", "3"]}


@pytest.fixture(autouse=True)
def at(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_URL", server.url)


def test_a_file_is_submitted_as_it_stands(run: Run, server: Canned, folder: Path) -> None:
    (folder / "names.ndjson").write_bytes(b'1\n\n{"a": 2}\n3')
    server.will_say(ACCEPTED, RUNNING)
    ended = run("submit", "iris", "--batch", "names.ndjson", "--idempotency-key", "k", "--tenant", "navy")
    assert (ended.status, ended.out) == (0, "b-1\n")
    first = server.asked[0]
    assert (first.line, first.body) == ("POST /iris", b'1\n\n{"a": 2}\n3')
    sent = {name: first.headers[name] for name in ("content-type", "ringback-batch", "idempotency-key")}
    assert sent == {"content-type": "application/x-ndjson", "ringback-batch": "true", "idempotency-key": "k"}
    assert first.headers["ringback-tenant"] == "navy"


def test_so_is_standard_input(run: Run, server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n3\n")))
    server.will_say(ACCEPTED, RUNNING)
    assert json.loads(run("submit", "iris", "--batch", "-", "--json").out) == {"batch": "b-1", "total": 3}
    assert server.asked[0].body == b"1\n2\n3\n"


def test_waiting_ends_with_the_counts_and_fails_with_one_of_them(run: Run, server: Canned, folder: Path) -> None:
    (folder / "n").write_bytes(b"1\n2\n3\n")
    server.will_say(ACCEPTED, RUNNING, RUNNING, BATCH)
    ended = run("submit", "iris", "--batch", "n", "--wait")
    assert (ended.status, ended.out) == (1, "b-1  2 completed, 1 failed; 3 in all\n")
    server.answers.clear()
    server.will_say(ACCEPTED, BATCH | {"counts": COUNTS | {"completed": 3, "failed": 0}})
    assert run("submit", "iris", "--batch", "n", "--wait", "--timeout", "5").status == 0


def test_waiting_has_its_time(run: Run, server: Canned, folder: Path) -> None:
    (folder / "n").write_bytes(b"1\n")
    server.will_say(ACCEPTED, RUNNING)
    ended = run("submit", "iris", "--batch", "n", "--wait", "--timeout", "0.05")
    assert (ended.status, ended.err) == (1, "ringback: batch b-1 has not ended within 0.05 s\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "name the payload with --data, or a file of many with --batch"),
        (("--batch", "none.ndjson"), "none.ndjson cannot be read: no such file"),
        (("--batch", "-", "-d", "1"), "goes without --data"),
        (("--batch", "-", "--id", "mine"), "goes without --data"),
        (("--batch", "-", "--content-type", "text/plain"), "goes without --data"),
    ],
)
def test_what_does_not_go_together_is_said(options: tuple[str, ...], words: str, run: Run, server: Canned) -> None:
    ended = run("submit", "iris", *options)
    assert ended.status == 2
    assert words in ended.err
    assert server.asked == []


def test_a_bad_line_is_named(run: Run, server: Canned, folder: Path) -> None:
    (folder / "n").write_bytes(b"1\nx\n")
    server.will_refuse(400, "invalid_payload", "line 2 is not JSON: …; nothing of the batch was taken in")
    ended = run("submit", "iris", "--batch", "n")
    assert (ended.status, ended.err.startswith("ringback: line 2 is not JSON")) == (1, True)


def test_list_shows_batches_and_where_there_is_more(run: Run, server: Canned) -> None:
    server.will_say({"batches": [BATCH], "cursor": "c"})
    ended = run("batches", "list", "--api", "iris", "--limit", "1")
    header, row = ended.out.splitlines()
    assert header.split() == ["batch", "api", "status", "total", "completed", "failed", "canceled", "submitted"]
    assert row.split() == ["b-1", "iris", "completed", "3", "2", "1", "0", "2026-01-31", "12:00:00"]
    assert ended.err == "more: --cursor c\n"
    assert json.loads(run("batches", "list", "--json").out) == BATCH
    assert server.asked[0].line == "GET /-/batches?api=iris&limit=1"
    server.answers.clear()
    server.will_say({"batches": [], "cursor": None})
    assert run("batches", "list").out == "no batches\n"


def test_show_tells_one(run: Run, server: Canned) -> None:
    server.will_say(BATCH, BATCH, RUNNING | {"finished_at": None})
    assert run("batches", "show", "b-1").out == (
        "b-1  completed  of iris\n  2 completed, 1 failed; 3 in all\n"
        "  submitted 2026-01-31 12:00:00\n  over 2026-01-31 12:00:01\n"
    )
    assert json.loads(run("batches", "show", "b-1", "--json").out) == BATCH
    assert "3 in queue; 3 in all\n  submitted" in run("batches", "show", "b-1").out


def test_results_come_line_by_line(run: Run, server: Canned) -> None:
    server.will_send('{"id":"1","result":"é"}\n{"id":"2"}\n'.encode(), "application/x-ndjson")
    assert run("batches", "results", "b-1").out == '{"id": "1", "result": "é"}\n{"id": "2"}\n'
    assert server.asked[0].line == "GET /-/batches/b-1/results"
