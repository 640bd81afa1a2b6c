"""Reading over HTTP: one workload, waiting for it, lists, and what the server tells of itself."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import new_secret, new_signing_key, public_key
from ringback.core.clock import HandWound
from ringback.core.delivery import Attempt, AttemptClass, Park
from ringback.core.jwks import jwks
from ringback.core.spec import Endpoint, Event
from ringback.core.workload import Completed, Failed, Progress
from ringback.gateway import Gateway, Rules
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Caller
from support.signed import PUBLIC_KEY, SIGNING_KEY
from support.stores import claim_one
from unit.gateway.conftest import IRIS, OTHER, Facts

KEY_SET = "/.well-known/ringback/jwks.json"


async def test_a_workload_at_each_stage(call: Caller, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    assert (await call("GET", "/iris/w1")).json() == {"id": "w1", "status": "in_progress"}

    await store.progress(held, Progress(fraction=0.5, message="half"))
    told = (await call("GET", "/iris/w1")).json()
    assert told["progress"] == {"fraction": 0.5, "message": "half"}

    await store.finish(held, Completed(result=b'{"big":123456789012345678901234567890}'), [])
    answer = await call("GET", "/iris/w1")
    assert list(answer.json()) == ["id", "status", "result", "timestamp"]
    assert b'"result":{"big":123456789012345678901234567890}' in answer.body
    assert answer.json()["timestamp"] == "2023-11-14T22:13:20.000000+00:00"
    assert (await call("GET", "/iris/w1/result")).body == b'{"big":123456789012345678901234567890}'


async def test_a_failed_workload_tells_its_error_and_has_no_result(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, Failed(type="ValueError", message="no 🌸"), [])

    expected = {"id": "w1", "status": "failed", "error": {"type": "ValueError", "message": "no 🌸"}}
    assert (await call("GET", "/iris/w1")).json() == expected
    assert (await call("GET", "/iris/w1/result")).problem == "not_found"


async def test_an_unknown_workload_is_404_and_an_erased_one_410(call: Caller, store: SqliteStore) -> None:
    assert (await call("GET", "/iris/nope")).problem == "unknown_workload"
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), [])
    await store.erase_expired({"iris": 0.0}, 10)
    answer = await call("GET", "/iris/w1")

    assert (answer.status, answer.problem) == (410, "erased")


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_wait_ends_when_the_workload_does(call: Caller, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    waiting = asyncio.create_task(call("GET", "/iris/w1?wait=30"))
    await asyncio.sleep(0)
    await store.finish(held, Completed(result=b"1"), [])

    assert (await waiting).json()["status"] == "completed"


async def test_a_wait_for_one_that_has_ended_returns_at_once(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), [])
    assert (await call("GET", "/iris/w1?wait=300")).json()["status"] == "completed"


async def test_when_time_is_up_the_state_is_told(call: Caller, store: SqliteStore) -> None:
    await claim_one(store, "w1")
    assert (await call("GET", "/iris/w1?wait=0.01")).json()["status"] == "in_progress"


async def test_a_client_that_leaves_is_waited_for_no_longer(call: Caller, store: SqliteStore) -> None:
    await claim_one(store, "w1")
    leaves = asyncio.Event()
    waiting = asyncio.create_task(call("GET", "/iris/w1?wait=300", leaves=leaves))
    await asyncio.sleep(0)
    leaves.set()

    await asyncio.wait_for(waiting, 5)


async def test_draining_lets_those_who_wait_go(gateway: Gateway, call: Caller, store: SqliteStore) -> None:
    await claim_one(store, "w1")
    waiting = asyncio.create_task(call("GET", "/iris/w1?wait=300"))
    await asyncio.sleep(0)
    gateway.close_to_new()

    assert (await asyncio.wait_for(waiting, 5)).json()["status"] == "in_progress"


@pytest.mark.parametrize(
    "query", ["wait=soon", "wait=-1", "wait=nan", "wait=inf", "wait=", "weight=1", "wait=1&wait=2"]
)
async def test_a_wait_that_cannot_be_read_is_refused(query: str, call: Caller, store: SqliteStore) -> None:
    await claim_one(store, "w1")
    answer = await call("GET", f"/iris/w1?{query}")

    assert (answer.status, answer.problem) == (400, "invalid_parameter")


# ── Lists ───────────────────────────────────────────────────────────────────────────────────────


async def test_pages_lead_through_all_workloads_newest_first(call: Caller, store: SqliteStore) -> None:
    for number in range(5):
        await claim_one(store, f"w{number}")
    first = (await call("GET", "/iris?limit=3")).json()
    second = (await call("GET", f"/iris?limit=3&cursor={first['cursor']}")).json()

    assert [each["id"] for each in first["workloads"] + second["workloads"]] == ["w4", "w3", "w2", "w1", "w0"]
    assert second["cursor"] is None


async def test_a_list_by_status_shows_only_those(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "bad")).held, Failed(type="E", message="m"), [])
    await claim_one(store, "running")
    [failed] = (await call("GET", "/iris?status=failed")).json()["workloads"]

    assert failed["id"] == "bad"
    assert failed["error"] == {"type": "E", "message": "m"}
    assert failed["finished_at"] == "2023-11-14T22:13:20.000000+00:00"


@pytest.mark.parametrize(
    "query", ["status=done", "limit=0", "limit=1001", "limit=x", "limit=%C2%B2", "cursor=zzz", "page=2"]
)
async def test_a_list_with_unreadable_parameters_is_refused(query: str, call: Caller) -> None:
    answer = await call("GET", f"/iris?{query}")

    assert (answer.status, answer.problem) == (400, "invalid_parameter")


async def test_a_workloads_deliveries_are_shown_with_their_attempts(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), IRIS.webhooks)
    [delivery], _ = await store.take_due("iris", 1, again=False)
    made = Attempt(
        number=1,
        started_at=store.clock.now(),
        duration_us=1_500,
        outcome=AttemptClass.STATUS,
        status=410,
        detail="answered 410",
    )
    await store.record(delivery, made, Park(reason="gone"))
    [told] = (await call("GET", "/-/deliveries?api=iris&id=w1")).json()["deliveries"]

    assert (told["state"], told["reason"], told["webhook_id"]) == ("parked", "gone", delivery.message_id)
    assert told["attempts"][0]["status"] == 410
    assert told["attempts"][0]["duration_ms"] == 1.5
    assert (await call("GET", "/-/deliveries?api=iris")).problem == "invalid_parameter"
    assert (await call("GET", "/-/deliveries?api=iris&id=nope")).problem == "unknown_workload"


# ── The server ──────────────────────────────────────────────────────────────────────────────────


async def test_readiness_names_each_api_and_its_problem(call: Caller, store: SqliteStore) -> None:
    await store.report("other", ReplicaState(starting=1, problem="no file"))
    answer = await call("GET", "/readyz")
    assert answer.status == 503
    assert answer.json()["apis"]["iris"]["ready"]
    assert answer.json()["apis"]["other"]["problem"] == "no file"

    await store.report("other", ReplicaState(ready=1))
    assert (await call("GET", "/readyz")).status == 200


async def test_what_the_server_tells_of_itself(call: Caller) -> None:
    assert (await call("GET", "/metrics")).body == b"up 1\n"
    assert (await call("GET", "/")).json()["apis"][0] == {"name": "iris", "submit": "/iris"}
    [iris, other] = (await call("GET", "/-/apis")).json()["apis"]
    assert (iris["path"], iris["replicas"], iris["in_queue"]) == ("/iris", 1, 0)
    assert other["path"] == "/elsewhere"


async def test_every_documented_route_exists(call: Caller) -> None:
    document = (await call("GET", "/openapi.json")).json()
    gone = asyncio.Event()  # as soon as the request is read: a stream would go on
    gone.set()
    assert document["openapi"] == "3.1.0"
    assert set(document["webhooks"]) == set(Event)
    for path, methods in document["paths"].items():
        for method in methods.keys() - {"parameters"}:
            answer = await call(
                method.upper(), re.sub(r"\{\w+\}", "some-id", path), b"{}", {"Content-Type": "text/plain"}, leaves=gone
            )
            assert answer.status != 405, f"{method} {path}"
            assert answer.status != 404 or "some-id" in answer.json()["detail"], f"{method} {path}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/iris", "GET, HEAD, POST"),
        ("POST", "/iris/w1", "GET, HEAD, PUT, DELETE"),
        ("POST", "/healthz", "GET, HEAD"),
        ("PUT", "/metrics", "GET, HEAD"),
        ("BREW", "/iris", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str, call: Caller) -> None:
    answer = await call(method, path)

    assert (answer.status, answer.problem) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/nope", "/nope/x", "/iris/", "/iris/a/b/c", "/-/nope", "//", "/docs"])
async def test_nothing_is_404(path: str, call: Caller) -> None:
    answer = await call("GET", path)

    assert answer.status == 404
    assert answer.problem in {"unknown_api", "not_found", "unknown_workload"}


# ── Keys and faults ─────────────────────────────────────────────────────────────────────────────


async def test_the_key_set_holds_the_public_keys_of_every_endpoint_and_nothing_else(
    store: SqliteStore, facts: Facts
) -> None:
    async def metrics() -> bytes:
        return b""

    other, shared = new_signing_key(), new_secret()
    hooks = [
        Endpoint(key="iris/1", url="http://a/", secret=f"{SIGNING_KEY} {shared}"),
        Endpoint(key="iris/2", url="http://b/"),
        Endpoint(key="iris/3", url="http://c/", secret=f"{other} {SIGNING_KEY}"),
    ]
    apis = [replace(IRIS, webhooks=tuple(hooks[:2])), replace(OTHER, webhooks=tuple(hooks[2:]))]
    call = Caller(Gateway(store, apis, facts, rules=Rules(max_body_bytes=10), metrics=metrics))

    answer = await call("GET", KEY_SET)
    assert answer.json() == jwks([PUBLIC_KEY, public_key(other)])
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert b'"d"' not in answer.body
    assert (await call("POST", KEY_SET)).problem == "method_not_allowed"
    assert KEY_SET in (await call("GET", "/openapi.json")).json()["paths"]


async def test_a_file_without_ed25519_keys_has_an_empty_key_set(call: Caller) -> None:
    assert (await call("GET", KEY_SET)).json() == {"keys": []}


async def test_with_keys_set_only_health_and_public_keys_are_open(store: SqliteStore, facts: Facts) -> None:
    async def metrics() -> bytes:
        return b""

    keys = frozenset({"first", "second"})
    call = Caller(Gateway(store, [IRIS], facts, rules=Rules(max_body_bytes=10, api_keys=keys), metrics=metrics))

    for path in ("/healthz", "/readyz", KEY_SET):
        assert (await call("GET", path)).status == 200
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "first"},
        {"Authorization": "Basic first"},
    ):
        for path in ("/iris", "/metrics", "/", "/openapi.json", "/-/apis", "/nope"):
            answer = await call("GET", path, headers=headers)
            assert (answer.status, answer.problem) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
    for key in keys:
        assert (await call("GET", "/iris", headers={"Authorization": f"bearer {key}"})).status == 200


async def test_a_fault_of_ours_is_500_without_its_insides(store: SqliteStore, facts: Facts) -> None:
    async def broken() -> bytes:
        raise ZeroDivisionError("secret insides")

    answer = await Caller(Gateway(store, [IRIS], facts, rules=Rules(max_body_bytes=10), metrics=broken))(
        "GET", "/metrics"
    )

    assert (answer.status, answer.problem) == (500, "internal")
    assert b"secret" not in answer.body
    assert facts.of("gateway.failed") == [{"route": "GET /metrics", "error": "ZeroDivisionError('secret insides')"}]


async def test_a_closed_store_is_a_problem_not_a_crash(call: Caller, store: SqliteStore) -> None:
    await store.close()
    assert (await call("GET", "/iris/x")).problem == "store_error"
    assert (await call("POST", "/iris", b"1", {"Content-Type": "application/json"})).problem == "store_error"


METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"])
PATHS = st.text(max_size=30) | st.sampled_from(["iris", "iris/x", "iris/x/result", "-/deliveries", "-/apis", "metrics"])
HEADER_NAMES = st.sampled_from([b"content-type", b"idempotency-key", b"traceparent", b"content-length", b"x"])
HEADERS = st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=30)), max_size=4)


def test_whatever_comes_is_answered_and_never_with_500(tmp_path: Path) -> None:
    facts = Facts()

    async def metrics() -> bytes:
        return b""

    with asyncio.Runner() as runner:
        store = runner.run(open_sqlite(tmp_path / "ringback.db", clock=HandWound()))
        call = Caller(Gateway(store, [IRIS], facts, rules=Rules(max_body_bytes=1_000), metrics=metrics))

        @settings(max_examples=60, deadline=None)
        @given(METHODS, PATHS, st.text(max_size=30), HEADERS, st.binary(max_size=40))
        def ask(method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
            target = f"/{path.replace('?', '')}?{query}".encode("utf-8", "replace").decode()
            answer = runner.run(call(method, target, body, headers))
            assert 200 <= answer.status < 500 or answer.problem == "queue_full"

        ask()
        runner.run(store.close())
    assert not facts.of("gateway.failed")
