"""One endpoint's deliveries: what is sent next, on a few lines at once, as the endpoint's flow allows.

Everything an endpoint can do wrong stays in its own lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.core.delivery import Attempt, AttemptClass, Delivery, Pause, PauseKind
from ringback.core.emit import Emit
from ringback.core.spec import Endpoint
from ringback.deliver.answer import Answer, Exchange
from ringback.deliver.flow import Failure, Flow, Stance
from ringback.deliver.intake import ROOM, Intake
from ringback.deliver.means import Means
from ringback.deliver.records import Records
from ringback.deliver.request import Target
from ringback.deliver.sender import Line
from ringback.deliver.tenure import Tenure
from ringback.deliver.verdict import attempt_of, judge
from ringback.store.contract import Store, TakenLane

IDLE_SECONDS: Final = 30.0

_GONE: Final = 410
_SLOW_DOWN: Final = frozenset({429, 502, 503, 504})
_TIMED_OUT: Final = frozenset({AttemptClass.CONNECT_TIMEOUT, AttemptClass.READ_TIMEOUT})


class Lane:
    """Sends one endpoint's deliveries."""

    def __init__(
        self,
        endpoint: Endpoint,
        store: Store,
        emit: Emit,
        *,
        means: Means,
        wanted: Callable[[], bool],
    ) -> None:
        """Send nothing yet.

        Args:
            endpoint: whose deliveries.
            store: where they come from.
            emit: is told what happens.
            means: what all lanes send with.
            wanted: whether this member, of all dispatchers, is meant to send to it.

        Raises:
            SpecError: the endpoint's URL, headers or secret cannot be used.
        """
        self._wanted = wanted
        self._tenure = Tenure(endpoint.key, store, emit, gained=self._on_gained, again=self.on_due)
        self._endpoint = endpoint
        self._target = Target(endpoint)
        self._dialling = means.dialling
        self._store = store
        self._emit = emit
        self._chance = means.chance
        self._loop = asyncio.get_running_loop()
        self._flow = Flow(endpoint.concurrency, endpoint.rate_per_second, probe_seconds=means.probe_seconds)
        self._fresh = self._intake(again=False)
        self._again = self._intake(again=True)
        self._again_under_way = 0
        self._again_last = False
        self._sending: set[int] = set()
        self._idle: list[asyncio.Future[Delivery | None]] = []
        self._lines: set[asyncio.Task[None]] = set()
        self._room_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._coming_to_rest = False
        self._stopped = False
        self._records = Records(store, emit, said=self._look_still)
        self._still = asyncio.Event()
        self._still.set()

    # ── From the dispatcher ─────────────────────────────────────────────────────────────────────

    @property
    def has_room(self) -> bool:
        return self._fresh.has_room and not self._stopped and not self._is_held_up and self._tenure.is_held

    @property
    def stance(self) -> Stance:
        """What the endpoint is treated as."""
        return self._flow.stance(self._loop.time())

    @property
    def is_still(self) -> bool:
        """Whether no attempt is under way or still to be written down."""
        return not (self._sending or self._records.unsaid)

    @property
    def timeout_seconds(self) -> float:
        """The longest that an attempt under way may still take."""
        return self._target.timeout_seconds

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to send, now or later, that this lane would have to remember."""
        if self._tenure.is_idle:
            return self.is_still
        return self.is_still and self._room_timer is None and self._fresh.is_quiet and self._again.is_quiet

    def become(self, endpoint: Endpoint) -> None:
        """Treat the endpoint, of the same key, as it is from now on; attempts under way end as they began.

        Raises:
            SpecError: its URL, headers or secret cannot be used; nothing has changed.
        """
        target = Target(endpoint)
        has_moved = not target.is_at(self._target)
        self._endpoint, self._target = endpoint, target
        self._flow.retune(endpoint.concurrency, endpoint.rate_per_second)
        if has_moved:
            was_tripped = self._flow.is_tripped
            self._flow.start_over()
            if was_tripped:
                self._tell_tripped(is_tripped=False)
        self.on_due()

    def put(self, delivery: Delivery) -> None:
        """Send it as soon as there is room."""
        self._fresh.put(delivery)
        self._pump()

    def on_due(self) -> None:
        """The store may have something due, or the endpoint's rest may have begun or ended."""
        if not self._tenure.is_held:
            self._give_back()
            if self._wanted() and not self._stopped:
                self._tenure.ask()
            return
        if self._is_at_rest:
            self._give_back()
            return
        self._again.look()
        self._fresh.look()
        self._pump()

    def on_roster(self) -> None:
        """Dispatchers have come or gone: this endpoint may be meant for another now, or for this one."""
        if self._wanted():
            self.on_due()
        elif self._tenure.is_held:
            self._tenure.begin_to_leave()
            self._give_back()
            self._look_still()

    def adopt(self) -> None:
        """Send to it although it is meant for another, who does not."""
        if not self._stopped:
            self._tenure.ask()

    def _on_gained(self, taken: TakenLane) -> None:
        self._flow.take_over(self._loop.time(), is_first=taken.is_first, is_tripped=taken.is_tripped)
        self.on_due()

    async def stop(self, grace_seconds: float) -> None:
        """Begin no attempt; give back what waits; let those under way end within the grace period."""
        self._stopped = True
        self._tenure.stop()
        self._cancel_timers()
        self._give_back()
        self._end_idle_lines()
        try:
            async with asyncio.timeout(grace_seconds):
                self._look_still()
                await self._still.wait()
        except TimeoutError:
            # What is cut off here counts as never tried: the next member sends it again.
            for line in self._lines:
                line.cancel()
            await asyncio.gather(*self._lines, return_exceptions=True)
            self._sending.clear()
        if (left := self._tenure.leave()) is not None:
            await asyncio.wait({left})

    def abandon(self) -> None:
        """Stop at once and tell the store nothing."""
        self._stopped = True
        self._tenure.stop()
        self._records.abandon()
        self._cancel_timers()
        self._fresh.empty()
        self._again.empty()
        self._sending.clear()
        for line in self._lines:
            line.cancel()

    # ── What next ───────────────────────────────────────────────────────────────────────────────

    @property
    def _is_at_rest(self) -> bool:
        return self._coming_to_rest or self._store.paused(self._endpoint.key) is not None

    @property
    def _is_held_up(self) -> bool:
        return self._is_at_rest or self._flow.is_tripped

    def _allowance(self) -> int:
        """How many may wait in an intake: while the endpoint does not work, one to find out with."""
        if self._is_at_rest:
            return 0
        if self._flow.is_tripped:
            return 1 if self._flow.room(self._loop.time()) else 0
        return ROOM

    def _intake(self, *, again: bool) -> Intake:
        return Intake(
            self._endpoint.key, self._store, self._emit, again=again, allowance=self._allowance, arrived=self._pump
        )

    def _pump(self) -> None:
        """Set as many lines to work as there is room for."""
        if self._stopped or self._is_at_rest or not self._tenure.is_held:
            self._give_back()
            return
        while (delivery := self._pick()) is not None:
            if self._idle:
                self._idle.pop().set_result(delivery)
            else:
                line = self._loop.create_task(self._run_line(delivery), name=f"deliver-{self._endpoint.key}")
                self._lines.add(line)
                line.add_done_callback(self._on_line_end)
        if self._fresh.waiting or self._again.waiting or self._flow.is_tripped:
            self._wait_for_room()

    def _pick(self) -> Delivery | None:
        """The next delivery to begin with, if there is one and room for it; it counts as begun."""
        if not (self._fresh.waiting or self._again.waiting) or self._stopped or not self._tenure.is_sure:
            return None
        now = self._loop.time()
        if self._flow.room(now) <= 0:
            return None
        again = self._is_a_retrys_turn()
        delivery = (self._again if again else self._fresh).pop()
        self._again_last = again
        self._again_under_way += delivery.tries > 0
        self._flow.begin(now)
        self._sending.add(delivery.seq)
        self._still.clear()
        return delivery

    def _is_a_retrys_turn(self) -> bool:
        """Retries take turns with first attempts, on a quarter of the lines while there are both."""
        if not self._fresh.waiting or not self._again.waiting:
            return bool(self._again.waiting)
        return not self._again_last and self._again_under_way < max(1, self._flow.limit // 4)

    def _wait_for_room(self) -> None:
        """Wake up when time alone has made room: a pause is over, or a probe is due."""
        if self._room_timer is None and not self._stopped:
            wait = self._flow.next_room_in(self._loop.time())
            if wait is not None:
                self._room_timer = self._loop.call_later(wait, self._on_room)

    def _on_room(self) -> None:
        self._room_timer = None
        self.on_due()

    # ── Sending ─────────────────────────────────────────────────────────────────────────────────

    async def _run_line(self, delivery: Delivery | None) -> None:
        line = Line(self._target, self._dialling)
        try:
            while delivery is not None:
                if line.target is not self._target:  # a kept connection was judged for what the endpoint was before
                    line.close()
                    line = Line(self._target, self._dialling)
                await self._try(line, delivery)
                delivery = self._pick() or await self._next()
                if (self._fresh.waiting or self._again.waiting) and len(self._sending) < self._flow.limit:
                    self._pump()  # the flow has come to allow more than there are lines at work
        finally:
            line.close()

    async def _next(self) -> Delivery | None:
        """What the pump hands this line; None when there has been nothing for a while."""
        if self._stopped:
            return None
        place: asyncio.Future[Delivery | None] = self._loop.create_future()
        self._idle.append(place)
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(IDLE_SECONDS, self._end_idle_lines)
        self._pump()
        self._look_still()
        return await place

    async def _try(self, line: Line, delivery: Delivery) -> None:
        clock, target = self._store.clock, line.target
        started_at = clock.now()
        exchange = target.discretion.of(await line.send(target.request(delivery, started_at)))
        attempt = attempt_of(delivery.tries + 1, started_at, exchange, target.shown_head)
        verdict = judge(self._endpoint, delivery, attempt, exchange, now=clock.now(), chance=self._chance())
        self._emit(
            "delivery.attempted",
            endpoint=delivery.endpoint,
            outcome=attempt.outcome.value,
            status=attempt.status,
            duration_us=attempt.duration_us,
            waited_us=None if delivery.tries else max(0, started_at - delivery.created_at),
            delivery=delivery.seq,
            detail=attempt.detail,
            verdict=verdict,
        )
        self._sending.discard(delivery.seq)
        self._again_under_way -= delivery.tries > 0
        self._records.attempted(delivery, attempt, verdict)
        if not target.is_at(self._target):
            self._flow.forget()  # it has moved meanwhile: this says nothing about where it is now
            self._pump()
            return
        if attempt.status == _GONE:
            self._rest()
        self._learn(exchange, attempt)

    def _learn(self, exchange: Exchange, attempt: Attempt) -> None:
        """Tell the flow how it went, and act on what it makes of it."""
        was_tripped = self._flow.is_tripped
        if attempt.outcome is AttemptClass.OK:
            self._flow.arrived(attempt.duration_us / 1e6)
            if was_tripped:
                self._tell_tripped(is_tripped=False)
                self.on_due()
            return
        slow, answer = attempt.status in _SLOW_DOWN, exchange.result
        asked = answer.retry_after_seconds(self._store.clock.now()) if slow and isinstance(answer, Answer) else None
        failure = Failure(timed_out=attempt.outcome in _TIMED_OUT, asks_to_slow=slow, retry_after_seconds=asked)
        self._flow.failed(failure, self._loop.time())
        if self._flow.is_tripped and not was_tripped:
            self._tell_tripped(is_tripped=True, detail=attempt.detail)
            self._give_back()
            self._wait_for_room()

    def _tell_tripped(self, *, is_tripped: bool, detail: str | None = None) -> None:
        """Tell the others, and whoever has the lane next."""
        if is_tripped:
            self._emit("endpoint.tripped", endpoint=self._endpoint.key, detail=detail)
        else:
            self._emit("endpoint.mended", endpoint=self._endpoint.key)
        self._records.tripped(self._endpoint.key, is_tripped=is_tripped)

    def _rest(self) -> None:
        """It has answered 410 Gone: nothing more is sent until somebody resumes it, and nothing is lost."""
        if self._is_at_rest:
            return
        self._coming_to_rest = True
        reason = "the receiver answered 410 Gone"
        pause = Pause(kind=PauseKind.GONE, reason=reason, since=self._store.clock.now())
        self._emit("endpoint.paused", endpoint=self._endpoint.key, reason=reason)
        self._give_back()

        def noted(done: asyncio.Future[None]) -> None:
            # If the store could not hear it now, the next 410 says it again.
            self._coming_to_rest = False
            if not done.cancelled() and (error := done.exception()) is not None:
                self._emit("store.fault", act="pausing an endpoint", error=error, endpoint=self._endpoint.key)
                self.on_due()

        asyncio.ensure_future(self._store.pause(self._endpoint.key, pause)).add_done_callback(noted)

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

    # ── Coming to rest ──────────────────────────────────────────────────────────────────────────

    def _give_back(self) -> None:
        """Let the store have what waits here."""
        if deliveries := self._again.empty() + self._fresh.empty():
            self._still.clear()
            self._records.not_tried(deliveries)

    def _look_still(self) -> None:
        if not (self._fresh.waiting or self._again.waiting or self._sending or self._records.unsaid):
            self._still.set()
            if self._tenure.is_leaving:
                self._tenure.leave()

    def _cancel_timers(self) -> None:
        self._fresh.stop()
        self._again.stop()
        for timer in (self._room_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
