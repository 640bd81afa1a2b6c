"""Taking workloads from the store, as many as there is room for, when there may be some; never by looking in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import RingbackError
from ringback.core.workload import Claimed
from ringback.store.contract import Store

_MOST_AT_ONCE: Final = 256
_AFTER_FAULT_SECONDS: Final = 0.5
_SOONEST_SECONDS: Final = 0.005


class Claims:
    """One API's claims: one under way at a time.

    After a claim that found less than it had room for, the queue counts as dry until the store wakes us or the next
    delayed workload's time has come.
    """

    def __init__(
        self,
        api: str,
        store: Store,
        emit: Emit,
        *,
        room: Callable[[], int],
        hand_over: Callable[[list[Claimed]], None],
    ) -> None:
        self._api = api
        self._store = store
        self._emit = emit
        self._room = room
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._under_way = False
        self._dry = False
        self._woken = False
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()

    def on_queued(self) -> None:
        """There may be something to take."""
        self._dry = False
        self.on_room()

    def on_room(self) -> None:
        """There may be room for more."""
        if self._dry or self._stopped:
            return
        if self._under_way:
            self._woken = True
            return
        room = self._room()
        if room > 0:
            self._under_way = True
            self._quiet.clear()
            self._woken = False
            claim = asyncio.ensure_future(self._store.claim(self._api, min(room, _MOST_AT_ONCE)))
            claim.add_done_callback(lambda done: self._on_claimed(done, min(room, _MOST_AT_ONCE)))

    @property
    def is_under_way(self) -> bool:
        """Whether a claim may bring more at any moment."""
        return self._under_way

    def stop(self) -> None:
        """Take nothing more. What a claim under way brings is still handed over."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def quiet(self) -> None:
        """Wait until no claim is under way."""
        await self._quiet.wait()

    def _on_claimed(self, done: asyncio.Future[tuple[list[Claimed], float | None]], room: int) -> None:
        self._under_way = False
        self._quiet.set()
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            if not isinstance(error, RingbackError):
                raise error
            self._emit("store.fault", act=f"claiming for {self._api}", error=error)
            self._wake_in(_AFTER_FAULT_SECONDS)
            return
        claimed, following = done.result()
        now = self._store.clock.now()
        for each in claimed:
            self._emit("workload.claimed", api=self._api, waited_us=max(0, now - each.submitted_at))
        if claimed:
            self._hand_over(claimed)
        if len(claimed) < room and not self._woken:
            self._dry = True
            if following is not None:
                self._wake_in(max(_SOONEST_SECONDS, following))
        self.on_room()

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._stopped:
            self._timer = self._loop.call_later(seconds, self.on_queued)
