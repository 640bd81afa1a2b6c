"""Submitting over HTTP: what is taken in, and every way of being refused."""

from __future__ import annotations

import asyncio
import json

import pytest

from ringback.core.workload import Completed
from ringback.gateway import Gateway
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore
from ringback.work.limits import run_limit
from support.asgi import Caller
from support.stores import claim_one
from unit.gateway.conftest import IRIS, Facts

JSON = {"Content-Type": "application/json"}


async def test_a_submit_answers_with_id_and_location(call: Caller, store: SqliteStore, facts: Facts) -> None:
    answer = await call("POST", "/iris", b'{"a": 1}', JSON)

    assert answer.status == 200
    workload_id = answer.json()["id"]
    assert answer.headers["location"] == f"/iris/{workload_id}"
    assert (await store.get("iris", workload_id)).status == "in_queue"
    assert facts.of("workload.submitted") == [{"api": "iris", "payload_bytes": 8}]


async def test_payload_and_headers_are_kept_as_they_came_but_for_credentials(call: Caller, store: SqliteStore) -> None:
    body = b'{"a":   1}'
    await call("POST", "/iris", body, {**JSON, "X-Mine": "yes", "Authorization": "Bearer x", "Cookie": "c=1"})

    [claimed], _ = await store.claim("iris", 1)
    assert claimed.payload == body
    assert json.loads(claimed.headers) == {"content-type": "application/json", "x-mine": "yes"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; charset=utf-8", b"null"),
        ("application/cloudevents+json", b"[]"),
        ("text/plain", "grüße".encode()),
        ("text/plain; charset=latin-1", b"gr\xfc\xdfe"),
        ("image/png", b"\x89PNG\x00\xff"),
        ("application/octet-stream", b""),
    ],
)
async def test_these_are_taken_in(content_type: str, body: bytes, call: Caller) -> None:
    assert (await call("POST", "/iris", body, {"Content-Type": content_type})).status == 200


@pytest.mark.parametrize(
    ("headers", "body", "status", "code", "words"),
    [
        (JSON, b'{"a": }', 400, "invalid_payload", "line 1 column 7"),
        (JSON, b"", 400, "invalid_payload", "empty"),
        (JSON, b'{"a": NaN}', 400, "invalid_payload", "not JSON"),
        (JSON, b'"\xff"', 400, "invalid_payload", "not JSON"),
        ({"Content-Type": "text/plain"}, b"\xff\xfe", 400, "invalid_payload", "utf-8"),
        ({"Content-Type": "text/plain; charset=klingon"}, b"x", 400, "invalid_payload", "klingon"),
        ({}, b"{}", 415, "unsupported_content_type", "no Content-Type"),
        ({"Content-Type": "json"}, b"{}", 415, "unsupported_content_type", "'json'"),
        ({**JSON, "Content-Encoding": "gzip"}, b"\x1f\x8b", 415, "unsupported_content_type", "gzip"),
        (JSON, b"1" * 1_001, 413, "payload_too_large", "1000 bytes"),
        ({**JSON, "Content-Length": "5000"}, b"", 413, "payload_too_large", "1000 bytes"),
        ({**JSON, "Idempotency-Key": "two words"}, b"{}", 400, "invalid_header", "Idempotency-Key"),
        ({**JSON, "Idempotency-Key": "x" * 256}, b"{}", 400, "invalid_header", "Idempotency-Key"),
        ({**JSON, "Ringback-Priority": "500"}, b"{}", 400, "invalid_header", "Ringback-Priority"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_left_behind(
    headers: dict[str, str],
    body: bytes,
    status: int,
    code: str,
    words: str,
    *,
    call: Caller,
    store: SqliteStore,
    facts: Facts,
) -> None:
    answer = await call("POST", "/iris", body, headers)

    assert (answer.status, answer.problem) == (status, code)
    assert words in answer.json()["detail"]
    assert await store.depths() == {}
    assert facts.of("workload.refused") == [{"api": "iris", "code": code}]


async def test_a_body_that_grows_over_the_limit_is_refused_unread(call: Caller) -> None:
    part = {"type": "http.request", "body": b"1" * 600, "more_body": True}
    answer = await call("POST", "/iris", headers=JSON, parts=[dict(part), dict(part), dict(part)])

    assert answer.problem == "payload_too_large"
    assert answer.headers["connection"] == "close"


async def test_a_body_in_parts_is_put_together(call: Caller, store: SqliteStore) -> None:
    parts = [
        {"type": "http.request", "body": b"[1,", "more_body": True},
        {"type": "http.request", "body": b" 2]", "more_body": False},
    ]
    assert (await call("POST", "/iris", headers=JSON, parts=parts)).status == 200

    [claimed], _ = await store.claim("iris", 1)
    assert claimed.payload == b"[1, 2]"


@pytest.mark.parametrize("before", [0, 1])
async def test_a_client_that_leaves_before_it_has_said_all_leaves_nothing(
    before: int, call: Caller, store: SqliteStore
) -> None:
    parts = [{"type": "http.request", "body": b"{", "more_body": True}] * before + [{"type": "http.disconnect"}]
    answer = await call("POST", "/iris", headers=JSON, parts=parts)

    assert answer.status == 0
    assert await store.depths() == {}


async def test_an_unknown_api_is_named_with_those_that_are_served(call: Caller) -> None:
    answer = await call("POST", "/iriss", b"{}", JSON)

    assert (answer.status, answer.problem) == (404, "unknown_api")
    assert "/elsewhere, /iris" in answer.json()["detail"]


# ── Ids and keys ────────────────────────────────────────────────────────────────────────────────


async def test_put_is_idempotent_and_another_payload_conflicts(call: Caller) -> None:
    first = await call("PUT", "/iris/mine", b"{}", JSON)
    again = await call("PUT", "/iris/mine", b"{}", JSON)
    other = await call("PUT", "/iris/mine", b"[]", JSON)

    assert first.json() == again.json() == {"id": "mine"}
    assert (other.status, other.problem) == (409, "id_taken")
    assert "kept for 7d after the last outcome (retention) and 30d more" in other.json()["detail"]


async def test_a_repeated_key_is_one_workload(call: Caller, facts: Facts) -> None:
    headers = {**JSON, "Idempotency-Key": "abc"}
    first = await call("POST", "/iris", b"{}", headers)
    again = await call("POST", "/iris", b"{}", headers)

    assert first.json() == again.json()
    assert (await call("POST", "/iris", b"[]", headers)).status == 409
    assert len(facts.of("workload.submitted")) == 1


@pytest.mark.parametrize("workload_id", ["a%20b", "%2e%2e", "-x", "x" * 129, "a%00b"])
async def test_an_id_that_could_not_stand_in_a_url_is_refused(workload_id: str, call: Caller) -> None:
    answer = await call("PUT", f"/iris/{workload_id}", b"{}", JSON)

    assert (answer.status, answer.problem) == (400, "invalid_parameter")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("nonsense", None),
    ],
)
async def test_a_trace_is_followed_and_a_malformed_one_ignored(
    header: str, expected: str | None, call: Caller, store: SqliteStore
) -> None:
    assert (await call("POST", "/iris", b"{}", {**JSON, "traceparent": header})).status == 200

    [claimed], _ = await store.claim("iris", 1)
    assert claimed.trace_id == expected


# ── Not now ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_full_queue_is_503_with_a_time_to_come_again(call: Caller) -> None:
    for _ in range(3):
        assert (await call("POST", "/iris", b"{}", JSON)).status == 200
    answer = await call("POST", "/iris", b"{}", JSON)

    assert (answer.status, answer.problem) == (503, "queue_full")
    assert int(answer.headers["retry-after"]) >= 1


async def test_each_ready_replica_makes_room(call: Caller, store: SqliteStore) -> None:
    await store.report("iris", ReplicaState(ready=2))
    for _ in range(6):
        assert (await call("POST", "/iris", b"{}", JSON)).status == 200
    assert (await call("POST", "/iris", b"{}", JSON)).problem == "queue_full"


async def test_an_api_that_cannot_start_says_why(call: Caller, store: SqliteStore) -> None:
    await store.report("iris", ReplicaState(starting=1, problem="no such model"))
    answer = await call("POST", "/iris", b"{}", JSON)

    assert (answer.status, answer.problem) == (503, "api_not_ready")
    assert "no such model" in answer.json()["detail"]
    assert "retry-after" in answer.headers


async def test_an_api_that_is_still_starting_takes_work(call: Caller, store: SqliteStore) -> None:
    await store.report("iris", ReplicaState(starting=1))
    assert (await call("POST", "/iris", b"{}", JSON)).status == 200


async def test_a_draining_server_takes_nothing_and_still_tells(gateway: Gateway, call: Caller) -> None:
    workload_id = (await call("POST", "/iris", b"{}", JSON)).json()["id"]
    gateway.close_to_new()
    refused = await call("POST", "/iris", b"{}", JSON)

    assert (refused.status, refused.problem) == (503, "shutting_down")
    assert refused.headers["connection"] == "close"
    assert (await call("GET", f"/iris/{workload_id}")).status == 200
    assert (await call("GET", "/readyz")).status == 503
    assert (await call("GET", "/healthz")).status == 200


async def test_prefer_wait_answers_like_a_get_that_waits(call: Caller, store: SqliteStore) -> None:
    queued = asyncio.Event()
    store.on_queued("iris", queued.set)
    answering = asyncio.create_task(call("POST", "/iris", b"{}", {**JSON, "Prefer": "respond-async, wait=30"}))
    await queued.wait()
    [claimed], _ = await store.claim("iris", 1)
    await store.finish(claimed.held, Completed(result=b'{"x":1}'), [])
    answer = await answering

    assert answer.json()["result"] == {"x": 1}
    assert answer.headers["preference-applied"] == "wait=30"


@pytest.mark.parametrize("wanted", ["0s", "61m", "soon", "-1s", ""])
async def test_a_run_time_out_that_cannot_be_kept_is_refused(call: Caller, wanted: str) -> None:
    answer = await call("POST", "/iris", b"1", {"Content-Type": "application/json", "Ringback-Timeout": wanted})
    assert answer.problem == "invalid_header"
    assert "Ringback-Timeout" in answer.json()["detail"]


async def test_a_run_time_out_travels_with_the_headers(call: Caller, store: SqliteStore) -> None:
    await call("POST", "/iris", b"1", {"Content-Type": "application/json", "Ringback-Timeout": "90s"})
    claimed = await claim_one(store, api="iris")
    assert run_limit(IRIS, claimed) == 90.0
