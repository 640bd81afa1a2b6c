"""Time that runs as always and can be wound forward: one offset for a store's clock and its loop's timers."""

from __future__ import annotations

import asyncio
import threading

from ringback.core.clock import SECOND, Instant, SystemClock


class WoundClock:
    """A `core.clock.Clock`: the machine's own, plus what it was wound by."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._wound_us = 0
        self._lock = threading.Lock()

    @property
    def wound_seconds(self) -> float:
        """By how much it is ahead of the machine's."""
        return self._wound_us / SECOND

    def now(self) -> Instant:
        return Instant(self._machine.now() + self._wound_us)

    def elapsed(self) -> int:
        return self._machine.elapsed() + self._wound_us

    @property
    def epoch(self) -> str:
        return self._machine.epoch

    def wind(self, seconds: float) -> None:
        """Let `seconds` have passed.

        Raises:
            ValueError: time runs forward only.
        """
        if seconds < 0:
            raise ValueError(f"time cannot be wound back by {-seconds:g} s; it runs forward only")
        with self._lock:
            self._wound_us += round(seconds * SECOND)


class WoundLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by a `WoundClock`: what was due in the time wound is due at once."""

    def __init__(self, clock: WoundClock) -> None:
        self._wound = clock  # first: the base class asks for the time
        super().__init__()

    def time(self) -> float:
        return super().time() + self._wound.wound_seconds
