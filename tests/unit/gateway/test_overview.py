"""Workloads over all APIs, and one with all that has happened to it, over HTTP."""

from __future__ import annotations

import pytest

from ringback.core.workload import Completed, Failed, Spent
from ringback.store.sqlite import SqliteStore
from support.asgi import Caller
from support.stores import claim_one, submission
from unit.gateway.conftest import IRIS

RAISED = Failed(type="ValueError", message="no petals")


async def ids(call: Caller, query: str = "") -> list[tuple[str, str]]:
    answer = await call("GET", f"/-/workloads?{query}")
    assert answer.status == 200
    return [(each["api"], each["id"]) for each in answer.json()["workloads"]]


async def test_all_apis_are_listed_newest_first(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="a", api="iris"))
    await store.finish((await claim_one(store, "b", "other")).held, RAISED, [])
    await store.submit(submission(workload_id="c", api="iris"))
    await store.submit(submission(workload_id="d", api="not-served"))

    assert await ids(call) == [("iris", "c"), ("other", "b"), ("iris", "a")]
    assert await ids(call, "api=iris") == [("iris", "c"), ("iris", "a")]
    assert await ids(call, "api=elsewhere") == await ids(call, "api=other") == [("other", "b")]
    assert await ids(call, "status=failed") == [("other", "b")]
    assert await ids(call, "q=PETALS") == [("other", "b")]
    first = (await call("GET", "/-/workloads?limit=2")).json()
    assert await ids(call, f"limit=2&cursor={first['cursor']}") == [("iris", "a")]


@pytest.mark.parametrize(
    ("query", "problem"),
    [("status=lost", "invalid_parameter"), ("api=rose", "unknown_api"), ("q=" + "x" * 201, "invalid_parameter")],
)
async def test_what_cannot_be_asked_is_told(call: Caller, query: str, problem: str) -> None:
    assert (await call("GET", f"/-/workloads?{query}")).problem == problem


async def test_it_is_only_read(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1", api="iris"))
    for path in ("/-/workloads", "/-/workloads/w1"):
        assert (await call("POST", path)).status == 405


async def test_one_with_all_that_has_happened_to_it(call: Caller, store: SqliteStore) -> None:
    clock = store.clock
    await store.submit(submission(workload_id="w1", api="iris", key="k", payload=b"[1]"))
    clock.wind(2)
    await store.requeue((await claim_one(store, api="iris")).held, spent=Spent.ATTEMPT, why=RAISED, delay_seconds=60)
    waiting = (await call("GET", "/-/workloads/w1")).json()
    assert (waiting["status"], waiting["due_at"]) == ("in_queue", "2023-11-14T22:14:22.000000+00:00")
    clock.wind(60)
    claimed = await claim_one(store, api="iris")
    clock.wind(3)
    assert (await call("GET", "/-/workloads/w1")).json()["attempts"][1]["ended"] == "running"
    await store.finish(claimed.held, Completed(result=b"12345"), IRIS.webhooks)

    told = (await call("GET", "/-/workloads/w1")).json()

    assert told == {
        "api": "iris",
        "path": "/iris/w1",
        "id": "w1",
        "status": "completed",
        "attempt": 2,
        "submitted_at": "2023-11-14T22:13:20.000000+00:00",
        "started_at": "2023-11-14T22:14:22.000000+00:00",
        "finished_at": "2023-11-14T22:14:25.000000+00:00",
        "due_at": None,
        "expires_at": None,
        "position": None,
        "priority": 0,
        "tenant": None,
        "progress": None,
        "payload": {"content_type": "application/json", "bytes": 3},
        "result": {"bytes": 5, "path": "/iris/w1/result"},
        "checkpoint": None,
        "raised": 1,
        "losses": 0,
        "idempotency_key": "k",
        "order_key": None,
        "trace_id": None,
        "timing": {"waited_seconds": 2.0, "ran_seconds": 3.0, "total_seconds": 65.0},
        "attempts": [
            {
                "number": 1,
                "started_at": "2023-11-14T22:13:22.000000+00:00",
                "ended_at": "2023-11-14T22:13:22.000000+00:00",
                "ran_seconds": 0.0,
                "ended": "failed",
                "error": {"type": "ValueError", "message": "no petals"},
            },
            {
                "number": 2,
                "started_at": "2023-11-14T22:14:22.000000+00:00",
                "ended_at": "2023-11-14T22:14:25.000000+00:00",
                "ran_seconds": 3.0,
                "ended": "completed",
            },
        ],
        "deliveries": {"pending": 1, "delivered": 0, "parked": 0},
    }


async def test_an_id_of_two_apis_wants_the_api_named(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1", api="iris"))
    await store.submit(submission(workload_id="w1", api="other"))

    assert (await call("GET", "/-/workloads/w1")).problem == "invalid_parameter"
    assert (await call("GET", "/-/workloads/w1?api=elsewhere")).json()["api"] == "other"
    assert (await call("GET", "/-/workloads/w1?api=rose")).problem == "unknown_api"


async def test_unknown_is_404_and_erased_410(call: Caller, store: SqliteStore) -> None:
    assert (await call("GET", "/-/workloads/nope")).problem == "unknown_workload"
    await store.finish((await claim_one(store, "w1", "iris")).held, RAISED, [])
    await store.erase_expired({"iris": 0.0}, 10)
    assert (await call("GET", "/-/workloads/w1")).problem == "erased"
