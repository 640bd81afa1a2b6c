"""Batches over HTTP: taken in whole or not at all, answered as a stream, counted, read line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from ringback.core.workload import Completed, Failed
from ringback.gateway import Gateway
from ringback.gateway.intake import MOST_LINE_BYTES
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore
from support.asgi import Caller
from unit.gateway.conftest import Facts

BATCH = {"Content-Type": "application/x-ndjson", "Ringback-Batch": "true"}


async def submitted(call: Caller, body: bytes, **headers: str) -> dict[str, Any]:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await call("POST", "/iris", body, {**BATCH, **more})
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json()
    return told


def pieces(text: bytes, size: int) -> Iterable[dict[str, Any]]:
    starts = range(0, len(text), size)
    return [{"type": "http.request", "body": text[at : at + size], "more_body": at + size < len(text)} for at in starts]


async def test_a_line_is_a_workload(call: Caller, store: SqliteStore, facts: Facts) -> None:
    told = await submitted(call, b'{"n": 1}\n\n"two"\r\n[3]', X_Mine="yes", Idempotency_Key="k")
    claimed, _ = await store.claim("iris", 9)
    assert [each.held.id for each in claimed] == told["ids"]
    assert [each.payload for each in claimed] == [b'{"n": 1}', b'"two"', b"[3]"]
    assert json.loads(claimed[0].headers) == {
        "content-type": "application/json",
        "x-mine": "yes",
        "ringback-batch": "true",
    }
    assert facts.of("batch.submitted") == [{"api": "iris", "workloads": 3}]


@pytest.mark.parametrize("size", [1, 7, 1_000, 100_000])
async def test_however_it_is_cut_into_pieces(size: int, call: Caller, store: SqliteStore) -> None:
    text = b"".join(b'{"number": %d}\n' % number for number in range(700))
    answer = await call("POST", "/iris", headers=BATCH, parts=pieces(text, size))
    ids = answer.json()["ids"]
    assert answer.headers["location"] == f"/-/batches/{answer.json()['batch']}"
    assert len(set(ids)) == 700
    claimed, _ = await store.claim("iris", 1_000)
    assert [json.loads(each.payload)["number"] for each in claimed] == list(range(700))
    assert [each.held.id for each in claimed] == ids


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b'{"a": 1}\n{"a": }\n{"a": 3}\n', "invalid_payload", "line 2 is not JSON"),
        (b"1\n\n\nNaN\n", "invalid_payload", "line 4 is not JSON"),
        (b"1\n" * 600 + b"x", "invalid_payload", "line 601 is not JSON"),
        (b'"\xff"\n', "invalid_payload", "line 1 is not JSON"),
        (b"", "invalid_payload", "no line"),
        (b"\n \n", "invalid_payload", "no line"),
        (b"1\n" + b"2" * (MOST_LINE_BYTES + 1), "payload_too_large", "line 2 is over"),
    ],
)
async def test_one_bad_line_and_nothing_is_taken_in(
    body: bytes, code: str, words: str, call: Caller, store: SqliteStore, facts: Facts
) -> None:
    answer = await call("POST", "/iris", body, {**BATCH, "Idempotency-Key": "k"})
    assert answer.problem == code
    assert words in answer.json()["detail"]
    await nothing_is_left(store)
    assert facts.of("workload.refused") == [{"api": "iris", "code": code}]
    await submitted(call, b"1\n", Idempotency_Key="k")


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"Ringback-Batch": "yes"}, 400, "neither true nor false"),
        ({"Content-Type": "application/json"}, 415, "application/x-ndjson"),
        ({"Content-Encoding": "gzip"}, 415, "not undone here"),
        ({"Ringback-Priority": "1000"}, 400, "Ringback-Priority"),
        ({"Ringback-Timeout": "100d"}, 400, "Ringback-Timeout"),
        ({"Ringback-Webhook": "http://10.0.0.1/"}, 422, "10.0.0.1 is private"),
        ({"Ringback-Colour": "red"}, 400, "Ringback-Colour"),
    ],
)
async def test_what_is_asked_for_is_judged_before_a_line_is_read(
    headers: dict[str, str], status: int, words: str, call: Caller, store: SqliteStore
) -> None:
    answer = await call("POST", "/iris", b"1\n", {**BATCH, **headers})
    assert answer.status == status
    assert words in answer.json()["detail"]
    await nothing_is_left(store)


async def test_ndjson_without_the_header_is_one_payload_of_bytes(call: Caller, store: SqliteStore) -> None:
    for headers in ({}, {"Ringback-Batch": "false"}):
        await call("POST", "/iris", b"1\n2\n", {"Content-Type": "application/x-ndjson", **headers})
    claimed, _ = await store.claim("iris", 9)
    assert [each.payload for each in claimed] == [b"1\n2\n"] * 2


async def test_a_batch_is_not_put(call: Caller) -> None:
    assert (await call("PUT", "/iris/mine", b"1\n", BATCH)).problem == "invalid_header"


async def test_a_client_that_leaves_leaves_nothing(call: Caller, store: SqliteStore) -> None:
    leaves = asyncio.Event()
    leaves.set()
    parts = [{"type": "http.request", "body": b"1\n" * 500, "more_body": True}]
    assert (await call("POST", "/iris", headers=BATCH, parts=parts, leaves=leaves)).status == 0
    await nothing_is_left(store)


async def test_a_server_that_drains_takes_none_in_not_even_one_under_way(
    gateway: Gateway, call: Caller, store: SqliteStore
) -> None:
    sent: list[dict[str, Any]] = []
    portion = {"type": "http.request", "body": b"1\n" * 500, "more_body": True}
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not has_begun.is_set():
            has_begun.set()
        else:
            await goes_on.wait()
        return portion

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/iris", "query_string": b"", "headers": []}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in BATCH.items()]
    under_way = asyncio.create_task(gateway(scope, receive, send))
    await has_begun.wait()
    gateway.close_to_new()
    goes_on.set()
    await under_way
    assert sent[0]["status"] == 503
    assert (await call("POST", "/iris", b"1\n", BATCH)).problem == "shutting_down"
    await nothing_is_left(store)


async def test_the_same_key_again_answers_the_same_and_another_content_is_refused(
    call: Caller, store: SqliteStore
) -> None:
    first = await submitted(call, b"1\n2\n", Idempotency_Key="k")
    assert await submitted(call, b"1\r\n\n2", Idempotency_Key="k") == first
    other = await call("POST", "/iris", b"1\n3\n", {**BATCH, "Idempotency-Key": "k"})
    assert (other.status, other.problem) == (409, "id_taken")
    assert "30d more" in other.json()["detail"]
    assert (await store.depths())["iris"].in_queue == 2


async def test_a_batch_is_no_matter_of_the_limit_for_single_ones(call: Caller, store: SqliteStore) -> None:
    await submitted(call, b"1\n" * 50)
    json_header = {"Content-Type": "application/json"}
    statuses = [(await call("POST", "/iris", b"1", json_header)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 503]


async def test_where_no_replica_can_start_none_is_taken_in(call: Caller, store: SqliteStore) -> None:
    await store.report("iris", ReplicaState(problem="no such file"))
    assert (await call("POST", "/iris", b"1\n", BATCH)).problem == "api_not_ready"


async def test_it_is_counted_and_read_line_by_line(call: Caller, store: SqliteStore) -> None:
    told = await submitted(call, b"1\n2\n3\n4\n5\n")
    claimed, _ = await store.claim("iris", 4)
    await store.finish(claimed[0].held, Completed(result=b'{"x":1}'), [])
    await store.finish(claimed[1].held, Failed(type="ValueError", message="no"), [])
    await store.finish(claimed[2].held, Completed(result=b"2"), [])
    await store.erase("iris", claimed[2].held.id)

    batch = (await call("GET", f"/-/batches/{told['batch']}")).json()
    assert batch == {
        "batch": told["batch"],
        "api": "iris",
        "status": "in_progress",
        "counts": {"in_queue": 1, "in_progress": 1, "completed": 2, "failed": 1, "canceled": 0, "total": 5},
        "submitted_at": "2023-11-14T22:13:20.000000+00:00",
        "finished_at": None,
    }
    listed = (await call("GET", "/-/batches?api=iris")).json()
    assert listed == {"batches": [batch], "cursor": None}

    results = (await call("GET", f"/-/batches/{told['batch']}/results")).body.splitlines()
    first, second, third, fourth, fifth = map(json.loads, results)
    assert (first["id"], first["result"]) == (told["ids"][0], {"x": 1})
    assert second["error"] == {"type": "ValueError", "message": "no"}
    assert third == {"id": told["ids"][2], "status": "completed", "erased": True}
    assert [fourth["status"], fifth["status"]] == ["in_progress", "in_queue"]

    page = (await call("GET", f"/-/batches/{told['batch']}/workloads?status=failed")).json()
    assert [each["id"] for each in page["workloads"]] == [told["ids"][1]]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/-/batches/none", "unknown_batch"),
        ("GET", "/-/batches/none/results", "unknown_batch"),
        ("GET", "/-/batches?api=none", "unknown_api"),
        ("GET", "/-/batches?limit=0", "invalid_parameter"),
        ("GET", "/-/batches?cursor=x", "invalid_parameter"),
        ("GET", "/-/batches?colour=red", "invalid_parameter"),
        ("POST", "/-/batches", "method_not_allowed"),
        ("DELETE", "/-/batches/none", "method_not_allowed"),
    ],
)
async def test_each_refusal_says_why(method: str, path: str, code: str, call: Caller) -> None:
    assert (await call(method, path)).problem == code


async def nothing_is_left(store: SqliteStore) -> None:
    """Neither seen now, nor kept once somebody has tidied up."""
    assert (await store.page(["iris"], status=None, limit=9, cursor=None)).workloads == ()
    assert (await store.batches.find(None, limit=9, cursor=None)).batches == ()
    while await store.batches.mend(1_000):
        pass

    def read(connection: Any) -> int:
        [(count,)] = connection.execute("SELECT count(*) FROM staged").fetchall()
        return int(count)

    assert await store._session.scan(read) == 0
