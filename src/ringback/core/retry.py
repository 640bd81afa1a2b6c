"""When something is tried again. Pure: chance comes in as a number between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

JITTER: Final = 0.1
"""The most a wait is stretched by; it is never shortened, so no receiver is asked early."""

_DOUBLINGS: Final = 32


def scheduled_wait(waits_seconds: Sequence[float], failures: int, chance: float) -> float | None:
    """Seconds to wait after the `failures`-th failed attempt (1-based); None when the schedule is spent."""
    if failures > len(waits_seconds):
        return None
    return waits_seconds[failures - 1] * (1.0 + JITTER * chance)


def doubling_wait(initial_seconds: float, max_seconds: float, failures: int, chance: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row (1-based), doubling up to `max_seconds`."""
    wait = initial_seconds * 2.0 ** min(failures - 1, _DOUBLINGS)
    return min(wait, max_seconds) * (1.0 + JITTER * chance)
