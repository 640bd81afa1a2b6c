"""One API's replicas: kept at their number, fed, replaced when they die, drained at the end.

Owns every workload this member has claimed for the API until the store has heard how it went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, Unavailable
from ringback.core.policy import Again, after_loss, after_raise
from ringback.core.retry import doubling_wait
from ringback.core.spec import Api, Event
from ringback.core.workload import Claimed, Failed, Outcome, Progress, Spent
from ringback.store.contract import ReplicaState, Store
from ringback.work.claims import Claims
from ringback.work.endings import Endings
from ringback.work.news import News
from ringback.work.notes import Notes
from ringback.work.replica import Gone, Replica, timeout_failure

_RESTART_SECONDS: Final = 0.1
_RESTART_MOST_SECONDS: Final = 30.0
_LAST_WORDS_SECONDS: Final = 5.0
"""How long a drain waits for the store to hear the last outcomes, after the grace period."""


class Pool:
    """Runs one API's workloads on replicas. Implements `replica.Owner`."""

    def __init__(self, api: Api, store: Store, emit: Emit, *, chance: Callable[[], float]) -> None:
        self._api = api
        self._store = store
        self._emit = emit
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._endings = Endings(api, store, emit)
        self._notes = Notes(store, api.webhooks)
        self._news = News(api, store, emit, listen=self._listen)
        self._claims = Claims(api.name, store, emit, room=self._room, hand_over=self._hand_over)
        self._replicas: dict[int, Replica] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._number = 0
        self._problem: str | None = None
        self._reported: ReplicaState | None = None
        self._wanted = 0
        self._draining = False
        self._emptied = asyncio.Event()

    # ── From the runtime ────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to start the replicas; they take work as each becomes ready."""
        scaling = self._api.autoscaling
        self._store.on_queued(self._api.name, self._claims.on_queued)
        self._wanted = scaling.init_replicas or max(1, scaling.min_replicas)
        for _ in range(self._wanted):
            self._start_replica()
        self._tell_state()

    async def drain(self, grace_seconds: float) -> None:
        """Take no more, give back what has not begun, let the rest end within `grace_seconds`, then end the replicas.

        What is still running then is given back as well. None of this spends an attempt.
        """
        self._draining = True
        self._claims.stop()
        for timer in self._timers:
            timer.cancel()
        for replica in self._replicas.values():
            self._give_back(replica.take_back())
        await self._claims.quiet()
        self._end_idle_replicas()
        if self._replicas:
            try:
                async with asyncio.timeout(grace_seconds):
                    await self._emptied.wait()
            except TimeoutError:
                for replica in list(self._replicas.values()):
                    self._give_back(replica.forget_all())
                    replica.kill()
        await self._endings.all_said(_LAST_WORDS_SECONDS)
        self._endings.stop()

    def abandon(self) -> None:
        """End everything at once and tell the store nothing: others hold what was ours."""
        self._draining = True
        self._claims.stop()
        self._endings.stop()
        for timer in self._timers:
            timer.cancel()
        for replica in self._replicas.values():
            for claimed in replica.forget_all():
                self._notes.drop(claimed)
            replica.kill()

    # ── Work ────────────────────────────────────────────────────────────────────────────────────

    def _room(self) -> int:
        return sum(replica.room for replica in self._replicas.values())

    def _hand_over(self, claimed: list[Claimed]) -> None:
        """Each workload to a replica with room, the one with the least to do; back to the queue when none is ready."""
        ready = [replica for replica in self._replicas.values() if replica.is_ready and not self._draining]
        if not ready:
            self._give_back(claimed)
            return
        for each in claimed:
            (ready[0] if len(ready) == 1 else min(ready, key=_reluctance)).take(each)

    def _give_back(self, claimed: list[Claimed]) -> None:
        for each in claimed:
            self._notes.drop(each)
            self._endings.requeue(each, Spent.NOTHING)

    def _settle(self, claimed: Claimed, verdict: Again | Outcome, run_us: int = 0) -> None:
        if isinstance(verdict, Again):
            self._endings.requeue(claimed, verdict.spent, verdict.delay_seconds)
        else:
            self._endings.finish(claimed, verdict, run_us)

    # ── From a replica ──────────────────────────────────────────────────────────────────────────

    def on_ready(self, replica: Replica, load_us: int) -> None:
        self._emit("replica.ready", api=self._api.name, replica=replica.number, load_us=load_us)
        self._problem = None
        if self._draining:
            replica.kill()
            return
        self._tell_state()
        self._claims.on_queued()

    def on_outcome(self, replica: Replica, claimed: Claimed, outcome: Outcome, run_us: int) -> None:
        self._failures = 0
        self._notes.drop(claimed)
        if isinstance(outcome, Failed):
            verdict = after_raise(self._api.retries, claimed.raised, outcome, self._chance())
            self._settle(claimed, verdict, run_us)
        else:
            self._endings.finish(claimed, outcome, run_us)
        if self._draining and replica.is_idle:
            replica.kill()
        else:
            self._claims.on_room()

    def on_began(self, claimed: Claimed) -> None:
        self._news.started(claimed)

    def wants_outputs(self, claimed: Claimed) -> bool:
        return self._news.wanted(claimed, Event.OUTPUT)

    def on_output(self, claimed: Claimed, index: int, value: bytes) -> None:
        self._news.output(claimed, index, value)

    def on_progress(self, claimed: Claimed, progress: Progress) -> None:
        self._notes.take(claimed, progress, is_told=self._news.wanted(claimed, Event.PROGRESS))

    def on_metric(self, metric: dict[str, object]) -> None:
        self._emit("predictor.metric", api=self._api.name, metric=metric)

    def on_returned(self, claimed: list[Claimed]) -> None:
        self._give_back(claimed)

    def on_gone(self, replica: Replica, gone: Gone) -> None:
        self._replicas.pop(replica.number, None)
        self._bury(replica, gone)
        if self._draining:
            if not self._replicas:
                self._emptied.set()
            return
        self._failures += 1
        self._tell_state()
        self._start_later()

    def _bury(self, replica: Replica, gone: Gone) -> None:
        """Say how the replica went, and judge each workload it leaves."""
        retries = self._api.retries
        for claimed in (*gone.timed_out, *gone.lost):
            self._notes.drop(claimed)
        for claimed in gone.timed_out:
            failure = timeout_failure(self._api.timeout_seconds)
            self._settle(claimed, after_raise(retries, claimed.raised, failure, self._chance()))
        for claimed in gone.lost:
            self._settle(claimed, after_loss(retries, claimed.losses, gone.how))
        self._give_back(gone.untouched)
        if gone.was_ready:
            if not self._draining:
                self._emit("replica.lost", api=self._api.name, replica=replica.number, reason=gone.how)
        elif not self._draining:
            self._problem = gone.broken or f"its replica {gone.how} before it was ready; the log says more"
            self._emit("replica.broken", api=self._api.name, replica=replica.number, reason=self._problem)

    # ── Replicas ────────────────────────────────────────────────────────────────────────────────

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
        replica = Replica(self._api, self, self._number)
        self._replicas[replica.number] = replica
        task = self._loop.create_task(self._started(replica))
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _started(self, replica: Replica) -> None:
        try:
            await replica.start()
        except Unavailable as error:
            self.on_gone(replica, Gone(str(error), was_ready=False, broken=str(error)))
        else:
            self._emit("replica.started", api=self._api.name, replica=replica.number, pid=replica.pid)

    def _listen(self, on: bool) -> None:
        for replica in self._replicas.values():
            replica.listen(on)

    def _end_idle_replicas(self) -> None:
        for replica in list(self._replicas.values()):
            if replica.is_idle:
                replica.kill()

    def _tell_state(self) -> None:
        ready = sum(replica.is_ready for replica in self._replicas.values())
        state = ReplicaState(ready=ready, starting=self._wanted - ready, problem=self._problem)
        if state != self._reported and not self._draining:
            self._reported = state
            asyncio.ensure_future(self._store.report(self._api.name, state)).add_done_callback(self._on_reported)

    def _on_reported(self, done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._reported = None
            if not isinstance(error, RingbackError):
                raise error


def _reluctance(replica: Replica) -> tuple[bool, int]:
    return replica.room == 0, replica.load
