"""Cancel and retry of many over HTTP: told what is meant, done in portions, repeatable."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ringback.core.clock import HandWound
from ringback.core.workload import Failed, Status
from ringback.gateway import sweeping
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore
from support.asgi import Answer, Caller
from support.stores import submission
from unit.gateway.conftest import IRIS, Facts

WHY = Failed(type="OSError", message="The disk is full")
BATCH = {"Content-Type": "application/x-ndjson", "Ringback-Batch": "true"}


async def post(call: Caller, path: str, **wanted: Any) -> Answer:
    return await call("POST", path, json.dumps(wanted).encode(), {"Content-Type": "application/json"})


async def asked(call: Caller, path: str, **wanted: Any) -> dict[str, Any]:
    answer = await post(call, path, **wanted)
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json()
    return told


async def failed(store: SqliteStore, count: int, api: str = "iris") -> None:
    for _ in range(count):
        await store.submit(submission(api=api))
    for each in (await store.claim(api, count))[0]:
        await store.finish(each.held, WHY, [])


async def test_what_waits_and_what_runs_is_canceled_by_what_it_has_in_common(
    call: Caller, store: SqliteStore, facts: Facts
) -> None:
    for name in ("runs", "waits", "waits-too"):
        await store.submit(submission(workload_id=name, api="iris"))
    await store.submit(submission(api="other"))
    await store.claim("iris", 1)
    assert await asked(call, "/-/workloads/cancel", api="iris", dry_run=True) == {"matched": 3, "cursor": None}
    told = await asked(call, "/-/workloads/cancel", api="iris", status="in_queue")
    assert told == {"changed": 2, "stopping": 0, "cursor": None, "wait_seconds": None}
    told = await asked(call, "/-/workloads/cancel", api="iris")
    assert (told["changed"], told["stopping"]) == (1, 1)
    assert (await asked(call, "/-/workloads/cancel", api="iris"))["changed"] == 0
    assert facts.of("workload.finished") == [{"api": "iris", "status": "canceled", "run_us": None}] * 2
    [delivery, *_] = await store.deliveries("iris", "waits") or [None]
    assert delivery is None  # the file's endpoint does not ask for it
    assert (await store.get("iris", "waits")).status is Status.CANCELED
    assert (await store.depths())["other"].in_queue == 1


async def test_all_apis_are_meant_when_none_is_named(call: Caller, store: SqliteStore) -> None:
    await failed(store, 1)
    await failed(store, 2, api="other")
    assert (await asked(call, "/-/workloads/retry", status="failed"))["changed"] == 3
    assert (await asked(call, "/-/workloads/cancel", api="elsewhere"))["changed"] == 2  # by its endpoint


async def test_what_was_canceled_runs_again_only_by_its_name(call: Caller, store: SqliteStore, facts: Facts) -> None:
    await store.submit(submission(api="iris"))
    await asked(call, "/-/workloads/cancel", api="iris")
    assert (await asked(call, "/-/workloads/retry", api="iris"))["changed"] == 0
    told = await asked(call, "/-/workloads/retry", api="iris", status="canceled")
    assert told == {"changed": 1, "cursor": None, "wait_seconds": None}
    assert facts.of("workload.retried") == [{"api": "iris"}]


async def test_since_before_tenant_and_words(call: Caller, store: SqliteStore) -> None:
    assert isinstance(store.clock, HandWound)
    await failed(store, 1)
    store.clock.wind(3_600)
    await failed(store, 2)

    async def matched(**wanted: str) -> int:
        return int((await asked(call, "/-/workloads/retry", **wanted, dry_run=True))["matched"])

    assert await matched(since="30m") == 2
    assert await matched(before="30m") == 1
    assert await matched(since="2023-11-14T23:00:00+00:00") == 2
    assert await matched(since="30000d") == 3
    assert await matched(before="30000d") == 0
    assert await matched(before="0001-01-01T00:00:00") == 0
    assert await matched(since="9999-01-01T00:00:00") == 0
    assert await matched(q="DISK") == 3
    assert await matched(q="disc") == 0
    assert await matched(tenant="navy") == 0
    assert await matched(tenant="navy", q="disk") == 0


async def test_half_the_queue_is_left_to_submits(call: Caller, store: SqliteStore) -> None:
    await failed(store, 5)
    assert IRIS.autoscaling.max_replica_concurrency == 3
    told = await asked(call, "/-/workloads/retry", api="iris")
    assert (told["changed"], told["wait_seconds"] >= 1) == (1, True)
    assert (await call("POST", "/iris", b"{}", {"Content-Type": "application/json"})).status == 200
    for each in (await store.claim("iris", 9))[0]:
        await store.finish(each.held, WHY, [])
    again = await asked(call, "/-/workloads/retry", api="iris", cursor=told["cursor"])
    assert (again["changed"], again["cursor"] is None) == (1, False)


async def test_a_batch_is_canceled_and_retried_whole(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="alone", api="iris"))
    batch = (await call("POST", "/iris", b"1\n" * 250, BATCH)).json()["batch"]
    path = f"/-/batches/{batch}"
    assert await asked(call, f"{path}/cancel", dry_run=True) == {"matched": 250, "cursor": None}
    assert (await asked(call, f"{path}/cancel"))["changed"] == 250
    assert (await call("GET", path)).json()["status"] == "completed"
    assert (await call("POST", f"{path}/cancel")).json()["changed"] == 0
    assert (await asked(call, "/-/workloads/retry", batch=batch, status="canceled"))["changed"] == 250
    assert (await call("GET", path)).json()["counts"]["in_queue"] == 250
    assert (await store.get("iris", "alone")).status is Status.IN_QUEUE


async def test_a_batch_that_nobody_has_put_into_the_queue_yet_is_canceled_too(call: Caller, store: SqliteStore) -> None:
    opened = await store.batches.open(submission(api="iris"))
    await store.batches.stage(opened.seq, 1, [b"1"] * 300)
    await store.batches.accept(opened.seq, 300, b"print")
    assert (await asked(call, f"/-/batches/{opened.id}/cancel"))["changed"] == 300
    assert not await store.batches.mend(10)


@pytest.mark.parametrize(
    ("path", "wanted", "status", "words"),
    [
        ("/-/workloads/cancel", {}, 400, "say which"),
        ("/-/workloads/cancel", {"dry_run": True}, 400, "say which"),
        ("/-/workloads/cancel", {"api": None, "batch": None}, 400, "say which"),
        ("/-/workloads/cancel", {"batch": ""}, 400, "the key batch is empty"),
        ("/-/workloads/cancel", {"tenant": ""}, 400, "the key tenant is empty"),
        ("/-/workloads/cancel", {"q": " "}, 400, "1 to 200"),
        ("/-/workloads/cancel", {"api": "none"}, 404, "no API 'none'"),
        ("/-/workloads/cancel", {"status": "failed"}, 400, "in_queue or in_progress can be canceled"),
        ("/-/workloads/retry", {"status": "completed"}, 400, "failed or canceled can be retried"),
        ("/-/workloads/retry", {"api": 1}, 400, "api must be a string"),
        ("/-/workloads/retry", {"api": "iris", "dry_run": 1}, 400, "dry_run must be true or false"),
        ("/-/workloads/retry", {"since": "yesterday"}, 400, "since='yesterday' is no moment"),
        ("/-/workloads/retry", {"before": "soon"}, 400, "before='soon' is no moment"),
        ("/-/workloads/retry", {"q": "x" * 201}, 400, "1 to 200"),
        ("/-/workloads/retry", {"api": "iris", "cursor": "x"}, 400, "cursor 'x' is not one this server gave"),
        ("/-/workloads/retry", {"api": "iris", "cursor": "c3BhbjowLTA"}, 400, "not one this server gave"),
        ("/-/workloads/retry", {"api": "iris", "cursor": "c3BhbjowLTA.x"}, 400, "not one this server gave"),
        ("/-/workloads/retry", {"apis": "iris"}, 400, "'apis' is not known"),
        ("/-/batches/none/cancel", {}, 404, "no batch none"),
        ("/-/batches/none/retry", {"api": "iris"}, 400, "'api' is not known"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    path: str, wanted: dict[str, Any], status: int, words: str, call: Caller
) -> None:
    answer = await post(call, path, **wanted)
    assert (answer.status, words in answer.json()["detail"]) == (status, True), answer.body


async def test_an_api_that_cannot_run_anything_is_said_to_be_so(call: Caller, store: SqliteStore) -> None:
    await store.report("iris", ReplicaState(problem="ImportError: no module"))
    assert (await post(call, "/-/workloads/retry", api="iris")).problem == "api_not_ready"
    assert (await asked(call, "/-/workloads/retry", api="iris", dry_run=True))["matched"] == 0


async def test_a_workload_may_be_called_cancel(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="cancel", api="iris"))
    assert (await call("GET", "/-/workloads/cancel")).json()["id"] == "cancel"
    assert (await call("GET", "/-/batches/x/cancel")).status == 405


async def test_submits_go_on_meanwhile(call: Caller, store: SqliteStore) -> None:
    """None waits for more than a portion or two, so that there is room for many of them, one after the other."""
    batch = (await call("POST", "/elsewhere", b"1\n" * 3_000, BATCH)).json()["batch"]
    sweep = asyncio.ensure_future(asked(call, f"/-/batches/{batch}/cancel"))
    accepted = 0
    while not sweep.done():
        answer = await call("PUT", f"/iris/{accepted}", b"{}", {"Content-Type": "application/json"})
        accepted += answer.status == 200
        await store.cancel("iris", str(accepted - 1), [])
    assert (await sweep)["changed"] == 3_000
    assert accepted >= 3_000 / 100 / 3


async def test_it_stops_when_its_client_leaves(call: Caller, store: SqliteStore) -> None:
    batch = (await call("POST", "/iris", b"1\n" * 1_000, BATCH)).json()["batch"]
    leaves = asyncio.Event()
    leaves.set()
    await call("POST", f"/-/batches/{batch}/cancel", leaves=leaves)
    [told] = (await call("GET", "/-/batches")).json()["batches"]
    assert told["counts"]["canceled"] == 100


async def test_how_long_ago_is_meant_as_of_the_first_request(call: Caller, store: SqliteStore) -> None:
    """However long it takes to follow the cursor: a retry may wait for room for hours."""
    assert isinstance(store.clock, HandWound)
    await failed(store, 3)
    which = {"api": "iris", "since": "2h"}
    first = await asked(call, "/-/workloads/retry", **which)
    assert (first["changed"], first["cursor"] is None) == (1, False)
    store.clock.wind(3 * 3_600)
    for _ in range(2):
        for each in (await store.claim("iris", 9))[0]:
            await store.finish(each.held, WHY, [])
        first = await asked(call, "/-/workloads/retry", **which, cursor=first["cursor"])
        assert first["changed"] == 1
    assert first["cursor"] is None


async def test_it_stops_when_its_time_is_up_and_goes_on_from_there(call: Caller, store: SqliteStore) -> None:
    assert isinstance(store.clock, HandWound)
    batch = (await call("POST", "/iris", b"1\n" * 250, BATCH)).json()["batch"]
    path = f"/-/batches/{batch}/cancel"
    request = asyncio.ensure_future(asked(call, path))
    while not (await store.page(["iris"], status=Status.CANCELED, limit=1, cursor=None)).workloads:
        pass
    store.clock.wind(sweeping.SLOT_SECONDS)
    first = await request
    assert first["cursor"] is not None
    rest = await asked(call, path, cursor=first["cursor"])
    assert (first["changed"] + rest["changed"], rest["cursor"]) == (250, None)
