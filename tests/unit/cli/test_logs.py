"""`logs` against answers written down beforehand: text for people, objects for programs, and the end of following."""

from __future__ import annotations

import json

import pytest

from support.canned import Canned
from support.sse import stream_of
from unit.cli.conftest import Run

EVENTS = "text/event-stream; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
DONE = (99, "status", {"status": "completed"})


@pytest.fixture(autouse=True)
def at(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_URL", server.url)


@pytest.mark.parametrize(
    ("log", "shown"), [("one\ntwo\n", "one\ntwo\n"), ("no end", "no end\n"), ("", ""), ("ä 🌸\n", "ä 🌸\n")]
)
def test_the_log_is_shown_as_it_is(run: Run, server: Canned, log: str, shown: str) -> None:
    server.will_send(log.encode(), TEXT)
    ended = run("logs", "iris", "w-1")
    assert (ended.status, ended.out, ended.err) == (0, shown, "")
    assert server.asked[0].line == "GET /iris/w-1/logs"


def test_one_attempts_log(run: Run, server: Canned) -> None:
    server.will_send(b"two\n", TEXT)
    assert run("logs", "iris", "w-1", "--attempt", "2").out == "two\n"
    assert server.asked[0].line == "GET /iris/w-1/logs?attempt=2"


def test_for_a_program_it_is_an_object(run: Run, server: Canned) -> None:
    server.will_send(b"one\n", TEXT)
    assert json.loads(run("--json", "logs", "iris", "w-1").out) == {"id": "w-1", "log": "one\n"}


def test_followed_it_goes_on_to_the_end_over_a_broken_connection(run: Run, server: Canned) -> None:
    server.will_send(stream_of((1, "status", {"status": "in_progress"}), (2, "log", {"line": 1, "text": "o"})), EVENTS)
    server.will_send(
        stream_of(
            (3, "log", {"line": 1, "text": "ne\n"}),
            (4, "progress", {"fraction": 0.5, "message": None}),
            (5, "log", {"line": 10, "text": "ten\n"}),
            (6, "log", {"line": 1, "text": "again\n", "attempt": 2}),
            DONE,
        ),
        EVENTS,
    )
    ended = run("logs", "iris", "w-1", "-f")
    assert (ended.status, ended.out) == (0, "one\n… 8 lines left out\nten\n── attempt 2 ──\nagain\n")
    assert server.asked[1].headers["last-event-id"] == "2"


def test_followed_by_a_program_and_of_one_attempt(run: Run, server: Canned) -> None:
    said = (5, "log", {"line": 1, "text": "one\n"}), (6, "log", {"line": 1, "text": "two\n", "attempt": 2})
    server.will_send(stream_of(*said, DONE), EVENTS)
    ended = run("--json", "logs", "iris", "w-1", "-f", "--attempt", "2")
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"id": "w-1", "attempt": 2, "at": None, "line": 1, "text": "two\n"}
    ]


@pytest.mark.parametrize("option", [(), ("-f",)])
def test_what_is_not_there_is_said(run: Run, server: Canned, option: tuple[str, ...]) -> None:
    server.will_refuse(404, "unknown_workload", "iris has no workload w-1")
    ended = run("logs", "iris", "w-1", *option)
    assert (ended.status, ended.out, ended.err) == (1, "", "ringback: iris has no workload w-1\n")


@pytest.mark.parametrize("option", [(), ("-f",)])
def test_another_kind_of_server_is_noticed(run: Run, server: Canned, option: tuple[str, ...]) -> None:
    server.will_send(b"<html>hello</html>", "text/html")
    ended = run("logs", "iris", "w-1", *option)
    assert ended.status == 1
    assert "another server?" in ended.err or "no Ringback answers" in ended.err
