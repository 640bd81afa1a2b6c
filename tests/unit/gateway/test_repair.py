"""Deliveries found, explained and sent again, over HTTP."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.delivery import Attempt, AttemptClass, Delivered, Park, Pause, PauseKind, Trace, Verdict
from ringback.core.spec import Order
from ringback.core.workload import Completed
from ringback.gateway.repair import _PORTION
from ringback.store.sqlite import SqliteStore
from support.asgi import Answer, Caller
from support.stores import claim_one, submission
from unit.gateway.conftest import IRIS

SPENT = Park(reason="all 10 attempts failed; the last one answered 500")


def made(store: SqliteStore, outcome: AttemptClass = AttemptClass.STATUS, number: int = 1) -> Attempt:
    return Attempt(
        number=number,
        started_at=store.clock.now(),
        duration_us=1_500,
        outcome=outcome,
        status=500,
        detail="answered 500",
        address="127.0.0.1:1",
        trace=Trace(
            connect_us=400,
            wait_us=1_000,
            request_head=b"POST / HTTP/1.1\r\nAuthorization: (left out)\r\n",
            response_head=b"Server: caf\xe9",
            excerpt=b"oops \xff",
        ),
    )


async def rung(store: SqliteStore, workload_id: str, verdict: Verdict | None) -> str:
    """A workload whose webhook has come so far; the delivery's id."""
    await store.finish((await claim_one(store, workload_id)).held, Completed(result=b"1"), IRIS.webhooks)
    [delivery], _ = await store.take_due("iris", 1, again=False)
    if verdict is None:
        await store.release([delivery])
    else:
        await store.record(delivery, made(store), verdict)
    return f"dlv_{delivery.seq}"


async def posted(call: Caller, path: str, body: Any = None) -> Answer:
    raw = b"" if body is None else json.dumps(body).encode()
    return await call("POST", path, raw, {"content-type": "application/json"})


async def test_what_has_nowhere_to_go_is_not_sent_again_but_can_be_listed(call: Caller, store: SqliteStore) -> None:
    gone = replace(IRIS.webhooks[0], key="was/2")
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), [gone])
    [delivery], _ = await store.take_due("was/2", 1, again=False)
    await store.record(delivery, made(store), SPENT)
    [listed] = (await call("GET", "/-/deliveries?endpoint=was/2")).json()["deliveries"]
    refused = await posted(call, f"/-/deliveries/{listed['id']}/replay")
    assert refused.problem == "conflict"
    assert "its endpoint was/2 is no longer in the file" in refused.json()["detail"]


async def test_deliveries_are_listed_newest_first_by_endpoint_and_state(call: Caller, store: SqliteStore) -> None:
    parked = await rung(store, "w1", SPENT)
    delivered = await rung(store, "w2", Delivered())
    pending = await rung(store, "w3", None)

    async def ids(query: str) -> list[str]:
        return [each["id"] for each in (await call("GET", f"/-/deliveries?{query}")).json()["deliveries"]]

    assert await ids("") == [pending, delivered, parked]
    assert await ids("endpoint=iris&state=parked") == [parked]
    assert await ids("state=delivered") == [delivered]
    first = (await call("GET", "/-/deliveries?limit=2")).json()
    assert [each["id"] for each in first["deliveries"]] == [pending, delivered]
    assert await ids(f"limit=2&cursor={first['cursor']}") == [parked]


async def test_one_is_shown_with_each_attempt_and_why_it_is_parked(call: Caller, store: SqliteStore) -> None:
    delivery = await rung(store, "w1", SPENT)
    told = (await call("GET", f"/-/deliveries/{delivery}")).json()
    assert (told["state"], told["reason"], told["tries"], told["due_at"]) == ("parked", SPENT.reason, 1, None)
    assert (told["api"], told["workload"], told["url"]) == ("iris", "w1", "http://127.0.0.1:1/")
    assert told["attempts"] == [
        {
            "number": 1,
            "started_at": "2023-11-14T22:13:20.000000+00:00",
            "duration_ms": 1.5,
            "outcome": "status",
            "unknown": False,
            "status": 500,
            "detail": "answered 500",
            "address": "127.0.0.1:1",
            "phases_ms": {"dns": None, "connect": 0.4, "wait": 1.0, "read": None},
            "request_head": ["POST / HTTP/1.1", "Authorization: (left out)"],
            "response_head": ["Server: café"],
            "response_begin": "oops \ufffd",
        }
    ]


async def test_what_is_kept_back_says_why(call: Caller, store: SqliteStore) -> None:
    await rung(store, "w1", SPENT)
    await rung(store, "w2", None)
    await store.pause("iris", Pause(kind=PauseKind.GONE, reason="answered 410", since=store.clock.now()))
    listed = (await call("GET", "/-/deliveries")).json()["deliveries"]
    assert [(each["state"], each["at_rest"]) for each in listed] == [("pending", "answered 410"), ("parked", None)]
    assert (await call("GET", f"/-/deliveries/{listed[0]['id']}")).json()["at_rest"] == "answered 410"


async def test_so_does_what_waits_for_an_endpoint_that_fails_and_is_probed(call: Caller, store: SqliteStore) -> None:
    await rung(store, "w1", SPENT)
    await rung(store, "w2", None)
    assert await store.take_lane("iris") is not None
    await store.note_tripped("iris", is_tripped=True)
    listed = (await call("GET", "/-/deliveries")).json()["deliveries"]
    assert [(each["state"], each["tripped"]) for each in listed] == [("pending", True), ("parked", False)]
    assert (await call("GET", f"/-/deliveries/{listed[0]['id']}")).json()["tripped"] is True
    await store.pause("iris", Pause(kind=PauseKind.GONE, reason="answered 410", since=store.clock.now()))
    told = (await call("GET", f"/-/deliveries/{listed[0]['id']}")).json()
    assert (told["at_rest"], told["tripped"]) == ("answered 410", False), "not even a probe is sent"


async def test_a_replay_makes_it_due_at_once(call: Caller, store: SqliteStore) -> None:
    delivery = await rung(store, "w1", SPENT)
    told = (await posted(call, f"/-/deliveries/{delivery}/replay")).json()
    assert (told["state"], told["due_at"]) == ("pending", "2023-11-14T22:13:20.000000+00:00")
    [again], _ = await store.take_due("iris", 1, again=True)
    assert again.message_id == told["webhook_id"]


async def test_a_parked_one_that_holds_others_up_can_be_skipped(call: Caller, store: SqliteStore) -> None:
    hooks = [replace(hook, order=Order.FIFO) for hook in IRIS.webhooks]
    for name in ("w1", "w2"):
        await store.submit(replace(submission(workload_id=name), order_key="k"))
        await store.finish((await claim_one(store)).held, Completed(result=b"1"), hooks)
    [head], _ = await store.take_due("iris", 9, again=False)
    refused = await posted(call, f"/-/deliveries/dlv_{head.seq}/skip")
    assert (refused.status, refused.json()["type"].rpartition(":")[2]) == (409, "conflict")

    await store.record(head, made(store), SPENT)
    listed = (await call("GET", "/-/deliveries")).json()["deliveries"]
    assert [(each["state"], each["order_key"], each["behind"], each["holds_up"]) for each in listed] == [
        ("pending", "k", f"dlv_{head.seq}", 0),
        ("parked", "k", None, 1),
    ]
    told = (await posted(call, f"/-/deliveries/dlv_{head.seq}/skip")).json()
    assert (told["state"], told["holds_up"]) == ("parked", 0)
    assert [each.workload_id for each in (await store.take_due("iris", 9, again=False))[0]] == ["w2"]


@pytest.mark.parametrize(("since", "count"), [(None, 2), ("30m", 1), ("2023-11-14T22:30:00", 1), ("1s", 0)])
async def test_what_was_given_up_since_then_is_recovered(
    since: str | None, count: int, call: Caller, store: SqliteStore
) -> None:
    await rung(store, "w1", SPENT)
    store.clock.wind(3_600)  # type: ignore[attr-defined]
    await rung(store, "w2", SPENT)
    store.clock.wind(60)  # type: ignore[attr-defined]
    body = {"endpoint": "iris"} | ({} if since is None else {"since": since})
    assert (await posted(call, "/-/deliveries/recover", body)).json() == {"endpoint": "iris", "recovered": count}


async def test_a_recovery_takes_all_there_are_in_portions(call: Caller, store: SqliteStore) -> None:
    """In several transactions: nobody waits for one over all of them."""
    many = _PORTION + 20
    await asyncio.gather(*(store.submit(submission()) for _ in range(many)))
    claimed, _ = await store.claim("iris", many)
    await asyncio.gather(*(store.finish(each.held, Completed(result=b"1"), IRIS.webhooks) for each in claimed))
    taken, _ = await store.take_due("iris", many, again=False)
    await asyncio.gather(*(store.record(each, made(store), SPENT) for each in taken))

    assert (await posted(call, "/-/deliveries/recover", {"endpoint": "iris"})).json()["recovered"] == many
    assert (await store.backlogs())["iris"].pending == many


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("GET", "/-/deliveries?endpoint=rose", None, "unknown_endpoint"),
        ("GET", "/-/deliveries?state=lost", None, "invalid_parameter"),
        ("GET", "/-/deliveries?limit=0", None, "invalid_parameter"),
        ("GET", "/-/deliveries?cursor=zzz", None, "invalid_parameter"),
        ("GET", "/-/deliveries?what=1", None, "invalid_parameter"),
        ("POST", "/-/deliveries", {}, "method_not_allowed"),
        ("GET", "/-/deliveries/dlv_99", None, "unknown_delivery"),
        ("GET", "/-/deliveries/99", None, "unknown_delivery"),
        ("GET", "/-/deliveries/dlv_٣", None, "unknown_delivery"),
        ("POST", "/-/deliveries/dlv_99/replay", {}, "unknown_delivery"),
        ("GET", "/-/deliveries/dlv_1/replay", None, "method_not_allowed"),
        ("POST", "/-/deliveries/recover", {}, "invalid_payload"),
        ("POST", "/-/deliveries/recover", [], "invalid_payload"),
        ("POST", "/-/deliveries/recover", {"endpoint": "rose"}, "unknown_endpoint"),
        ("POST", "/-/deliveries/recover", {"endpoint": "iris", "since": "soon"}, "invalid_payload"),
        ("POST", "/-/deliveries/recover", {"endpoint": "iris", "till": "1h"}, "invalid_payload"),
    ],
)
async def test_what_cannot_be_done_is_said(method: str, path: str, body: Any, problem: str, call: Caller) -> None:
    raw = b"" if body is None else json.dumps(body).encode()
    assert (await call(method, path, raw, {"content-type": "application/json"})).problem == problem
