"""One endpoint's deliveries: a bounded buffer, a few lines that send, and what is due later left in the store.

Everything an endpoint can do wrong stays in its own lane.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ringback.core.delivery import Attempt, Delivered, Delivery, Park, TryAgain, Verdict
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError
from ringback.core.retry import doubling_wait
from ringback.core.spec import Endpoint
from ringback.deliver.request import Target
from ringback.deliver.sender import Line
from ringback.deliver.verdict import attempt_of, judge
from ringback.store.contract import Store

ROOM: Final = 512
ROOM_BYTES: Final = 32 * 1024 * 1024
IDLE_SECONDS: Final = 30.0

_FAULT_SECONDS: Final = 0.05
_FAULT_MOST_SECONDS: Final = 5.0
_SOONEST_SECONDS: Final = 0.005


class Lane:
    """Sends one endpoint's deliveries, at most `endpoint.concurrency` at once."""

    def __init__(self, endpoint: Endpoint, store: Store, emit: Emit, *, chance: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._target = Target(endpoint)
        self._store = store
        self._emit = emit
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Delivery] = deque()
        self._waiting_bytes = 0
        self._sending: set[int] = set()
        self._idle: list[asyncio.Future[Delivery | None]] = []
        self._lines: set[asyncio.Task[None]] = set()
        self._taking = False
        self._more = True  # the store may have something due
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._unsaid = 0
        self._still = asyncio.Event()
        self._still.set()

    # ── From the dispatcher ─────────────────────────────────────────────────────────────────────

    @property
    def has_room(self) -> bool:
        return len(self._waiting) < ROOM and self._waiting_bytes < ROOM_BYTES and not self._stopped

    def put(self, delivery: Delivery) -> None:
        """Send it as soon as a line is free."""
        self._still.clear()
        if self._stopped:
            self._release([delivery])
        elif self._idle:
            self._idle.pop().set_result(delivery)
            self._sending.add(delivery.seq)
        else:
            self._waiting.append(delivery)
            self._waiting_bytes += len(delivery.body)
            if len(self._lines) < self._endpoint.concurrency:
                line = self._loop.create_task(self._run_line(), name=f"deliver-{self._endpoint.key}")
                self._lines.add(line)
                line.add_done_callback(self._on_line_end)

    def on_due(self) -> None:
        """The store may have something due."""
        self._more = True
        self._take()

    async def stop(self, grace_seconds: float) -> None:
        """Begin no attempt; give back what waits; let those under way end within the grace period."""
        self._stopped = True
        self._cancel_timers()
        self._release(list(self._waiting))
        self._waiting.clear()
        self._end_idle_lines()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._still_now()
        except TimeoutError:
            # What is cut off here counts as never tried: the next member sends it again.
            for line in self._lines:
                line.cancel()
            await asyncio.gather(*self._lines, return_exceptions=True)
            self._sending.clear()

    def abandon(self) -> None:
        """Stop at once and tell the store nothing."""
        self._stopped = True
        self._cancel_timers()
        self._waiting.clear()
        self._sending.clear()
        for line in self._lines:
            line.cancel()

    # ── Taking from the store ───────────────────────────────────────────────────────────────────

    def _take(self) -> None:
        room = ROOM - len(self._waiting)
        if self._taking or self._stopped or not self._more or not self.has_room or room < ROOM // 2:
            return
        self._taking = True
        self._more = False
        taken = asyncio.ensure_future(self._store.take_due(self._endpoint.key, room))
        taken.add_done_callback(lambda done: self._on_taken(done, room))

    def _on_taken(self, done: asyncio.Future[tuple[list[Delivery], float | None]], room: int) -> None:
        self._taking = False
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            if not isinstance(error, RingbackError):
                raise error
            self._emit("store.fault", detail=f"taking deliveries for {self._endpoint.key}: {error}")
            self._wake_in(_FAULT_MOST_SECONDS)
            return
        deliveries, following = done.result()
        for delivery in deliveries:
            self.put(delivery)
        if len(deliveries) == room:
            self._more = True
        elif following is not None:
            self._wake_in(max(_SOONEST_SECONDS, following))
        self._take()

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._stopped:
            self._timer = self._loop.call_later(seconds, self.on_due)

    # ── Sending ─────────────────────────────────────────────────────────────────────────────────

    async def _run_line(self) -> None:
        line = Line(self._target)
        try:
            while (delivery := await self._next()) is not None:
                await self._try(line, delivery)
        finally:
            line.close()

    async def _next(self) -> Delivery | None:
        """The next delivery for a line; None when there has been none for a while."""
        if self._waiting:
            delivery = self._waiting.popleft()
            self._waiting_bytes -= len(delivery.body)
            self._sending.add(delivery.seq)
            if self._more:
                self._take()
            return delivery
        if self._stopped:
            return None
        place: asyncio.Future[Delivery | None] = self._loop.create_future()
        self._idle.append(place)
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(IDLE_SECONDS, self._end_idle_lines)
        self._look_still()
        return await place

    async def _try(self, line: Line, delivery: Delivery) -> None:
        clock = self._store.clock
        started_at = clock.now()
        exchange = await line.send(self._target.request(delivery, started_at))
        attempt = attempt_of(delivery.tries + 1, started_at, exchange)
        verdict = judge(self._endpoint, attempt, exchange, now=clock.now(), chance=self._chance())
        self._emit(
            "delivery.attempted",
            endpoint=delivery.endpoint,
            outcome=attempt.outcome.value,
            status=attempt.status,
            duration_us=attempt.duration_us,
        )
        self._unsaid += 1
        self._sending.discard(delivery.seq)
        self._record(delivery, attempt, verdict, 0)

    def _end_idle_lines(self) -> None:
        self._idle_timer = None
        idle, self._idle = self._idle, []
        for place in idle:
            place.set_result(None)

    def _on_line_end(self, line: asyncio.Task[None]) -> None:
        self._lines.discard(line)
        if not line.cancelled() and (error := line.exception()) is not None:
            raise error
        self._look_still()

    # ── Telling the store ───────────────────────────────────────────────────────────────────────

    def _record(self, delivery: Delivery, attempt: Attempt, verdict: Verdict, failures: int) -> None:
        recorded = asyncio.ensure_future(self._store.record(delivery, attempt, verdict))

        def heard(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                if not isinstance(error, RingbackError):
                    raise error
                wait = doubling_wait(_FAULT_SECONDS, _FAULT_MOST_SECONDS, failures + 1, 0.0)
                self._loop.call_later(wait, self._record, delivery, attempt, verdict, failures + 1)
                return
            self._unsaid -= 1
            self._tell(delivery, verdict)
            self._look_still()

        recorded.add_done_callback(heard)

    def _tell(self, delivery: Delivery, verdict: Verdict) -> None:
        match verdict:
            case Delivered():
                state = "delivered"
            case Park():
                state = "parked"
            case TryAgain():
                return
        age_us = max(0, self._store.clock.now() - delivery.created_at)
        self._emit("delivery.settled", endpoint=delivery.endpoint, state=state, age_us=age_us)

    def _release(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        self._unsaid += 1
        released = asyncio.ensure_future(self._store.release(deliveries))

        def heard(done: asyncio.Future[None]) -> None:
            # If the store could not hear it now, this member's end gives them back.
            self._unsaid -= 1
            if not done.cancelled() and (error := done.exception()) is not None:
                self._emit("store.fault", detail=f"giving back deliveries for {self._endpoint.key}: {error}")
            self._look_still()

        released.add_done_callback(heard)

    # ── Coming to rest ──────────────────────────────────────────────────────────────────────────

    async def _still_now(self) -> None:
        self._look_still()
        await self._still.wait()

    def _look_still(self) -> None:
        if not (self._waiting or self._sending or self._unsaid):
            self._still.set()

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
