"""Alive, ready, figures: of a server with every role, and of those that have only some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.agreement import digests
from ringback.core.clock import HandWound
from ringback.core.roles import Role
from ringback.gateway import Gateway, Probes, Rules
from ringback.store.contract import About, Part, ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Caller
from unit.gateway.conftest import IRIS, Facts

LEASE_SECONDS = 30.0


@dataclass(slots=True)
class Host:
    """Members on one store."""

    path: Path
    clock: HandWound = field(default_factory=HandWound)

    @asynccontextmanager
    async def member(self, *roles: Role) -> AsyncIterator[SqliteStore]:
        part = Part(roles=frozenset(roles))
        store = await open_sqlite(self.path, clock=self.clock, lease_seconds=LEASE_SECONDS, part=part)
        yield store
        await store.close()


async def metrics() -> bytes:
    return b"up 1\n"


def app(store: SqliteStore, facts: Facts | None = None, keys: frozenset[str] = frozenset()) -> Gateway | Probes:
    kind: Callable[..., Gateway | Probes] = Gateway if Role.GATEWAY in store.roles else Probes
    return kind(store, [IRIS], facts or Facts(), rules=Rules(max_body_bytes=10, api_keys=keys), metrics=metrics)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "ringback.db")


async def test_a_gateway_is_ready_before_any_worker_has_come(host: Host) -> None:
    async with host.member(Role.GATEWAY) as store:
        answer = await Caller(app(store))("GET", "/readyz")
    assert answer.status == 200
    assert answer.json()["roles"] == ["gateway"]
    assert answer.json()["apis"]["iris"]["ready"] is False


async def test_how_many_have_an_api_otherwise_is_told(host: Host) -> None:
    async with (
        host.member(Role.GATEWAY) as store,
        host.member(Role.WORKER) as worker,
        host.member(Role.WORKER) as other,
    ):
        call = Caller(app(store))

        async def told() -> int:
            await store.heartbeat()
            number: int = (await call("GET", "/-/apis")).json()["apis"][0]["differing"]
            assert number == (await call("GET", "/readyz")).json()["apis"]["iris"]["differing"]
            return number

        assert await told() == 0, "nobody has said anything"
        await worker.introduce(About(server="gpu-1", apis=digests([IRIS])))
        assert await told() == 0
        await worker.introduce(About(server="gpu-1", apis={"iris": "another"}))
        await other.introduce(About(server="gpu-2", apis={}))
        assert await told() == 2


async def test_whether_anybody_runs_an_api_and_sends_for_it_is_told(host: Host) -> None:
    async with host.member(Role.GATEWAY) as store:
        call = Caller(app(store))

        async def told() -> tuple[int, int]:
            await store.heartbeat()
            listed = (await call("GET", "/-/apis")).json()["apis"][0]
            assert listed["workers"] == (await call("GET", "/readyz")).json()["apis"]["iris"]["workers"]
            return listed["workers"], listed["dispatchers"]

        assert await told() == (0, 0)
        async with host.member(Role.WORKER) as worker, host.member(Role.WORKER, Role.DISPATCHER) as other:
            await other.report("another", ReplicaState(ready=1))
            assert await told() == (0, 1), "a worker whose file does not have the API is none of its"
            await worker.report("iris", ReplicaState())  # asleep
            await worker.heartbeat()
            assert await told() == (1, 1)
        assert await told() == (0, 0)


async def test_a_worker_is_ready_when_replicas_of_its_own_are(host: Host) -> None:
    async with host.member(Role.WORKER) as store, host.member(Role.WORKER) as other:
        await other.report("iris", ReplicaState(ready=1))
        await store.heartbeat()
        call = Caller(app(store))
        assert (await call("GET", "/readyz")).status == 503
        await store.report("iris", ReplicaState(starting=1))
        assert (await call("GET", "/readyz")).status == 503
        await store.report("iris", ReplicaState(ready=1))
        answer = await call("GET", "/readyz")
        assert (answer.status, answer.json()["apis"]["iris"]["replicas"]) == (200, 2)
        await store.report("iris", ReplicaState())  # asleep until there is something to do
        assert (await call("GET", "/readyz")).status == 200
        await store.report("iris", ReplicaState(problem="no model"))
        assert (await call("GET", "/readyz")).status == 503


@pytest.mark.parametrize("role", [Role.GATEWAY, Role.DISPATCHER])
async def test_who_has_lost_touch_with_the_store_is_not_ready_but_alive(role: Role, host: Host) -> None:
    async with host.member(role) as store:
        call = Caller(app(store))
        assert (await call("GET", "/readyz")).json()["store"] == "ok"
        host.clock.wind(LEASE_SECONDS)
        answer = await call("GET", "/readyz")
        assert (answer.status, answer.json()["store"]) == (503, "out of reach")
        assert (await call("GET", "/healthz")).status == 200
        await store.heartbeat()
        assert (await call("GET", "/readyz")).status == 200


@pytest.mark.parametrize("role", [Role.GATEWAY, Role.DISPATCHER])
async def test_who_drains_is_ready_no_more(role: Role, host: Host) -> None:
    async with host.member(role) as store:
        told = app(store)
        told.close_to_new()
        answer = await Caller(told)("GET", "/readyz")
    assert (answer.status, answer.json()["draining"]) == (503, True)


async def test_without_the_gateway_role_only_probes_are_answered(host: Host) -> None:
    async with host.member(Role.WORKER, Role.DISPATCHER) as store:
        call = Caller(app(store))
        assert (await call("GET", "/metrics")).body == b"up 1\n"
        assert (await call("HEAD", "/healthz")).status == 200
        for method, path in (("POST", "/iris"), ("GET", "/iris/x"), ("GET", "/"), ("GET", "/-/apis")):
            answer = await call(method, path)
            assert (answer.status, answer.problem) == (404, "not_found")
            assert "this server is dispatcher, worker and answers" in answer.json()["detail"]
            assert "one that has the gateway role" in answer.json()["detail"]
        assert (await call("POST", "/healthz")).problem == "method_not_allowed"


async def test_its_figures_want_a_key_where_there_are_any_and_probes_do_not(host: Host) -> None:
    async with host.member(Role.WORKER) as store:
        call = Caller(app(store, keys=frozenset({"sesame"})))
        for path in ("/healthz", "/readyz"):
            assert (await call("GET", path)).status in {200, 503}
        for path in ("/metrics", "/iris"):
            assert (await call("GET", path)).problem == "unauthorized"
        answer = await call("GET", "/metrics", headers={"Authorization": "Bearer sesame"})
        assert answer.body == b"up 1\n"


async def test_a_fault_of_ours_is_500_without_its_insides(host: Host) -> None:
    async def broken() -> bytes:
        await asyncio.sleep(0)
        raise ZeroDivisionError("secret insides")

    facts = Facts()
    async with host.member(Role.WORKER) as store:
        told = Probes(store, [IRIS], facts, rules=Rules(max_body_bytes=10), metrics=broken)
        answer = await Caller(told)("GET", "/metrics")
    assert (answer.status, answer.problem) == (500, "internal")
    assert b"secret" not in answer.body
    assert facts.of("gateway.failed") == [{"route": "GET /metrics", "error": "ZeroDivisionError('secret insides')"}]
