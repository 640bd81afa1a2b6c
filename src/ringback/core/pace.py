"""When to come again: how fast room is made, and its moments shared out among those who wait for it.

Without I/O and without a clock of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from ringback.core.clock import SECOND

UNKNOWN_SECONDS: Final = 1
"""Told as long as nothing has been measured."""

MOST_SECONDS: Final = 60
"""Nobody is sent away for longer: what was measured may be over by then."""

_WATCHED_SECONDS: Final = 30.0
"""Older ends say nothing about how fast they come now."""

_LEAST_SECONDS: Final = 0.1
"""What is measured over less is measured over this."""


def per_second(ends: Sequence[int], now: int, *, since: int | None, is_all: bool) -> float | None:
    """How fast workloads end.

    Args:
        ends: when the latest have, in microseconds, in any order.
        now: the moment.
        since: the earliest end among all that were looked at, those of others included; None when there was none.
        is_all: whether none was left out before it.

    Returns:
        Their rate over the last half minute, or over as much of it as was looked at; None when nothing is known.
    """
    if since is None or (not ends and is_all):
        return None
    oldest = now - _WATCHED_SECONDS * SECOND
    recent = sum(each >= oldest for each in ends)
    # None among so many others: they come at most as fast as one in that time.
    return max(recent, int(not ends)) / max(_LEAST_SECONDS, (now - max(since, oldest)) / SECOND)


class Promises:
    """The moments at which those may come again who were refused, each after the one before."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest = 0.0

    def wait_seconds(self, rate: float | None, now: int) -> int:
        """Whole seconds after which one who asks now may come again, when there is room for so many in a second."""
        if rate is None:
            return UNKNOWN_SECONDS
        furthest = now + MOST_SECONDS * SECOND
        self._latest = min(furthest, max(now, self._latest) + SECOND / max(rate, 1.0 / MOST_SECONDS))
        return max(1, ceil((self._latest - now) / SECOND))
