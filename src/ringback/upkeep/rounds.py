"""Something done again and again, each time a while after the last, whatever one round meets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from ringback.core.emit import Emit
from ringback.core.errors import LeaseLost, RingbackError, StoreAway


class Pace:
    """How long each round waits for the next, in seconds; it may change while one waits."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._changed = asyncio.Event()

    def change(self, seconds: float) -> None:
        """Wait so long from now on; the next round comes at once if this is another pace."""
        if seconds != self.seconds:
            self.seconds = seconds
            self._changed.set()

    async def pause(self) -> None:
        """Return when it is time for the next round."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                await self._changed.wait()
        self._changed.clear()


async def rounds(name: str, act: Callable[[], Awaitable[None]], *, pace: Pace, emit: Emit) -> None:
    """Await `act` now, and again at this pace, until cancelled.

    A round that fails is told as `upkeep.failed` and left to the next one: once for each reason, however long it holds;
    the first that succeeds after that is told as `upkeep.mended`. A database that is away tells of itself.

    Raises:
        LeaseLost: this member has been declared dead; no further round can help.
    """
    reason: str | None = None
    while True:
        try:
            await act()
        except LeaseLost:
            raise
        except StoreAway as error:
            emit("store.fault", act=f"the round of {name}", error=error)
        except RingbackError as error:
            if str(error) != reason:
                reason = str(error)
                emit("upkeep.failed", round=name, detail=reason)
        else:
            if reason is not None:
                reason = None
                emit("upkeep.mended", round=name)
        await pace.pause()
