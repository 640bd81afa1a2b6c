"""Something done again and again, each time a while after the last, whatever one round meets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ringback.core.emit import Emit
from ringback.core.errors import LeaseLost, RingbackError


async def rounds(name: str, act: Callable[[], Awaitable[None]], *, seconds: float, emit: Emit) -> None:
    """Await `act` now and then every `seconds`, until cancelled.

    A round that fails is told as `upkeep.failed` and left to the next one.

    Raises:
        LeaseLost: this member has been declared dead; no further round can help.
    """
    while True:
        try:
            await act()
        except LeaseLost:
            raise
        except RingbackError as error:
            emit("upkeep.failed", round=name, detail=str(error))
        await asyncio.sleep(seconds)
