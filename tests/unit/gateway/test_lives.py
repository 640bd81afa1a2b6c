"""Cancel, retry and erase over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ringback.core.spec import Event
from ringback.core.workload import Completed, Failed
from ringback.gateway import Gateway, Rules
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore
from support.asgi import Caller
from support.stores import claim_one, submission
from unit.gateway.conftest import IRIS, Facts

RAISED = Failed(type="ValueError", message="no petals")


async def test_one_in_the_queue_is_canceled_at_once_and_counted_once(
    call: Caller, store: SqliteStore, facts: Facts
) -> None:
    await store.submit(submission(workload_id="w1"))
    waiting = asyncio.create_task(call("GET", "/iris/w1?wait=30"))
    await asyncio.sleep(0)
    for _ in range(2):
        answer = await call("POST", "/iris/w1/cancel")
        assert (answer.status, answer.json()) == (200, {"id": "w1", "status": "canceled"})
    assert (await waiting).json() == {"id": "w1", "status": "canceled"}
    assert facts.of("workload.finished") == [{"api": "iris", "workload": "w1", "status": "canceled", "run_us": None}]


async def test_the_apis_endpoints_are_told_that_asked(store: SqliteStore, facts: Facts) -> None:
    async def metrics() -> bytes:
        return b""

    hook = replace(IRIS.webhooks[0], events=frozenset({Event.CANCELED}))
    gateway = Gateway(
        store, [replace(IRIS, webhooks=(hook,))], facts, rules=Rules(max_body_bytes=1_000), metrics=metrics
    )
    await store.submit(submission(workload_id="w1"))
    await Caller(gateway)("POST", "/iris/w1/cancel")
    assert [each.event for each in await store.deliveries("iris", "w1")] == [Event.CANCELED]


async def test_one_in_progress_is_asked_to_end(call: Caller, store: SqliteStore, facts: Facts) -> None:
    held = (await claim_one(store, "w1")).held
    for _ in range(2):
        assert (await call("POST", "/iris/w1/cancel")).json() == {"id": "w1", "status": "in_progress"}
    assert facts.of("workload.finished") == []
    assert (await call("POST", "/iris/w1/retry")).problem == "conflict"
    await store.finish(held, Completed(result=b"1"), [])
    assert (await call("GET", "/iris/w1")).json() == {"id": "w1", "status": "canceled"}


async def test_what_has_ended_otherwise_is_a_conflict(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "done")).held, Completed(result=b"1"), [])
    await store.finish((await claim_one(store, "failed")).held, RAISED, [])
    for workload_id in ("done", "failed"):
        answer = await call("POST", f"/iris/{workload_id}/cancel")
        assert (answer.status, answer.problem) == (409, "already_ended")
    answer = await call("POST", "/iris/done/retry")
    assert (answer.status, answer.problem) == (409, "conflict")


async def test_a_failed_one_runs_again_under_its_id(call: Caller, store: SqliteStore, facts: Facts) -> None:
    await store.finish((await claim_one(store, "w1")).held, RAISED, [])
    for _ in range(2):
        assert (await call("POST", "/iris/w1/retry")).json() == {"id": "w1", "status": "in_queue"}
    assert facts.of("workload.retried") == [{"api": "iris"}]
    await store.finish((await claim_one(store)).held, Completed(result=b"1"), [])
    attempts = (await call("GET", "/-/workloads/w1")).json()["attempts"]
    assert [(each["number"], each["ended"]) for each in attempts] == [(1, "failed"), (2, "completed")]
    assert attempts[0]["error"] == {"type": "ValueError", "message": "no petals"}


async def test_a_retry_waits_for_room_and_for_a_replica_that_can_start(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, RAISED, [])
    for _ in range(3):
        await store.submit(submission())
    assert (await call("POST", "/iris/w1/retry")).problem == "queue_full"
    await store.report("iris", ReplicaState(problem="no model"))
    assert (await call("POST", "/iris/w1/retry")).problem == "api_not_ready"


async def test_an_erased_one_is_gone(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "done")).held, Completed(result=b"1"), [])
    held = (await claim_one(store, "running")).held
    await store.submit(submission(workload_id="waiting"))
    for workload_id in ("done", "running", "waiting"):
        for _ in range(2):
            answer = await call("DELETE", f"/iris/{workload_id}")
            assert (answer.status, answer.json()) == (200, {"id": workload_id, "erased": True})
        for path in (f"/iris/{workload_id}", f"/iris/{workload_id}/result", f"/-/workloads/{workload_id}"):
            assert (await call("GET", path)).status == 410
        for verb in ("cancel", "retry"):
            assert (await call("POST", f"/iris/{workload_id}/{verb}")).problem == "erased"
    assert (await call("GET", "/iris")).json()["workloads"] == []
    await store.finish(held, Completed(result=b"1"), [])
    assert (await call("GET", "/iris/running")).problem == "erased"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/iris/nope/cancel"), ("POST", "/iris/nope/retry"), ("DELETE", "/iris/nope")],
)
async def test_what_is_not_there_is_not_found(call: Caller, method: str, path: str) -> None:
    assert (await call(method, path)).problem == "unknown_workload"
    assert (await call(method, path.replace("iris", "rose"))).status == 404


async def test_they_take_no_parameters_and_one_method(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    for verb in ("cancel", "retry"):
        answer = await call("GET", f"/iris/w1/{verb}")
        assert (answer.problem, answer.headers["allow"]) == ("method_not_allowed", "POST")
        assert (await call("POST", f"/iris/w1/{verb}?now=1")).problem == "invalid_parameter"
    assert (await call("DELETE", "/iris/w1?now=1")).problem == "invalid_parameter"
    assert (await call("GET", "/iris/w1")).json()["status"] == "in_queue"
