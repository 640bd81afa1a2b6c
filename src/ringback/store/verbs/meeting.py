"""Who in this process wants to know what: wakes, waiters, the outlet, and what members tell of their replicas.

Memory only; whatever is here can be rebuilt from the tables, and is, after another member has written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

from ringback.core.errors import RingbackError
from ringback.store.contract import Outlet, ReplicaState


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
        for wake in tuple(self._wakes.get(key, ())):
            wake()


class Meeting:
    """The part of a store that lives in memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queued = Wakes(loop)
        self.due = Wakes(loop)
        self.captured = Wakes(loop)
        self.outlet: Outlet | None = None
        self._loop = loop
        self._reports: dict[str, dict[str, ReplicaState]] = {}
        self._sums: dict[str, ReplicaState] = {}
        self._waiters: dict[tuple[str, str], set[asyncio.Future[None]]] = {}

    # ── Waiting for an end ──────────────────────────────────────────────────────────────────────

    def wait_for(self, api: str, workload_id: str) -> asyncio.Future[None]:
        """A future that is done when `tell_ended` has been told of this workload; cancel it to give up."""
        future: asyncio.Future[None] = self._loop.create_future()
        key = (api, workload_id)
        self._waiters.setdefault(key, set()).add(future)
        future.add_done_callback(lambda done: self._forget_waiter(key, done))
        return future

    def tell_ended(self, api: str, workload_id: str) -> None:
        for future in self._waiters.pop((api, workload_id), ()):
            if not future.done():
                future.set_result(None)

    def awaited(self) -> list[tuple[str, str]]:
        """The workloads somebody waits for."""
        return list(self._waiters)

    def dismiss(self, error: RingbackError) -> None:
        """Let nobody wait for what will not come."""
        for futures in list(self._waiters.values()):
            for future in list(futures):
                if not future.done():
                    future.set_exception(error)

    def _forget_waiter(self, key: tuple[str, str], future: asyncio.Future[None]) -> None:
        futures = self._waiters.get(key)
        if futures is not None:
            futures.discard(future)
            if not futures:
                del self._waiters[key]

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

    def replicas(self, api: str) -> ReplicaState:
        known = self._sums.get(api)
        if known is None:
            states = self._reports.get(api, {}).values()
            known = self._sums[api] = ReplicaState(
                ready=sum(state.ready for state in states),
                starting=sum(state.starting for state in states),
                problem=next((state.problem for state in states if state.problem is not None), None),
            )
        return known
