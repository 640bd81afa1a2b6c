"""`cancel` and `retry` of many: how many is said before anything is done."""

from __future__ import annotations

import json
import os
import signal
from typing import SupportsIndex

import pytest

from support.canned import Canned
from unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def at(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_URL", server.url)


def asked(server: Canned) -> list[tuple[str, object]]:
    return [(each.line.removeprefix("POST /-/workloads/"), json.loads(each.body)) for each in server.asked]


def swept(changed: int, cursor: str | None = None, **more: object) -> dict[str, object]:
    return {"changed": changed, "cursor": cursor, "wait_seconds": None, **more}


def test_a_batch_is_canceled_once_it_is_agreed_to(run: Run, server: Canned) -> None:
    server.will_say({"matched": 1_200, "cursor": None}, swept(1_000, "c", stopping=1), swept(200, stopping=1))
    ended = run("cancel", "--batch", "b-1", "--yes")
    assert (ended.status, ended.out) == (0, "1,200 workloads canceled, 2 of them told to stop\n")
    assert asked(server) == [
        ("cancel", {"batch": "b-1", "dry_run": True}),
        ("cancel", {"batch": "b-1"}),
        ("cancel", {"batch": "b-1", "cursor": "c"}),
    ]


def test_every_option_is_a_condition(run: Run, server: Canned) -> None:
    server.will_say({"matched": 1, "cursor": None}, swept(1))
    options = ("--status", "failed", "--tenant", "navy", "--since", "2h", "--before", "1h", "--words", "disk")
    ended = run("retry", "--api", "iris", *options, "-y", "--json")
    assert json.loads(ended.out) == {"changed": 1}
    which = {"api": "iris", "status": "failed", "tenant": "navy", "since": "2h", "before": "1h", "q": "disk"}
    assert asked(server)[1] == ("retry", which)


def test_the_api_may_stand_where_it_always_does(run: Run, server: Canned) -> None:
    server.will_say({"matched": 3, "cursor": None})
    ended = run("retry", "iris", "--status", "failed", "--dry-run")
    assert (ended.status, ended.out) == (0, "3 workloads would be in the queue again\n")
    assert asked(server) == [("retry", {"api": "iris", "status": "failed", "dry_run": True})]


def test_nothing_is_done_without_a_yes(run: Run, server: Canned) -> None:
    server.will_say({"matched": 40, "cursor": None})
    ended = run("cancel", "--api", "iris")
    assert (ended.status, ended.out) == (2, "")
    assert "40 workloads would be canceled; to do it, say --yes" in ended.err
    assert len(server.asked) == 1


def test_where_there_is_nothing_nobody_is_asked(run: Run, server: Canned) -> None:
    server.will_say({"matched": 0, "cursor": None}, swept(0))
    assert run("retry", "--status", "canceled").out == "0 workloads in the queue again\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cancel",), "name the API and the workload's ID"),
        (("cancel", "iris"), "name the API and the workload's ID"),
        (("retry", "iris", "--yes"), "name the API and the workload's ID"),
        (("retry", "iris", "w-1", "--status", "failed"), "w-1 is one workload"),
        (("cancel", "iris", "w-1", "--dry-run"), "w-1 is one workload"),
        (("cancel", "--batch", "b", "--wait"), "--wait is for one workload"),
        (("cancel", "iris", "--api", "rose"), "name one"),
    ],
)
def test_what_is_not_clear_is_not_done(arguments: tuple[str, ...], words: str, run: Run, server: Canned) -> None:
    ended = run(*arguments)
    assert ended.status == 2
    assert words in ended.err
    assert server.asked == []


def test_it_can_be_broken_off_and_says_how_far_it_came(run: Run, server: Canned) -> None:
    class Interrupting(list[tuple[int, object]]):
        """The user loses patience while the third answer is waited for."""

        def pop(self, at: SupportsIndex = -1) -> tuple[int, object]:
            if len(self) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return super().pop(at)

    server.will_say({"matched": 900, "cursor": None}, swept(400, "c"), *[swept(0, "c")] * 2)
    server.answers = Interrupting(server.answers)
    ended = run("cancel", "--api", "iris", "--yes")
    assert (ended.status, ended.out.startswith("400 workloads canceled; broken off")) == (1, True)


def test_a_refusal_is_told(run: Run, server: Canned) -> None:
    server.will_refuse(400, "invalid_payload", "since='soon' is no moment")
    ended = run("cancel", "--since", "soon", "--yes")
    assert (ended.status, ended.err) == (1, "ringback: since='soon' is no moment\n")
