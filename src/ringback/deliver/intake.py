"""Deliveries of one endpoint on their way from the store to its lane: a bounded buffer, refilled in time.

First attempts and retries have an intake each, so that a heap of one never hides the other. Never looks in vain:
after a look that found less than there was room for, it waits for the store's wake or for the next one's time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ringback.core.delivery import Delivery
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError
from ringback.store.contract import Store

ROOM: Final = 512
"""First attempts that may wait in memory."""
ROOM_AGAIN: Final = 128
"""Retries that may."""
ROOM_BYTES: Final = 32 * 1024 * 1024
"""Bodies that may wait in memory, all in all."""

_FIRST_LOOK: Final = 16
"""Taken while nothing is known of how large they are."""

_AFTER_FAULT_SECONDS: Final = 5.0
_SOONEST_SECONDS: Final = 0.005


class Intake:
    """One endpoint's first attempts, or its retries."""

    def __init__(
        self,
        endpoint: str,
        store: Store,
        emit: Emit,
        *,
        again: bool,
        allowance: Callable[[], int],
        arrived: Callable[[], None],
    ) -> None:
        """An empty buffer.

        Args:
            endpoint: the endpoint's key.
            store: where deliveries come from.
            emit: is told when the store fails.
            again: whether these are retries.
            allowance: how many the lane would have waiting here now.
            arrived: called when there is something to send.
        """
        self._endpoint = endpoint
        self._store = store
        self._emit = emit
        self._again = again
        self._room = ROOM_AGAIN if again else ROOM
        self._allowance = allowance
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self.waiting: deque[Delivery] = deque()
        """Read by the lane, changed here alone."""
        self._bytes = 0
        self._body_bytes: float | None = None
        """How large a body was on the average when some were taken last."""
        self._taking = False
        self._more = True  # the store may have something due
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def has_room(self) -> bool:
        return len(self.waiting) < self._room and self._bytes < ROOM_BYTES

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits here, is on its way, or is known to become due."""
        return not (self.waiting or self._taking or self._more or self._timer)

    def put(self, delivery: Delivery) -> None:
        self.waiting.append(delivery)
        self._bytes += len(delivery.body)

    def pop(self) -> Delivery:
        """The next one; there must be one."""
        delivery = self.waiting.popleft()
        self._bytes -= len(delivery.body)
        if self._more:
            self.take()
        return delivery

    def empty(self) -> list[Delivery]:
        """All that waits here; the store may have them again."""
        waiting = list(self.waiting)
        self.waiting.clear()
        self._bytes = 0
        self._more = True
        return waiting

    def look(self) -> None:
        """The store may have something due."""
        self._more = True
        self.take()

    def take(self) -> None:
        """Fill up if it is worth it: half of the buffer at least, by number and by size, or all that the lane wants."""
        most = min(self._room, self._allowance())
        room = most - len(self.waiting)
        if self._taking or self._stopped or not self._more:
            return
        if room < max(1, most // 2) or self._bytes > ROOM_BYTES // 2:
            return
        room = min(room, self._fitting())
        self._taking = True
        self._more = False
        taken = asyncio.ensure_future(self._store.take_due(self._endpoint, room, again=self._again))
        taken.add_done_callback(lambda done: self._on_taken(done, room))

    def _fitting(self) -> int:
        """How many of their size still fit in."""
        if self._body_bytes is None:
            return _FIRST_LOOK
        return max(1, int((ROOM_BYTES - self._bytes) / max(1.0, self._body_bytes)))

    def stop(self) -> None:
        """Take nothing more. What is on its way still arrives."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _on_taken(self, done: asyncio.Future[tuple[list[Delivery], float | None]], room: int) -> None:
        self._taking = False
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            if not isinstance(error, RingbackError):
                raise error
            self._emit("store.fault", act="taking deliveries", error=error, endpoint=self._endpoint)
            self._wake_in(_AFTER_FAULT_SECONDS)
            return
        deliveries, following = done.result()
        for delivery in deliveries:
            self.put(delivery)
        if deliveries:
            self._body_bytes = sum(len(each.body) for each in deliveries) / len(deliveries)
        if len(deliveries) == room:
            self._more = True
        elif following is not None:
            self._wake_in(max(_SOONEST_SECONDS, following))
        self._arrived()
        self.take()

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._stopped:
            self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.look()
