"""Says to the store what was tried and what was not, again and again until it has heard.

What the store has not heard when this member ends counts as never tried, and is sent again by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from ringback.core.delivery import Attempt, Delivered, Delivery, Park, TryAgain, Verdict
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError
from ringback.core.retry import doubling_wait
from ringback.store.contract import Store

FAULT_SECONDS: Final = 0.05
"""Until the store is told again what it could not hear, doubling from then on."""
_FAULT_MOST_SECONDS: Final = 5.0


class Records:
    """One lane's words to the store."""

    def __init__(self, store: Store, emit: Emit, *, said: Callable[[], None]) -> None:
        """Begin with nothing to say; `said` is called whenever one more thing has been said."""
        self._store = store
        self._emit = emit
        self._said = said
        self._loop = asyncio.get_running_loop()
        self._abandoned = False
        self.unsaid = 0

    def attempted(self, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> None:
        """One attempt, and what it means."""
        self.unsaid += 1
        self._record(delivery, attempt, verdict, 0)

    def not_tried(self, deliveries: list[Delivery]) -> None:
        """These may be had by anyone."""
        self.unsaid += 1
        self._release(deliveries, 0)

    def abandon(self) -> None:
        """Say nothing any more: others hold what was ours."""
        self._abandoned = True

    def tripped(self, endpoint: str, *, is_tripped: bool) -> None:
        """Whether the endpoint works at all. Said once: whoever does not hear it finds out for itself."""
        noted = asyncio.ensure_future(self._store.note_tripped(endpoint, is_tripped=is_tripped))

        def heard(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                self._emit("store.fault", act="telling of a breaker", error=error, endpoint=endpoint)

        noted.add_done_callback(heard)

    def _release(self, deliveries: list[Delivery], failures: int) -> None:
        """Unheard, they would stay in this member's hands, who does not send them, for as long as it lives."""
        released = asyncio.ensure_future(self._store.release(deliveries))

        def heard(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                self._emit("store.fault", act="giving back deliveries", error=error, endpoint=deliveries[0].endpoint)
                self._say_again(error, failures, partial(self._release, deliveries))
                return
            self.unsaid -= 1
            self._said()

        released.add_done_callback(heard)

    def _say_again(self, error: BaseException, failures: int, say: Callable[[int], None]) -> None:
        if not isinstance(error, RingbackError):
            raise error
        if not self._abandoned:
            wait = doubling_wait(FAULT_SECONDS, _FAULT_MOST_SECONDS, failures + 1, 0.0)
            self._loop.call_later(wait, say, failures + 1)

    def _record(self, delivery: Delivery, attempt: Attempt, verdict: Verdict, failures: int) -> None:
        recorded = asyncio.ensure_future(self._store.record(delivery, attempt, verdict))

        def heard(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                self._say_again(error, failures, partial(self._record, delivery, attempt, verdict))
                return
            self.unsaid -= 1
            self._tell(delivery, verdict)
            self._said()

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
