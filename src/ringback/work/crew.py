"""One API's replicas: kept at the number wanted, of the version wanted, and how they stand told to the store.

Replacements are made ready before those they replace are let go. Knows nothing of workloads but how many a replica has.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, Unavailable
from ringback.core.retry import doubling_wait
from ringback.core.spec import Api
from ringback.store.contract import ReplicaState, Store
from ringback.work.engine import Engine
from ringback.work.memory import used_bytes
from ringback.work.owner import Gone, Owner, Version
from ringback.work.preparation import Preparation
from ringback.work.replica import Replica

_RESTART_SECONDS: Final = 0.1
_RESTART_MOST_SECONDS: Final = 30.0
_REPORT_AGAIN_SECONDS: Final = 1.0


class Crew:
    """Starts replicas for an owner, who passes on what they tell, and lets them go."""

    def __init__(
        self, api: Api, owner: Owner[Replica], store: Store, emit: Emit, *, chance: Callable[[], float], engine: Engine
    ) -> None:
        self._api = api
        self._owner = owner
        self._store = store
        self._emit = emit
        self._chance = chance
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._version = 1
        self._wanted = 0
        self._serving: dict[int, Replica] = {}
        self._leaving: dict[int, Replica] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        """One for each replica that is to be started when its time has come."""
        self._starts: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._number = 0
        self._problem: str | None = None
        self._told = ""
        """The traceback that was told last of this version."""
        self._preparation = Preparation(engine, emit, chance=chance, changed=self._settle)
        self._reported: ReplicaState | None = None
        self._is_replacing = False
        self._ending = False
        self._emptied = asyncio.Event()

    def __iter__(self) -> Iterator[Replica]:
        """All there are, those that are leaving included."""
        return iter([*self._serving.values(), *self._leaving.values()])

    @property
    def wanted(self) -> int:
        """How many there are to be."""
        return self._wanted

    @property
    def told(self) -> int:
        """How many of them, ready or starting, the store was last told of."""
        return 0 if self._reported is None else self._reported.ready + self._reported.starting

    @property
    def replica_bytes(self) -> int | None:
        """The memory of the largest that has loaded; None when there is none."""
        return max((used_bytes(replica.pid) for replica in self if replica.is_ready), default=None)

    def memory_limits(self) -> dict[int, int]:
        """Their processes, those that have a limit, each with its own in bytes."""
        pairs = ((replica.pid, replica.api.compute.mem_bytes) for replica in self if replica.pid)
        return {pid: limit for pid, limit in pairs if limit is not None}

    @property
    def room(self) -> int:
        """How many workloads its replicas should be given now, all together."""
        return sum(replica.room for replica in self._serving.values())

    # ── From the owner: what there is to be ─────────────────────────────────────────────────────

    def start(self, count: int) -> None:
        """Begin to have so many."""
        self._preparation.begin(self._api)
        self.want(count)

    def want(self, count: int) -> None:
        """Have so many from now on: start what is missing, let go what is too many once it has nothing in hand."""
        self._wanted = count
        self._engine.budget.note(self._api.name, self._api.compute, count)
        if count == 0:
            self._problem = None  # nobody tries any more; the next workload finds out whether it still stands
        self._settle()

    def serve(self, api: Api) -> None:
        """Replace the replicas one by one with new ones that are as `api` says; the old serve until then.

        When the new ones do not start, the old stay.
        """
        self._api = api
        self._engine.budget.note(api.name, api.compute, self._wanted)
        self._version += 1
        self._is_replacing = bool(self._serving)
        self._failures = 0
        self._problem = None
        self._told = ""
        self._cancel_starts()
        self._preparation.begin(api)
        self._settle()

    def choose(self) -> Replica | None:
        """The replica that should be given the next workload: with room, and the least to do; None if none is ready."""
        ready = [replica for replica in self._serving.values() if replica.is_ready]
        if len(ready) < 2:
            return ready[0] if ready else None
        return min(ready, key=_reluctance)

    def listen(self, on: bool) -> None:
        """Stop to read what replicas say, which makes them wait, or go on."""
        for replica in self:
            replica.listen(on)

    def end_for_memory(self, pid: int, used_bytes: int) -> None:
        """End the one with that process, because it uses more memory than it may."""
        for replica in self:
            if replica.pid == pid:
                replica.end_for_memory(used_bytes)

    # ── From the owner: what replicas told it ───────────────────────────────────────────────────

    def on_waiting(self) -> None:
        """What one of them waits for, before it can begin, has changed."""
        self._tell_state()

    def on_ready(self, replica: Replica, load_us: int) -> None:
        """It can be given work."""
        self._emit("replica.ready", api=self._api.name, replica=replica.number, load_us=load_us)
        if replica.version == self._version:
            self._problem = None
            self._told = ""
        self._settle()

    def on_taken(self, replica: Replica) -> None:
        """It has been given a workload: see whether it has had its share."""
        if replica.left == 0:
            self._let_go(replica)
            self._settle()
        elif replica.is_waning:
            self._settle()

    def on_outcome(self, replica: Replica) -> None:
        """It has brought a workload to its end: its version is not broken."""
        if replica.version == self._version:
            self._failures = 0

    def on_room(self, replica: Replica) -> None:
        """It has less in hand than before: end it if it was let go and has nothing."""
        if replica.number in self._leaving and replica.is_idle:
            replica.kill()

    def on_gone(self, replica: Replica, gone: Gone) -> None:
        """It has ended: if it was not to, say so, and have another started."""
        was_leaving = self._leaving.pop(replica.number, None) is not None
        self._serving.pop(replica.number, None)
        if self._ending:
            if not self._serving and not self._leaving:
                self._emptied.set()
            return
        if was_leaving and gone.is_clean:
            self._emit("replica.retired", api=self._api.name, replica=replica.number)
            return
        if gone.was_ready:
            self._emit("replica.lost", api=self._api.name, replica=replica.number, reason=gone.how)
            if was_leaving:
                return
        else:
            self._tell_broken(replica, gone)
        if not gone.by_force:
            self._failures += 1
        self._settle()

    def _tell_broken(self, replica: Replica, gone: Gone) -> None:
        """Say why it has not started; how that came about is said once, not at each try."""
        self._problem = gone.broken or f"its replica {gone.how} before it was ready; the log says more"
        traceback = "" if gone.traceback == self._told else gone.traceback
        self._told = gone.traceback
        self._emit(
            "replica.broken",
            api=self._api.name,
            replica=replica.number,
            reason=self._problem,
            traceback=traceback,
        )

    # ── The end ─────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Start no more, and replace none."""
        self._engine.budget.forget(self._api.name)
        self._ending = True
        self._preparation.stop()
        self._cancel_starts()

    def end_idle(self) -> None:
        """End the replicas that have nothing in hand."""
        for replica in self:
            if replica.is_idle:
                replica.kill()

    async def emptied(self, timeout_seconds: float, hurry: asyncio.Event) -> bool:
        """After `stop`: wait until the last replica has ended; False when time is up, or `hurry` is set, before."""
        if not self._serving and not self._leaving:
            return True
        waits = [asyncio.ensure_future(each.wait()) for each in (self._emptied, hurry)]
        timeout = None if math.isinf(timeout_seconds) else timeout_seconds
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return self._emptied.is_set()

    # ── Keeping the number ──────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        """Bring what there is nearer to what there is to be; called whenever either has changed."""
        if self._ending:
            return
        self._let_go_what_is_replaced()
        self._let_go_what_is_too_many()
        self._start_what_is_missing()
        self._tell_state()
        if self._is_replacing and all(each.is_ready and self._lasts(each) for each in self._serving.values()):
            self._is_replacing = False
            self._emit("api.replaced", api=self._api.name, replicas=len(self._serving))

    def _let_go_what_is_replaced(self) -> None:
        """Those that will not last go as others become ready; those of them that have not started, at once."""
        passing = [replica for replica in self._serving.values() if not self._lasts(replica)]
        for replica in passing:
            if not replica.is_ready:
                self._let_go(replica)
        ready = sum(replica.is_ready and self._lasts(replica) for replica in self._serving.values())
        going = sorted((replica for replica in passing if replica.is_ready), key=_dispensability)
        for replica in going[: max(0, len(going) - max(0, self._wanted - ready))]:
            self._let_go(replica)

    def _let_go_what_is_too_many(self) -> None:
        lasting = [replica for replica in self._serving.values() if self._lasts(replica)]
        too_many = len(lasting) + len(self._timers) - self._wanted
        while too_many > 0 and self._timers:
            self._timers.pop().cancel()
            too_many -= 1
        for replica in sorted(lasting, key=_dispensability)[: max(0, too_many)]:
            self._let_go(replica)

    def _start_what_is_missing(self) -> None:
        if self._preparation.python is None:
            return
        lasting = sum(self._lasts(replica) for replica in self._serving.values())
        coming = len(self._timers)
        waning = sum(replica.is_waning and replica.version == self._version for replica in self._serving.values())
        old = any(replica.version != self._version for replica in self._serving.values())
        # Beside those of an old version, one new one at a time; beside each that has nearly had its share, one.
        most = self._wanted + waning + old
        for _ in range(min(self._wanted - lasting, most - len(self._serving)) - coming):
            self._start_later()

    def _lasts(self, replica: Replica) -> bool:
        """Whether it need not be replaced."""
        return replica.version == self._version and not replica.is_waning

    def _let_go(self, replica: Replica) -> None:
        """Give it nothing more, and end it once it has nothing in hand."""
        del self._serving[replica.number]
        self._leaving[replica.number] = replica
        if replica.is_idle:
            replica.kill()

    # ── Starting ────────────────────────────────────────────────────────────────────────────────

    def _start_later(self) -> None:
        # The first replacement comes at once; a version whose replicas keep dying is given ever more time.
        if self._failures <= 1:
            self._start_replica()
            return
        wait = doubling_wait(_RESTART_SECONDS, _RESTART_MOST_SECONDS, self._failures - 1, self._chance())

        def start() -> None:
            self._timers.discard(timer)
            self._start_replica()
            self._tell_state()

        timer = self._loop.call_later(wait, start)
        self._timers.add(timer)

    def _cancel_starts(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _start_replica(self) -> None:
        assert self._preparation.python is not None
        self._number += 1
        version = Version(number=self._version, api=self._api, python=self._preparation.python)
        replica = Replica(version, self._owner, self._number, engine=self._engine)
        self._serving[replica.number] = replica
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
        ready = sum(replica.is_ready for replica in self._serving.values())
        waits_for = next((each.waits_for for each in self._serving.values() if each.waits_for is not None), None)
        state = ReplicaState(
            ready=ready,
            starting=max(0, self._wanted - ready),
            problem=self._preparation.problem or self._problem,
            preparing=self._preparation.doing or waits_for,
        )
        if state != self._reported:
            self._reported = state
            self._report()

    def _report(self) -> None:
        if self._reported is not None and not self._ending:
            told = asyncio.ensure_future(self._store.report(self._api.name, self._reported))
            told.add_done_callback(self._on_reported)

    def _on_reported(self, done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, RingbackError):  # the others would believe for good what they were told before
            self._loop.call_later(_REPORT_AGAIN_SECONDS, self._report)
        elif error is not None:
            raise error


def _reluctance(replica: Replica) -> tuple[bool, int]:
    return replica.room == 0, replica.load


def _dispensability(replica: Replica) -> tuple[bool, int, int]:
    """First those that have not started, then those with the least in hand, then the youngest."""
    return replica.is_ready, replica.load, -replica.number
