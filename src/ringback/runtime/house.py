"""The parts put together over one open store: started, drained and closed in the order that keeps every promise.

Knows who exists, never what they do. A member that is declared dead drops everything; `serve` then builds anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakSet

from ringback.core.clock import Clock
from ringback.core.errors import BlobsUnavailable, StoreError
from ringback.core.hosts import is_loopback
from ringback.core.netguard import Guard
from ringback.core.roles import EVERY_ROLE, Role
from ringback.core.spec import Api, Endpoint
from ringback.dashboard import Hour
from ringback.deliver import Dialling, Dispatcher
from ringback.gateway import Gateway, Probes, Rules
from ringback.inspector import Reach
from ringback.runtime.agreeing import Agreement
from ringback.runtime.facts import Facts
from ringback.runtime.front import Face, FrontOfHouse
from ringback.runtime.metrics import Metrics
from ringback.runtime.names import Names, is_own
from ringback.runtime.stores import open_store
from ringback.store.blobs import Large, open_blobs
from ringback.store.contract import Blobs, Part, Store
from ringback.store.verbs.store import VerbStore
from ringback.upkeep import Keeper
from ringback.work import Engine, Pool, local_engine

_LOOPBACK: Final = frozenset({"127.0.0.0/8", "::1", "localhost"})

_DELIVERY_SHARE: Final = 0.25
"""The part of the grace period kept for webhooks on their way, after the workloads have had theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a house is built from."""

    apis: Sequence[Api]
    store: Path | str
    """A SQLite file, or a postgresql:// URL."""
    environments: Path
    """The folder for the environments of APIs that bring requirements."""
    clock: Clock
    blobs: str
    """A folder, or a URL."""
    spool: Path
    """A folder for what is on its way to a blob or a replica."""
    blob_threshold_bytes: int
    file_threshold_bytes: int
    max_body_bytes: int
    api_keys: frozenset[str]
    allow: frozenset[str]
    public_url: str
    hosts: frozenset[str] | None
    """The names the server goes by; None means any."""
    own_url: str = ""
    """Where it listens, as this machine reaches it."""
    has_inspector: bool = False
    grace_seconds: float
    lease_seconds: float = 30.0
    """How long a member that says nothing is believed to live."""
    roles: frozenset[Role] = EVERY_ROLE
    log_form: str = "text"
    """As `Engine.log_form`."""
    engine: str = "local"
    """Where replicas run: `local` or `ray`."""


class House:
    """One member: its store and its parts."""

    def __init__(
        self, plan: Plan, store: VerbStore, large: Large, engine: Engine, *, facts: Facts, metrics: Metrics
    ) -> None:
        chance = random.Random().random  # noqa: S311 - spreads retries, guards nothing
        guard, resolve = Guard(plan.allow, is_own=is_own), Names()
        self._plan = plan
        self._store = store
        self._blobs = large.blobs
        self._keeper = Keeper(store, plan.apis, facts, lease_seconds=plan.lease_seconds, blobs=large.blobs)
        self._dispatcher = Dispatcher(
            store, self._sent_here(plan.apis), facts, chance=chance, dialling=Dialling(guard=guard, resolve=resolve)
        )
        self._engine = engine
        self._pool_of: Callable[[Api], Pool] = partial(_pool, store, facts, chance, engine, large)
        self._pools = {api.name: self._pool_of(api) for api in self._run_here(plan.apis)}
        self._leaving: dict[asyncio.Task[None], Pool] = {}
        self._upkeep: asyncio.Task[None] | None = None
        self._rules = Rules(
            max_body_bytes=plan.max_body_bytes,
            api_keys=plan.api_keys,
            hosts=plan.hosts,
            guard=guard,
            resolve=resolve,
            large=large,
        )
        self._agreement = Agreement(store, facts)
        self._facts = facts
        self._metrics = metrics
        self._face = self._face_of(plan.apis)
        self._past = WeakSet[Gateway | Probes]()
        """Applications that may still be answering what they were asked."""
        self._hurry = asyncio.Event()
        self._has_drained = False

    @classmethod
    async def open(cls, plan: Plan, facts: Facts, metrics: Metrics) -> House:
        """Open the store and put the parts over it; nothing runs yet.

        Raises:
            StoreError: the store or the place for blobs cannot be opened; the message says why.
            Unavailable: the engine cannot be had.
        """
        engine = await _engine(plan, facts)
        async with contextlib.AsyncExitStack() as opened:
            opened.push_async_callback(engine.close)
            house = await cls._over(plan, engine, facts, metrics)
            opened.pop_all()
        return house

    @classmethod
    async def _over(cls, plan: Plan, engine: Engine, facts: Facts, metrics: Metrics) -> House:
        store = await open_store(
            plan.store,
            clock=plan.clock,
            emit=facts,
            lease_seconds=plan.lease_seconds,
            part=Part(roles=plan.roles, public_url=plan.public_url),
        )
        try:
            blobs = open_blobs(plan.blobs, space=store.blob_space, name=store.name_blob, spool=plan.spool)
            await _see_to(blobs, facts)
        except StoreError:
            await store.close()
            raise
        large = Large(
            blobs=blobs,
            blob_threshold_bytes=plan.blob_threshold_bytes,
            file_threshold_bytes=plan.file_threshold_bytes,
        )
        return cls(plan, store, large, engine, facts=facts, metrics=metrics)

    @property
    def plan(self) -> Plan:
        """What it is built from now."""
        return self._plan

    @property
    def app(self) -> Gateway | Probes:
        """What answers HTTP."""
        return self._face.app

    @property
    def store(self) -> Store:
        return self._store

    @property
    def is_still(self) -> bool:
        """Whether no webhook is on its way at this moment, nor an attempt still to be written down."""
        return self._dispatcher.is_still

    async def start(self) -> None:
        """Set the parts going: those who finish what is there before those who take in more."""
        await self._face.prepare()
        self._agreement.serve(self._plan.apis)
        if Role.DISPATCHER in self._plan.roles:
            await self._dispatcher.start()
        self._upkeep = asyncio.create_task(self._keeper.run(), name="ringback-upkeep")
        for pool in self._pools.values():
            await pool.start()
        self._face.open()

    async def serve(self, apis: Sequence[Api], changed: Collection[Path] | None = None) -> None:
        """Serve these from now on, without a workload lost: each ends on the replica that took it.

        An API that was served already has its replicas replaced one by one. One that has gone is answered for no more;
        what it is running ends, what waits in its queue stays there until the API is back.

        Args:
            apis: all that is to be served.
            changed: the files that have changed, if that is known: an API that is as before and made of none of them
                is left alone. When no API is another than before, neither are pages and event streams begun anew.
        """
        before = {api.name: api for api in self._plan.apis}
        if changed is None or list(apis) != list(self._plan.apis):
            await self._face_anew(apis)
        run_here = self._run_here(apis)
        for name in self._pools.keys() - {api.name for api in run_here}:
            self._let_go(self._pools.pop(name))
        for api in run_here:
            pool = self._pools.get(api.name)
            if pool is None:
                pool = self._pools[api.name] = self._pool_of(api)
                await pool.start()
            elif changed is None or api != before[api.name] or any(map(api.predictor.is_made_of, changed)):
                pool.serve(api)

    async def _face_anew(self, apis: Sequence[Api]) -> None:
        """Answer for these, and tell their endpoints."""
        self._dispatcher.serve(self._sent_here(apis))
        self._keeper.serve(apis)
        self._plan = replace(self._plan, apis=apis)
        self._agreement.serve(apis)
        before, face = self._face, self._face_of(apis, self._face.hour)
        await face.prepare()
        self._face = face
        face.open()
        self._past.add(before.app)
        before.app.end_streams()
        await before.close()

    async def live(self, until: asyncio.Event) -> None:
        """Keep on until the event is set.

        Raises:
            LeaseLost: others have taken over; the house has been abandoned.
        """
        assert self._upkeep is not None
        waiter = asyncio.create_task(until.wait())
        try:
            await asyncio.wait({waiter, self._upkeep}, return_when=asyncio.FIRST_COMPLETED)
            if self._upkeep.done() and not until.is_set():
                self._abandon()
                await self._face.close()
                await self._blobs.close()
                await self._engine.close()
                await self._upkeep
        finally:
            waiter.cancel()

    async def drain(self) -> None:
        """Stop taking work, let what runs end within the grace period, give the rest back, and leave the store."""
        grace = self._plan.grace_seconds
        for app in (self._face.app, *self._past):
            app.close_to_new()
        self._face.close_streams()
        pools = (*self._pools.values(), *self._leaving.values())
        await asyncio.gather(*(pool.drain(grace * (1 - _DELIVERY_SHARE), self._hurry) for pool in pools))
        self._has_drained = True
        await self._dispatcher.stop(0.0 if self._hurry.is_set() else grace * _DELIVERY_SHARE)
        self._face.app.end_streams()

    def hurry(self) -> bool:
        """Have a drain give back at once what has not ended; False when it has been told before, or nothing runs."""
        can = not self._has_drained and not self._hurry.is_set()
        self._hurry.set()
        return can

    @property
    def has_hurried(self) -> bool:
        """Whether its drain was cut short."""
        return self._hurry.is_set()

    async def close(self) -> None:
        """Leave the store; after this nothing is this member's any more."""
        await self._face.close()
        self._agreement.stop()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        await self._store.close()
        await self._blobs.close()
        await self._engine.close()

    def _face_of(self, apis: Sequence[Api], hour: Hour | None = None) -> Face:
        """What the world sees of these APIs."""
        plan, store, metrics = self._plan, self._store, self._metrics
        names = [api.name for api in apis]
        if Role.GATEWAY not in plan.roles:
            return Face(
                Probes(store, apis, self._facts, rules=self._rules, metrics=lambda: metrics.exposition(store, names))
            )
        front = FrontOfHouse(store, apis, metrics, plan.public_url, reach=_reach(plan), hour=hour)
        gateway = Gateway(
            store,
            apis,
            self._facts,
            rules=self._rules,
            metrics=lambda: metrics.exposition(store, names),
            front=front.front,
        )
        return Face(gateway, front)

    def _run_here(self, apis: Sequence[Api]) -> Sequence[Api]:
        """Those of the APIs that this member runs."""
        return apis if Role.WORKER in self._plan.roles else ()

    def _sent_here(self, apis: Sequence[Api]) -> dict[str, Endpoint]:
        """Those of the APIs' endpoints that this member may send to."""
        return _endpoints(apis) if Role.DISPATCHER in self._plan.roles else {}

    def _let_go(self, pool: Pool) -> None:
        """Have a pool take nothing more, for as long as what it runs takes."""
        leaving = asyncio.create_task(pool.leave())
        self._leaving[leaving] = pool
        leaving.add_done_callback(self._leaving.pop)

    def _abandon(self) -> None:
        for pool in (*self._pools.values(), *self._leaving.values()):
            pool.abandon()
        self._dispatcher.abandon()
        self._agreement.stop()
        self._face.close_streams()


async def _engine(plan: Plan, facts: Facts) -> Engine:
    if plan.engine == "ray" and Role.WORKER in plan.roles:
        from ringback.work.cluster import ray_engine  # noqa: PLC0415 - only those load it who run replicas there

        return await ray_engine(facts, log_form=plan.log_form)
    return local_engine(plan.environments, facts, log_form=plan.log_form)


async def _see_to(blobs: Blobs, facts: Facts) -> None:
    """See that there is a place for what is large, before somebody sends it; one that is only away may come back."""
    try:
        await blobs.must_be_usable()
    except StoreError:
        await blobs.close()
        raise
    except BlobsUnavailable as away:
        facts("blobs.away", detail=str(away))


def _reach(plan: Plan) -> Reach | None:
    """What the inspector is told of the server. One on loopback may send on to its own machine; others, where told."""
    if not plan.has_inspector:
        return None
    host = urlsplit(plan.own_url).hostname or ""
    allow = plan.allow | _LOOPBACK if is_loopback(host) else plan.allow
    return Reach(base_url=plan.public_url, own_url=plan.own_url, guard=Guard(allow), read_bytes=plan.max_body_bytes)


def _endpoints(apis: Iterable[Api]) -> dict[str, Endpoint]:
    return {endpoint.key: endpoint for api in apis for endpoint in api.webhooks}


def _pool(store: Store, facts: Facts, chance: Callable[[], float], engine: Engine, large: Large, api: Api) -> Pool:
    return Pool(api, store, facts, chance=chance, engine=engine, large=large)
