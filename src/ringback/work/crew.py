"""One API's replicas: kept at their number, replaced when they die, and how they stand told to the store.

Knows nothing of workloads but how many a replica has in hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, Unavailable
from ringback.core.retry import doubling_wait
from ringback.core.spec import Api
from ringback.store.contract import ReplicaState, Store
from ringback.work.owner import Gone, Owner
from ringback.work.replica import Replica

_RESTART_SECONDS: Final = 0.1
_RESTART_MOST_SECONDS: Final = 30.0


class Crew:
    """Starts replicas for an owner, who passes on what they tell."""

    def __init__(self, api: Api, owner: Owner, store: Store, emit: Emit, *, chance: Callable[[], float]) -> None:
        self._api = api
        self._owner = owner
        self._store = store
        self._emit = emit
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._replicas: dict[int, Replica] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._number = 0
        self._wanted = 0
        self._problem: str | None = None
        self._reported: ReplicaState | None = None
        self._ending = False
        self._emptied = asyncio.Event()

    def __iter__(self) -> Iterator[Replica]:
        return iter(list(self._replicas.values()))

    @property
    def room(self) -> int:
        """How many workloads its replicas should be given now, all together."""
        return sum(replica.room for replica in self._replicas.values())

    def start(self, wanted: int) -> None:
        """Begin to start so many replicas, and keep that number."""
        self._wanted = wanted
        for _ in range(wanted):
            self._start_replica()
        self._tell_state()

    def ready(self) -> list[Replica]:
        """The replicas that can be given work."""
        return [replica for replica in self._replicas.values() if replica.is_ready]

    def listen(self, on: bool) -> None:
        """Stop to read what replicas say, which makes them wait, or go on."""
        for replica in self._replicas.values():
            replica.listen(on)

    # ── From the owner: what replicas told it ───────────────────────────────────────────────────

    def on_ready(self, replica: Replica, load_us: int) -> None:
        """It can be given work."""
        self._emit("replica.ready", api=self._api.name, replica=replica.number, load_us=load_us)
        self._problem = None
        self._tell_state()

    def on_works(self) -> None:
        """A replica has brought a workload to its end: they are not broken."""
        self._failures = 0

    def on_gone(self, replica: Replica, gone: Gone) -> None:
        """It has ended: say so, and start another."""
        self._replicas.pop(replica.number, None)
        if self._ending:
            if not self._replicas:
                self._emptied.set()
            return
        if gone.was_ready:
            self._emit("replica.lost", api=self._api.name, replica=replica.number, reason=gone.how)
        else:
            self._problem = gone.broken or f"its replica {gone.how} before it was ready; the log says more"
            self._emit("replica.broken", api=self._api.name, replica=replica.number, reason=self._problem)
        self._failures += 1
        self._tell_state()
        self._start_later()

    # ── The end ─────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Start no more, and replace none."""
        self._ending = True
        for timer in self._timers:
            timer.cancel()

    def end_idle(self) -> None:
        """End the replicas that have nothing in hand."""
        for replica in self:
            if replica.is_idle:
                replica.kill()

    async def emptied(self, timeout_seconds: float) -> bool:
        """After `stop`: wait until the last replica has ended; False when time is up first."""
        if not self._replicas:
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    # ── Starting ────────────────────────────────────────────────────────────────────────────────

    def _start_later(self) -> None:
        # The first replacement comes at once; a replica that keeps dying is given ever more time.
        wait = 0.0
        if self._failures > 1:
            wait = doubling_wait(_RESTART_SECONDS, _RESTART_MOST_SECONDS, self._failures - 1, self._chance())

        def start() -> None:
            self._timers.discard(timer)
            self._start_replica()
            self._tell_state()

        timer = self._loop.call_later(wait, start)
        self._timers.add(timer)

    def _start_replica(self) -> None:
        self._number += 1
        replica = Replica(self._api, self._owner, self._number)
        self._replicas[replica.number] = replica
        task = self._loop.create_task(self._started(replica))
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _started(self, replica: Replica) -> None:
        try:
            await replica.start()
        except Unavailable as error:
            self._owner.on_gone(replica, Gone(str(error), was_ready=False, broken=str(error)))
        else:
            self._emit("replica.started", api=self._api.name, replica=replica.number, pid=replica.pid)

    # ── How they stand ──────────────────────────────────────────────────────────────────────────

    def _tell_state(self) -> None:
        ready = sum(replica.is_ready for replica in self._replicas.values())
        state = ReplicaState(ready=ready, starting=self._wanted - ready, problem=self._problem)
        if state != self._reported and not self._ending:
            self._reported = state
            asyncio.ensure_future(self._store.report(self._api.name, state)).add_done_callback(self._on_reported)

    def _on_reported(self, done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._reported = None
            if not isinstance(error, RingbackError):
                raise error
