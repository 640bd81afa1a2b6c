"""Time comes in through this door, and nowhere else: the linter bans the standard clocks elsewhere.

An `Instant` is an integer of microseconds since the epoch, because both databases keep integers alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NewType, Protocol

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00+00:00."""

SECOND: Final = 1_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells what time it is. One per store, so that everything stored is judged by one clock."""

    def now(self) -> Instant: ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1_000)


@dataclass(slots=True)
class HandWound:
    """A clock for tests: it moves when told to."""

    at: int = 1_700_000_000 * SECOND

    def now(self) -> Instant:
        return Instant(self.at)

    def wind(self, seconds: float) -> None:
        """Move the clock by `seconds`, backwards when negative."""
        self.at += round(seconds * SECOND)


def after(moment: Instant, seconds: float) -> Instant:
    """The instant `seconds` later."""
    return Instant(moment + round(seconds * SECOND))


def isoformat(moment: Instant) -> str:
    """ISO 8601 with microseconds and `+00:00`, as webhooks and answers carry it."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")
