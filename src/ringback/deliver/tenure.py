"""Whether one endpoint's lane is this member's: asked for, kept, left to another once nothing is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.retry import doubling_wait
from ringback.store.contract import Store, TakenLane

_SOONEST_SECONDS: Final = 0.05
"""Between two times of asking."""
_MOST_SECONDS: Final = 2.0


class Tenure:
    """This member's hold on one lane."""

    def __init__(
        self,
        endpoint: str,
        store: Store,
        emit: Emit,
        *,
        gained: Callable[[TakenLane], None],
        again: Callable[[], None],
    ) -> None:
        """Hold nothing yet.

        Args:
            endpoint: the endpoint's key.
            store: knows who holds what.
            emit: is told when the store fails.
            gained: called when the lane has become this member's.
            again: called when it is time to ask again, if the lane is still wanted.
        """
        self._endpoint = endpoint
        self._store = store
        self._emit = emit
        self._gained = gained
        self._again = again
        self._loop = asyncio.get_running_loop()
        self._taken: TakenLane | None = None
        self._is_leaving = False
        self._is_asking = False
        self._refusals = 0
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def is_held(self) -> bool:
        """Whether attempts may be begun, as far as the other members are concerned."""
        return self._taken is not None and not self._is_leaving

    @property
    def is_sure(self) -> bool:
        """Whether it is held and no other can have taken it over meanwhile."""
        return self.is_held and self._store.holds_lease

    @property
    def is_leaving(self) -> bool:
        return self._is_leaving

    @property
    def is_idle(self) -> bool:
        """Whether it is not held, nor about to be."""
        return self._taken is None and not self._is_asking

    def ask(self) -> None:
        """Have the lane, as soon as nobody else has it."""
        if self._taken is not None or self._is_asking or self._stopped:
            return
        now = self._loop.time()
        if now < self._not_before:
            self._ask_in(self._not_before - now)
            return
        self._is_asking = True
        self._not_before = now + _SOONEST_SECONDS
        asyncio.ensure_future(self._store.take_lane(self._endpoint)).add_done_callback(self._on_answer)

    def begin_to_leave(self) -> None:
        """Begin no more attempts; `leave` follows once none is under way."""
        self._is_leaving = self._taken is not None

    def leave(self) -> asyncio.Future[None] | None:
        """Let another have it: nothing is under way. None when there is nothing to leave.

        When the store cannot hear it now, the lane is held on, without anything being sent, and left a little later.
        """
        taken, self._taken, self._is_leaving = self._taken, None, False
        if taken is None:
            return None
        left = asyncio.ensure_future(self._store.leave_lane(self._endpoint, taken))
        left.add_done_callback(lambda done: self._on_left(done, taken))
        return left

    def stop(self) -> None:
        """Ask no more. What is held stays so until `leave`."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _on_answer(self, done: asyncio.Future[TakenLane | None]) -> None:
        self._is_asking = False
        if done.cancelled():
            return
        taken = None
        if (error := done.exception()) is None:
            taken = done.result()
        elif not isinstance(error, RingbackError):
            raise error
        elif isinstance(error, LeaseLost):
            return  # everything is about to start over
        else:
            self._emit("store.fault", act="taking a lane", error=error, endpoint=self._endpoint)
        if taken is None:
            self._refusals += 1
            self._ask_in(doubling_wait(_SOONEST_SECONDS, _MOST_SECONDS, self._refusals, 0.0))
            return
        self._refusals = 0
        self._taken = taken
        if self._stopped:
            self.leave()
        else:
            self._gained(taken)

    def _ask_in(self, seconds: float) -> None:
        if self._timer is None and not self._stopped:
            self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._again()

    def _on_left(self, done: asyncio.Future[None], taken: TakenLane) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            if not isinstance(error, RingbackError):
                raise error
            self._emit("store.fault", act="leaving a lane", error=error, endpoint=self._endpoint)
            if not self._stopped:  # otherwise this member leaves the store, and all its lanes with it
                self._taken, self._is_leaving = taken, True
                self._loop.call_later(_MOST_SECONDS, self.leave)
