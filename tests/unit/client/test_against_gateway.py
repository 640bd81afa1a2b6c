"""The client and the gateway understand each other: no socket between them, a real store behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from ringback.client import AsyncClient
from ringback.core.clock import HandWound
from ringback.core.errors import (
    AlreadyEnded,
    Conflict,
    Erased,
    IdTaken,
    InvalidParameter,
    InvalidPayload,
    PayloadTooLarge,
    QueueFull,
    Unauthorized,
    UnknownApi,
    UnknownWorkload,
    WorkloadFailed,
)
from ringback.core.spec import Api, Autoscaling, Predictor
from ringback.core.workload import Completed, Failed, Progress
from ringback.gateway import Gateway, Rules
from ringback.runtime.facts import Facts
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite

IRIS = Api(
    name="iris",
    endpoint="flowers",
    predictor=Predictor(path=Path("/nowhere/predictor.py")),
    autoscaling=Autoscaling(max_replica_concurrency=3),
)
URL = "http://ringback.test"


async def no_metrics() -> bytes:
    return b""


def client_of(gateway: Gateway, api_key: str | None = None) -> AsyncClient:
    return AsyncClient(URL, api_key=api_key, transport=httpx2.ASGITransport(app=gateway))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    await opened.report("iris", ReplicaState(ready=1))
    yield opened
    await opened.close()


@pytest.fixture
def gateway(store: SqliteStore) -> Gateway:
    return Gateway(store, [IRIS], Facts(), rules=Rules(max_body_bytes=1_000), metrics=no_metrics)


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[AsyncClient]:
    async with client_of(gateway) as opened:
        yield opened


async def test_from_submit_to_result(client: AsyncClient, store: SqliteStore) -> None:
    handle = await client.submit("flowers", {"sepal_length": 5.2}, headers={"X-Mine": "yes"})
    waiting = asyncio.create_task(handle.wait(timeout=5))
    [claimed], _ = await store.claim("iris", 1)
    assert claimed.payload == b'{"sepal_length": 5.2}'

    await store.finish(claimed.held, Completed(result=b'{"label": "setosa"}'), [])

    assert await waiting is handle
    assert handle.result == {"label": "setosa"}
    assert handle.timestamp == "2023-11-14T22:13:20.000000+00:00"


async def test_a_failure_arrives_with_its_words(client: AsyncClient, store: SqliteStore) -> None:
    handle = await client.submit("flowers", 1)
    [claimed], _ = await store.claim("iris", 1)
    await store.finish(claimed.held, Failed(type="ValueError", message="no petals"), [])

    await handle.wait(timeout=5)

    with pytest.raises(WorkloadFailed, match="ValueError: no petals"):
        _ = handle.result


async def test_progress_arrives(client: AsyncClient, store: SqliteStore) -> None:
    handle = await client.submit("flowers", 1)
    [claimed], _ = await store.claim("iris", 1)
    await store.progress(claimed.held, Progress(fraction=0.25, message="a quarter"))

    await handle.refresh()

    assert (handle.status, handle.progress, handle.message) == ("in_progress", 0.25, "a quarter")


async def test_ids_and_keys_stand_for_one_workload(client: AsyncClient) -> None:
    first = await client.submit("flowers", 1, id="mine")
    again = await client.submit("flowers", 1, id="mine")
    keyed = [await client.submit("flowers", 2, idempotency_key="k") for _ in range(2)]

    assert first.id == again.id == "mine"
    assert keyed[0].id == keyed[1].id
    with pytest.raises(IdTaken):
        await client.submit("flowers", 3, id="mine")
    with pytest.raises(IdTaken):
        await client.submit("flowers", 3, idempotency_key="k")


async def test_lists_pages_and_what_is_served(client: AsyncClient) -> None:
    ids = [(await client.submit("flowers", number)).id for number in range(3)]

    assert [each["id"] async for each in client.list("flowers")] == ids[::-1]
    page = await client.page("flowers", limit=2)
    assert [each["id"] for each in page["workloads"]] == ids[:0:-1]
    rest = await client.page("flowers", limit=2, cursor=page["cursor"])
    assert [each["id"] for each in rest["workloads"]] == ids[:1]
    [api] = await client.apis()
    assert (api["name"], api["path"], api["in_queue"]) == ("iris", "/flowers", 3)


async def test_each_refusal_is_the_servers_own_error(client: AsyncClient) -> None:
    with pytest.raises(UnknownApi, match="served are /flowers"):
        await client.submit("roses", 1)
    with pytest.raises(UnknownWorkload):
        await client.get("flowers", "nobody")
    with pytest.raises(UnknownWorkload):
        await client.get("flowers", "..")
    with pytest.raises(PayloadTooLarge):
        await client.submit("flowers", "x" * 2_000)
    with pytest.raises(InvalidParameter):
        await client.page("flowers", status="lost")
    for number in range(3):
        await client.submit("flowers", number)
    with pytest.raises(QueueFull) as full:
        await client.submit("flowers", 4)
    assert full.value.retry_after_seconds >= 1


async def test_a_workload_is_canceled_retried_and_erased(client: AsyncClient, store: SqliteStore) -> None:
    handle = await client.submit("flowers", 1)
    assert (await handle.cancel()).status == "canceled"
    assert (await client.cancel("flowers", handle.id)).is_terminal
    with pytest.raises(WorkloadFailed, match="canceled"):
        _ = handle.result

    assert (await handle.retry()).status == "in_queue"
    [claimed], _ = await store.claim("iris", 1)
    await store.finish(claimed.held, Completed(result=b"1"), [])
    assert (await handle.wait(timeout=5)).result == 1
    with pytest.raises(AlreadyEnded):
        await handle.cancel()
    with pytest.raises(Conflict):
        await handle.retry()
    record = await client.describe("flowers", handle.id)
    assert [each["ended"] for each in record["attempts"]] == ["canceled", "completed"]

    for _ in range(2):
        await handle.erase()
    with pytest.raises(Erased):
        await handle.refresh()


async def test_a_key_opens_a_server_that_wants_one(store: SqliteStore) -> None:
    gateway = Gateway(
        store, [IRIS], Facts(), rules=Rules(max_body_bytes=1_000, api_keys=frozenset({"a", "b"})), metrics=no_metrics
    )
    async with client_of(gateway, "b") as client, client_of(gateway) as stranger:
        assert (await client.submit("flowers", 1)).id
        with pytest.raises(Unauthorized, match="API key"):
            await stranger.submit("flowers", 1)


async def test_an_endpoint_is_registered_changed_rotated_and_removed(client: AsyncClient) -> None:
    added = await client.add_endpoint("https://93.184.216.34/", {"api": "iris", "timeout": "3s"})
    key = added["endpoint"]
    assert (added["apis"], added["timeout"]) == (["iris"], "3s")
    assert (await client.change_endpoint(key, {"timeout": None}))["timeout"] == "15s"
    rotated = await client.rotate_endpoint(key, {"overlap": "1h"})
    assert rotated["secret"] not in {added["secret"], None}
    assert [each["endpoint"] for each in await client.endpoints()] == [key]
    assert (await client.endpoint(key, "disable"))["state"] == "disabled"
    assert (await client.remove_endpoint(key, "erase"))["state"] == "removed"
    assert await client.endpoints() == ()


async def test_batches_and_many_at_once(client: AsyncClient, store: SqliteStore) -> None:
    batch = await client.submit_many("flowers", range(250), idempotency_key="k")
    assert (len(batch.ids), batch.counts["total"]) == (250, 250)
    assert (await client.submit_many("flowers", range(250), idempotency_key="k")).ids == batch.ids
    with pytest.raises(IdTaken, match="30d more"):
        await client.submit_many("flowers", range(3), idempotency_key="k")
    with pytest.raises(InvalidPayload, match="payload 2"):
        await client.submit_many("flowers", [1, float("nan")])
    assert len((await client.batches("iris"))["batches"]) == 1

    for each in (await store.claim("iris", 2))[0]:
        await store.finish(each.held, Failed(type="OSError", message="disk"), [])
    assert await client.count_many("cancel", api="flowers") == 248
    assert await batch.cancel() == 248
    assert (await batch.wait(timeout=5)).counts["canceled"] == 248
    assert [each["status"] async for each in batch.results()] == ["failed"] * 2 + ["canceled"] * 248
    assert await batch.retry() == 2
    assert not batch.is_terminal
    assert await client.cancel_many(batch=batch.id, status="in_queue") == 2
    with pytest.raises(InvalidPayload, match="say which"):
        await client.retry_many()
