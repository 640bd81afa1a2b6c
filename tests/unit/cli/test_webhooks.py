"""`deliveries` against answers written down beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.canned import Canned
from unit.cli.conftest import Run

DELIVERY: dict[str, Any] = {
    "id": "dlv_7",
    "endpoint": "iris",
    "url": "http://receiver.test/hook",
    "api": "iris",
    "workload": "w-1",
    "webhook_id": "msg_1",
    "event": "completed",
    "sequence": 1,
    "order_key": None,
    "behind": None,
    "holds_up": 0,
    "state": "parked",
    "at_rest": None,
    "tripped": False,
    "reason": "all 10 attempts failed; the last one answered 500",
    "tries": 1,
    "created_at": "2026-01-31T12:00:00.123456+00:00",
    "due_at": None,
    "settled_at": "2026-02-03T15:35:05.000000+00:00",
}
ATTEMPT = {
    "number": 1,
    "started_at": "2026-01-31T12:00:00.200000+00:00",
    "duration_ms": 12.34,
    "outcome": "status",
    "unknown": False,
    "status": 500,
    "detail": "answered 500: oops",
    "address": "192.0.2.1:80",
    "phases_ms": {"dns": None, "connect": 2.25, "wait": 10.0, "read": None},
}
WHOLE = {**DELIVERY, "attempts": [ATTEMPT]}


def test_deliveries_are_listed_for_people_and_for_machines(server: Canned, run: Run) -> None:
    server.will_say({"deliveries": [DELIVERY], "cursor": "abc"})
    told = run("deliveries", "list", "--endpoint", "iris", "--state", "parked", "--url", server.url)
    assert server.asked[0].line == "GET /-/deliveries?endpoint=iris&state=parked&limit=20"
    assert told.out.splitlines()[1].split() == [
        "dlv_7",
        "2026-01-31T12:00:00",
        "iris",
        "completed",
        "parked",
        "1",
        "w-1",
    ]
    assert told.err == "more: --cursor abc\n"
    assert json.loads(run("--json", "deliveries", "list", "--url", server.url).out) == DELIVERY


def test_one_that_tries_an_endpoint_out_is_told_as_that(server: Canned, run: Run) -> None:
    server.will_say({**WHOLE, "api": "-"})
    told = run("deliveries", "show", "dlv_7", "--url", server.url)
    assert told.out.splitlines()[0] == "dlv_7  parked  completed of a trial"


def test_a_delivery_tells_its_story(server: Canned, run: Run) -> None:
    server.will_say(WHOLE)
    told = run("deliveries", "show", "dlv_7", "--url", server.url)
    assert server.asked[0].line == "GET /-/deliveries/dlv_7"
    assert told.out.splitlines() == [
        "dlv_7  parked  completed of iris w-1",
        "  to iris, http://receiver.test/hook",
        "  webhook-id msg_1",
        "    1  2026-01-31T12:00:00      12.3 ms  status 500: answered 500: oops",
        "       connect 2.2, wait 10.0 ms",
        "  parked: all 10 attempts failed; the last one answered 500",
    ]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"behind": "dlv_3"}, "parked, behind dlv_3"),
        ({"holds_up": 4}, "parked, holds up 4"),
        ({"state": "pending", "at_rest": "answered 410"}, "pending, at rest"),
        ({"state": "pending", "tripped": True}, "pending, endpoint tripped"),
    ],
)
def test_a_delivery_in_line_says_where_it_stands(place: dict[str, Any], words: str, server: Canned, run: Run) -> None:
    server.will_say({**WHOLE, **place})
    assert words in run("deliveries", "show", "dlv_7", "--url", server.url).out.splitlines()[0]


def test_a_replay_and_a_recovery(server: Canned, run: Run) -> None:
    server.will_say({**WHOLE, "state": "pending"}, {"endpoint": "iris", "recovered": 12}, WHOLE)
    assert run("deliveries", "replay", "dlv_7", "--url", server.url).out.startswith("dlv_7 will be sent again to http")
    told = run("deliveries", "recover", "iris", "--since", "2h", "--url", server.url)
    assert told.out == "12 deliveries to iris will be sent again\n"
    assert run("deliveries", "skip", "dlv_7", "--url", server.url).out.startswith("dlv_7 stands aside")
    assert [each.line for each in server.asked] == [
        "POST /-/deliveries/dlv_7/replay",
        "POST /-/deliveries/recover",
        "POST /-/deliveries/dlv_7/skip",
    ]
    assert json.loads(server.asked[1].body) == {"endpoint": "iris", "since": "2h"}


def test_an_answer_that_is_no_object_is_said_to_be_none_of_ours(server: Canned, run: Run) -> None:
    server.will_say(["what"])
    told = run("deliveries", "list", "--url", server.url)
    assert (told.status, told.err.startswith("ringback: the server answered with something else")) == (1, True)


def test_a_delivery_that_may_have_arrived_or_that_waits_says_so(server: Canned, run: Run) -> None:
    attempt = {**ATTEMPT, "outcome": "reset", "unknown": True, "status": None, "detail": "the connection broke"}
    waiting = {"state": "pending", "reason": None, "at_rest": "the receiver answered 410 Gone"}
    probed = {"state": "pending", "reason": None, "tripped": True}
    due = {**WHOLE, "due_at": "2026-01-31T12:00:00+00:00", "attempts": [attempt]}
    server.will_say({**due, **waiting}, {**due, **probed})
    lines = run("deliveries", "show", "dlv_7", "--url", server.url).out.splitlines()
    assert lines[3].endswith("reset: the connection broke; whether it arrived is unknown")
    assert lines[-1] == "  waits for its endpoint to be enabled: the receiver answered 410 Gone"
    *_, last = run("deliveries", "show", "dlv_7", "--url", server.url).out.splitlines()
    assert last == "  next attempt at 2026-01-31T12:00:00, once its endpoint works again: it fails, and is probed"
