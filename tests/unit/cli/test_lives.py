"""`cancel`, `retry`, `erase` and `attempts` against answers written down beforehand."""

from __future__ import annotations

import json

import pytest

from support.canned import Canned
from unit.cli.conftest import Run

RUNNING = {"id": "w-1", "status": "in_progress"}
CANCELED = {"id": "w-1", "status": "canceled"}
QUEUED = {"id": "w-1", "status": "in_queue"}
DONE = {"id": "w-1", "status": "completed", "result": 7, "timestamp": "2026-01-31T12:00:00+00:00"}
FAILED_ATTEMPT = {
    "number": 1,
    "started_at": "2026-01-31T12:00:00.123456+00:00",
    "ended_at": "2026-01-31T12:00:01.123456+00:00",
    "ran_seconds": 1.0,
    "ended": "failed",
    "error": {"type": "ValueError", "message": "no petals"},
}
QUEUE_END = {"number": None, "started_at": None, "ended_at": "x", "ran_seconds": None, "ended": "canceled"}


@pytest.fixture(autouse=True)
def at(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_URL", server.url)


def lines(server: Canned) -> list[str]:
    return [asked.line for asked in server.asked]


def test_cancel_says_what_has_become_of_it(run: Run, server: Canned) -> None:
    server.will_say(CANCELED, RUNNING)
    assert run("cancel", "iris", "w-1").out == "w-1  canceled\n"
    assert run("cancel", "iris", "w-1").out == "w-1  is told to stop\n"
    assert json.loads(run("cancel", "iris", "w-1", "--json").out) == RUNNING
    assert lines(server) == ["POST /iris/w-1/cancel"] * 3


def test_cancel_waits_for_the_end_when_told_to(run: Run, server: Canned) -> None:
    server.will_say(RUNNING, RUNNING, CANCELED, CANCELED)
    ended = run("cancel", "iris", "w-1", "--wait")
    assert (ended.status, ended.out) == (0, "w-1  canceled\n")
    assert lines(server)[0] == "POST /iris/w-1/cancel"


def test_retry_says_that_it_waits_or_waits_itself(run: Run, server: Canned) -> None:
    server.will_say(QUEUED, QUEUED, RUNNING, DONE)
    assert run("retry", "iris", "w-1").out == "w-1  in_queue\n"
    assert run("retry", "iris", "w-1", "--wait").out == "w-1  completed\n7\n"
    assert lines(server)[:2] == ["POST /iris/w-1/retry"] * 2


def test_waiting_for_one_that_is_canceled_is_a_failure(run: Run, server: Canned) -> None:
    server.will_say(QUEUED, CANCELED)
    assert run("retry", "iris", "w-1", "--wait").status == 1


def test_erase(run: Run, server: Canned) -> None:
    server.will_say({"id": "w-1", "erased": True})
    assert run("erase", "iris", "w-1").out == "w-1  erased\n"
    assert lines(server) == ["DELETE /iris/w-1"]


def test_attempts_are_told_one_a_line(run: Run, server: Canned) -> None:
    both = {"attempts": [FAILED_ATTEMPT, QUEUE_END]}
    server.will_say(both, both, {"attempts": []})
    shown = run("attempts", "iris", "w-1").out.splitlines()
    assert shown[1].split() == ["1", "2026-01-31", "12:00:00", "1.000", "failed", "ValueError:", "no", "petals"]
    assert shown[2].split() == ["canceled"]
    told = [json.loads(line) for line in run("--json", "attempts", "iris", "w-1").out.splitlines()]
    assert told == [FAILED_ATTEMPT, QUEUE_END]
    assert run("attempts", "iris", "w-1").out == "no attempt yet\n"
    assert lines(server) == ["GET /-/workloads/w-1?api=iris"] * 3
