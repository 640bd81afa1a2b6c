"""One API's number of replicas at this member, following how much is in flight; down to zero and up again.

Measures and decides now and then; how, is `core.autoscaling`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from ringback.core.autoscaling import Sample, Situation, average, decide, part, target
from ringback.core.clock import SECOND
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError
from ringback.core.spec import Api
from ringback.store.contract import Store
from ringback.work.budget import Budget

DECIDE_SECONDS: Final = 10.0
"""Between two decisions, as with Cortex; sooner when the window is shorter."""

_SAMPLES_PER_WINDOW: Final = 60
_SAMPLE_LEAST_SECONDS: Final = 0.1
_SAMPLE_MOST_SECONDS: Final = 10.0
_ASLEEP_SECONDS: Final = 1.0
"""Between two looks while there is no replica: what was submitted with a delay becomes due without a word."""

_COUNTED_TIMES: Final = 100
"""How far above what `max_replicas` aim at the load is still counted: a short burst must weigh what it weighs."""


class Replicas(Protocol):
    """What is scaled."""

    @property
    def wanted(self) -> int:
        """How many there are to be."""
        ...

    @property
    def told(self) -> int:
        """How many of them the store was last told of."""
        ...

    def want(self, count: int) -> None: ...


class Autoscaler:
    """Sets how many replicas there are to be."""

    def __init__(
        self,
        api: Api,
        store: Store,
        emit: Emit,
        replicas: Replicas,
        *,
        budget: Budget,
        replica_bytes: Callable[[], int | None],
    ) -> None:
        """Begin to know the load from now on.

        Args:
            api: its rules.
            store: counts what is in flight, and knows the other members.
            emit: is told of every change.
            replicas: are scaled.
            budget: how many more the machine bears.
            replica_bytes: the size of the largest replica there is.
        """
        self._store = store
        self._emit = emit
        self._replicas = replicas
        self._budget = budget
        self._replica_bytes = replica_bytes
        self._since = self._now()
        self._decide_at = self._since
        self._woken_at: float | None = None
        self._samples: deque[Sample] = deque()
        self._past: tuple[Sample, ...] = ()
        self._limited = False
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self.serve(api)

    def serve(self, api: Api) -> None:
        """Follow the rules of `api` from now on; its bounds hold at once."""
        self._api = api
        self._rules = api.autoscaling
        self._aim = target(api)
        window = self._rules.window_seconds
        self._pause = min(_SAMPLE_MOST_SECONDS, max(_SAMPLE_LEAST_SECONDS, window / _SAMPLES_PER_WINDOW))
        self._decide_at = min(self._decide_at, self._now())
        self._changed.set()

    def start(self) -> None:
        """Begin to look."""
        self._running = asyncio.create_task(self._run(), name=f"ringback-scale-{self._api.name}")

    def stop(self) -> None:
        """Change nothing more."""
        for task in (self._running, self._waking):
            if task is not None:
                task.cancel()

    def wake(self) -> None:
        """Something may have been submitted while there was no replica."""
        if self._everywhere() == 0 and (self._waking is None or self._waking.done()):
            self._waking = asyncio.create_task(self._look_asleep(), name=f"ringback-wake-{self._api.name}")

    async def tick(self) -> float:
        """Look once, and decide if it is time to; the seconds until the next look."""
        now = self._now()
        if self._rules.min_replicas == self._rules.max_replicas:
            self._decide(now)
            return DECIDE_SECONDS
        most = math.ceil(self._rules.max_replicas * self._aim * _COUNTED_TIMES)
        try:
            in_flight = await self._store.in_flight(self._api.name, most)
        except RingbackError as error:
            self._emit("store.fault", act=f"counting what is in flight for {self._api.name}", error=error)
            return self._pause
        self._samples.append(Sample(at=now, value=in_flight))
        while self._samples[0].at <= now - self._rules.window_seconds:
            self._samples.popleft()
        if in_flight:
            self._rise(now)
        if now >= self._decide_at:
            self._decide_at = now + min(DECIDE_SECONDS, self._rules.window_seconds)
            self._decide(now)
        return min(self._pause, _ASLEEP_SECONDS) if self._replicas.wanted == 0 else self._pause

    # ── Waking ──────────────────────────────────────────────────────────────────────────────────

    async def _look_asleep(self) -> None:
        try:
            if await self._store.in_flight(self._api.name, 1):
                self._rise(self._now())
        except RingbackError as error:
            self._emit("store.fault", act=f"waking {self._api.name}", error=error)

    def _rise(self, now: float) -> None:
        """From zero to one, without waiting for any period; nobody does who sees that another member has."""
        if self._everywhere() > 0:
            return
        self._woken_at = now
        self._emit("api.woken", api=self._api.name)
        self._replicas.want(1)

    # ── Deciding ────────────────────────────────────────────────────────────────────────────────

    def _decide(self, now: float) -> None:
        load = average(self._samples, now=now, window_seconds=self._rules.window_seconds)
        current, own = self._everywhere(), self._replicas.wanted
        situation = Situation(
            now=now, since=self._since, in_flight=load, replicas=current, woken_at=self._woken_at, past=self._past
        )
        decision = decide(self._rules, self._aim, situation)
        self._past = decision.past
        members = self._store.serving(self._api.name)
        place = members.index(self._store.member) if self._store.member in members else 0
        mine = part(decision.replicas, current=current, own=own, place=place, members=max(1, len(members)))
        wanted = max(self._rules.min_replicas, self._borne(own, mine))
        if wanted != own:
            self._emit("api.scaled", api=self._api.name, before=own, after=wanted, in_flight=round(load, 2))
            self._replicas.want(wanted)

    def _borne(self, own: int, wanted: int) -> int:
        """As many of `wanted` as the machine bears; says so once when that is fewer."""
        if wanted <= own:
            self._limited = False
            return wanted
        room = self._budget.room(self._api.compute, replica_bytes=self._replica_bytes())
        if room is None or own + room.more >= wanted:
            self._limited = False
            return wanted
        if not self._limited:
            self._limited = True
            self._emit("api.limited", api=self._api.name, wanted=wanted, short_of=room.short_of)
        return own + room.more

    def _everywhere(self) -> int:
        """How many replicas there are to be, over all members."""
        told = self._store.replicas(self._api.name)
        return max(0, told.ready + told.starting - self._replicas.told + self._replicas.wanted)

    def _now(self) -> float:
        return self._store.clock.elapsed() / SECOND

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            pause = await self.tick()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
