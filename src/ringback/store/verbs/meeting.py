"""Who in this process wants to know what: wakes, waiters, the outlet, and what members tell of their replicas.

Memory only; whatever is here can be rebuilt from the tables, and is, after another member has written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Final

from ringback.core.errors import RingbackError
from ringback.core.roles import Role
from ringback.core.workload import Held
from ringback.store.contract import About, Outlet, ReplicaState
from ringback.store.verbs.acts import do_each

_ASLEEP: Final = ReplicaState()


class Topic(StrEnum):
    """What all members keep in memory of what any of them may change."""

    ROSTER = "roster"
    REPLICAS = "replicas"
    PAUSES = "pauses"
    TRIPPED = "tripped"
    CANCELS = "cancels"
    ENDPOINTS = "endpoints"
    LOGOUTS = "logouts"


Key = tuple[str, str]
"""A workload's API and id."""


class Wakes:
    """Callbacks by key, each called once per turn of the loop however often it is asked for."""

    __slots__ = ("_called_soon", "_loop", "_wakes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wakes: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._called_soon: set[str] = set()

    def register(self, key: str, wake: Callable[[], None]) -> None:
        self._wakes[key].append(wake)

    def forget(self, key: str) -> None:
        self._wakes.pop(key, None)

    def remove(self, key: str, wake: Callable[[], None]) -> None:
        """Forget one of the key's wakes."""
        wakes = self._wakes.get(key, [])
        if wake in wakes:
            wakes.remove(wake)
        if not wakes:
            self.forget(key)

    def call(self, key: str) -> None:
        """Call the key's wakes at the loop's next turn."""
        if key in self._wakes and key not in self._called_soon:
            self._called_soon.add(key)
            self._loop.call_soon(self._now, key)

    def call_all(self) -> None:
        for key in self._wakes:
            self.call(key)

    def _now(self, key: str) -> None:
        self._called_soon.discard(key)
        do_each(tuple(self._wakes.get(key, ())))


class Waiters:
    """Futures by workload."""

    __slots__ = ("_futures", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: dict[Key, set[asyncio.Future[None]]] = {}

    def wait_for(self, key: Key) -> asyncio.Future[None]:
        """A future that is done at the next `tell`; cancel it to give up."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._futures.setdefault(key, set()).add(future)
        future.add_done_callback(lambda done: self._forget(key, done))
        return future

    def __bool__(self) -> bool:
        return bool(self._futures)

    def waits_for(self, key: Key) -> bool:
        return key in self._futures

    def awaited(self) -> list[Key]:
        return list(self._futures)

    def tell(self, key: Key) -> None:
        for future in self._futures.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def dismiss(self, error: RingbackError) -> None:
        for futures in list(self._futures.values()):
            for future in list(futures):
                if not future.done():
                    future.set_exception(error)

    def _forget(self, key: Key, future: asyncio.Future[None]) -> None:
        futures = self._futures.get(key)
        if futures is not None:
            futures.discard(future)
            if not futures:
                del self._futures[key]


class Meeting:
    """The part of a store that lives in memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queued = Wakes(loop)
        self.due = Wakes(loop)
        self.captured = Wakes(loop)
        self.news = Wakes(loop)
        """By `Topic`: called by each verb that changes what the others keep of it."""
        self.outlet: Outlet | None = None
        self.strangers: list[Callable[[], None]] = []
        self.endpoints: list[Callable[[str], None]] = []
        self.roster: dict[str, frozenset[Role]] = {}
        """The living members."""
        self.abouts: dict[str, About] = {}
        """What they have told of themselves."""
        self.changes_of_roster: list[Callable[[], None]] = []
        self._cancels: dict[str, list[Callable[[Held], None]]] = {}
        self._reports: dict[str, dict[str, ReplicaState]] = {}
        self._sums: dict[str, ReplicaState] = {}
        self._ends = Waiters(loop)
        self._listeners = Waiters(loop)

    def tell_endpoint(self, key: str) -> None:
        """A registered endpoint has come, changed or gone."""
        do_each(partial(changed, key) for changed in self.endpoints)

    def call_strangers(self) -> None:
        """Deliveries of any endpoint may have been left to whoever takes them."""
        do_each(self.strangers)

    def retell_roster(self, roster: dict[str, frozenset[Role]], abouts: dict[str, About]) -> None:
        """Who the living members are; those who want to know of a change are told of it."""
        if (roster, abouts) == (self.roster, self.abouts):
            return
        self.roster, self.abouts = roster, abouts
        do_each(self.changes_of_roster)

    # ── Waiting for an end, or for anything ─────────────────────────────────────────────────────

    def wait_for(self, api: str, workload_id: str) -> asyncio.Future[None]:
        """A future that is done when `tell_ended` has been told of this workload; cancel it to give up."""
        return self._ends.wait_for((api, workload_id))

    def listen_for(self, api: str, workload_id: str) -> asyncio.Future[None]:
        """A future that is done when something has happened to this workload; cancel it to give up."""
        return self._listeners.wait_for((api, workload_id))

    def tell_ended(self, api: str, workload_id: str) -> None:
        self._ends.tell((api, workload_id))
        self._listeners.tell((api, workload_id))

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def is_listened_for(self, api: str, workload_id: str) -> bool:
        return self._listeners.waits_for((api, workload_id))

    def tell_happened(self, api: str, workload_id: str) -> None:
        self._listeners.tell((api, workload_id))

    def listened_to(self) -> list[Key]:
        """The workloads that somebody listens to."""
        return self._listeners.awaited()

    def awaited(self) -> list[Key]:
        """The workloads whose end somebody waits for."""
        return self._ends.awaited()

    def dismiss(self, error: RingbackError) -> None:
        """Let nobody wait for what will not come."""
        self._ends.dismiss(error)
        self._listeners.dismiss(error)

    # ── Cancels ─────────────────────────────────────────────────────────────────────────────────

    def on_cancel(self, api: str, cancel: Callable[[Held], None]) -> None:
        self._cancels.setdefault(api, []).append(cancel)

    def tell_cancel(self, held: Held) -> None:
        """Somebody wants a workload that this member holds to end."""
        do_each(partial(cancel, held) for cancel in self._cancels.get(held.api, ()))

    # ── Replicas ────────────────────────────────────────────────────────────────────────────────

    def tell_replicas(self, member: str, api: str, state: ReplicaState) -> None:
        self._reports.setdefault(api, {})[member] = state
        self._sums.pop(api, None)

    def retell_replicas(self, reports: Iterable[tuple[str, str, ReplicaState]], *, but: str) -> None:
        """Replace all that is known by these (member, API, state), except what the member `but` tells."""
        kept = [(api, states[but]) for api, states in self._reports.items() if but in states]
        self._reports, self._sums = {}, {}
        for member, api, state in reports:
            if member != but:
                self.tell_replicas(member, api, state)
        for api, state in kept:
            self.tell_replicas(but, api, state)

    def retract_replicas(self, member: str, api: str) -> None:
        self._reports.get(api, {}).pop(member, None)
        self._sums.pop(api, None)

    def serving(self, api: str) -> list[str]:
        # Members' ids are made in the order of time.
        return sorted(member for member, state in self._reports.get(api, {}).items() if not state.is_stuck)

    def own_replicas(self, member: str, api: str) -> ReplicaState:
        state = self._reports.get(api, {}).get(member)
        if state is None:
            return _ASLEEP
        return replace(state, asleep=int(state == _ASLEEP))

    def replicas(self, api: str) -> ReplicaState:
        known = self._sums.get(api)
        if known is None:
            states = list(self._reports.get(api, {}).values())
            known = self._sums[api] = ReplicaState(
                ready=sum(state.ready for state in states),
                starting=sum(state.starting for state in states),
                problem=next((state.problem for state in states if state.problem is not None), None),
                asleep=sum(state == _ASLEEP for state in states),
                preparing=next((state.preparing for state in states if state.preparing is not None), None),
            )
        return known
