"""When to come again: how fast room is made, and its moments shared out among those who wait for it.

Without I/O and without a clock of its own.
"""

from __future__ import annotations

from math import ceil, exp
from typing import Final

from ringback.core.clock import SECOND

UNKNOWN_SECONDS: Final = 1
"""Told as long as nothing has been measured."""

MOST_SECONDS: Final = 60
"""Nobody is sent away for longer: what was measured may be over by then."""

_MEMORY_SECONDS: Final = 30.0
"""Older measures count less and less: by a factor of e in this time."""


class Pace:
    """One queue's. Moments are microseconds on any scale that only runs forward."""

    __slots__ = ("_began", "_last", "_promised", "_weight")

    def __init__(self) -> None:
        self._weight = 0.0
        self._began: int | None = None
        self._last = 0
        self._promised = 0.0

    def made(self, count: int, now: int) -> None:
        """Room has been made for so many."""
        if self._began is None:
            self._began = now
        self._weight = self._weight_at(now) + count
        self._last = now

    def per_second(self, now: int) -> float | None:
        """How many there has been room for in a second lately; None before there has been any."""
        if self._began is None:
            return None
        watched = max(1.0, (now - self._began) / SECOND)
        return self._weight_at(now) / (_MEMORY_SECONDS * (1.0 - exp(-watched / _MEMORY_SECONDS)))

    def wait_seconds(self, now: int) -> int:
        """Whole seconds after which one who asks now may come again: each the moment after the one before."""
        rate = self.per_second(now)
        if rate is None:
            return UNKNOWN_SECONDS
        latest = now + MOST_SECONDS * SECOND
        self._promised = min(latest, max(now, self._promised) + SECOND / max(rate, 1.0 / MOST_SECONDS))
        return max(1, ceil((self._promised - now) / SECOND))

    def _weight_at(self, now: int) -> float:
        return self._weight * exp((self._last - now) / SECOND / _MEMORY_SECONDS)
