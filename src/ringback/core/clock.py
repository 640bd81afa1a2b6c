"""Time comes in through this door, and nowhere else: the linter bans the standard clocks elsewhere.

An `Instant` is an integer of microseconds since the epoch, because both databases keep integers alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NewType, Protocol

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00+00:00."""

SECOND: Final = 1_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOOT_TIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Tells what time it is, and how much has passed. One per store, so that all of it is judged by one clock.

    `now` may be set, forward or back, by whoever keeps the machine's time. What is due when is judged by `elapsed`,
    which nobody sets.
    """

    def now(self) -> Instant:
        """The time of day, for people and for signatures."""
        ...

    def elapsed(self) -> int:
        """Microseconds on a scale that only ever runs forward, as fast as time does, within one `epoch`."""
        ...

    @property
    def epoch(self) -> str:
        """Names the scale of `elapsed`: clocks with the same epoch agree on it."""
        ...


class SystemClock:
    """The machine's clock.

    On Linux `elapsed` is the time since the machine was started, suspension included, and its epoch that start
    (clock_gettime(2), CLOCK_BOOTTIME; proc_sys_kernel(5), random/boot_id). Elsewhere it is the time of day.
    """

    __slots__ = ("_boot",)

    def __init__(self) -> None:
        self._boot = _this_boot()

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1_000)

    def elapsed(self) -> int:
        return (time.clock_gettime_ns(_BOOT_TIME) if self._boot else time.time_ns()) // 1_000

    @property
    def epoch(self) -> str:
        return self._boot


@dataclass(slots=True)
class HandWound:
    """A clock for tests: it moves when told to."""

    at: int = 1_700_000_000 * SECOND
    ran: int = 0
    epoch: str = "first boot"

    def now(self) -> Instant:
        return Instant(self.at)

    def elapsed(self) -> int:
        return self.ran

    def wind(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.at += round(seconds * SECOND)
        self.ran += round(seconds * SECOND)

    def set(self, seconds: float) -> None:
        """Set the time of day by `seconds`, back when negative, while no time passes."""
        self.at += round(seconds * SECOND)

    def restart(self, epoch: str, down_seconds: float) -> None:
        """Start the machine anew after so long: what has elapsed is counted from nothing."""
        self.wind(down_seconds)
        self.ran, self.epoch = 0, epoch


def after(moment: Instant, seconds: float) -> Instant:
    """The instant `seconds` later."""
    return Instant(moment + round(seconds * SECOND))


def isoformat(moment: Instant) -> str:
    """ISO 8601 with microseconds and `+00:00`, as webhooks and answers carry it."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")


def _this_boot() -> str:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return ""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
