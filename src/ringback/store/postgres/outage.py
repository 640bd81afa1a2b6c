"""Whether the database's server is away, since when, and how long whoever wants something of it waits.

Told once when it begins, once a minute while it lasts, and once when it is over, whichever connection meets it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import RingbackError

PATIENCE_SECONDS: Final = 5.0
"""How long a caller waits for a server that has just gone: one that is only restarted is back by then."""
LEAST_SECONDS: Final = 1.0
"""How long one waits who comes later than that: enough to be let in when it is back."""
PAUSE_SECONDS: Final = 0.25
"""Between two attempts to reach it."""
_AGAIN_SECONDS: Final = 60.0


class Outage:
    """What the connections of one member have met."""

    def __init__(self, emit: Emit, now: Callable[[], float]) -> None:
        """Begin with a server that is there.

        Args:
            emit: is told of `store.away` and `store.back`.
            now: seconds of a clock that nobody sets.
        """
        self._emit = emit
        self._now = now
        self._began: float | None = None
        self._told = 0.0

    @property
    def patience_seconds(self) -> float:
        """How long a caller who comes now is to wait."""
        lasted = 0.0 if self._began is None else self._now() - self._began
        return max(PATIENCE_SECONDS - lasted, LEAST_SECONDS)

    def is_met(self, error: RingbackError) -> None:
        """The server could not be reached just now."""
        now = self._now()
        if self._began is None:
            self._began = self._told = now
            self._emit("store.away", detail=str(error))
        elif now - self._told >= _AGAIN_SECONDS:
            self._told = now
            self._emit("store.away", detail=str(error), seconds=round(now - self._began))

    def is_over(self) -> None:
        """The server has answered."""
        if self._began is not None:
            self._emit("store.back", seconds=round(self._now() - self._began, 1))
            self._began = None
