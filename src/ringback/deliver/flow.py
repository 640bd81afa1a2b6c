"""How much one endpoint is sent at once, and when nothing at all. Pure: the time comes in as seconds of any scale.

Three reins, each for its own trouble: a limit on open requests that follows what the receiver can take, a pause it has
asked for, and a breaker for one that does not work at all. A breaker never drops anything: what is due waits, one
request at a time finds out, and after that the endpoint is taken up again slowly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WINDOW: Final = 20
"""Attempts the breaker looks back on."""
TRIP_AFTER: Final = 10
"""Attempts in the window before it judges at all."""
TRIP_SHARE: Final = 0.7
"""Share of failures in the window that opens it."""
PROBE_SECONDS: Final = 1.0
PROBE_MOST_SECONDS: Final = 60.0
"""Time between probes: doubling from the first to the second."""
PAUSE_SECONDS: Final = 1.0
"""The pause after 429, 502, 503 or 504 without a `Retry-After`."""
PAUSE_MOST_SECONDS: Final = 900.0
"""The longest that one answer stops the whole endpoint; its own delivery waits as long as was asked."""

_SAMPLE: Final = 16
_SLOWER: Final = 2.0
_SLACK_SECONDS: Final = 0.010


class Stance(StrEnum):
    """What an endpoint is treated as."""

    FLOWING = "flowing"
    PAUSED = "paused"  # it asked for time
    OPEN = "open"  # the breaker: it does not work; probed one request at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that did not arrive, as far as the flow cares."""

    timed_out: bool = False
    asks_to_slow: bool = False
    """The answer was 429, 502, 503 or 504."""
    retry_after_seconds: float | None = None


class Flow:
    """The reins of one endpoint."""

    __slots__ = (
        "_best",
        "_breaker_since",
        "_last",
        "_limit",
        "_most",
        "_open",
        "_pause_until",
        "_probe_at",
        "_probe_first",
        "_probe_wait",
        "_rate",
        "_stragglers",
        "_sum",
        "_taken",
        "_tokens",
        "_tokens_at",
        "_was_full",
    )

    def __init__(
        self, most: int, rate_per_second: float | None = None, *, probe_seconds: float = PROBE_SECONDS
    ) -> None:
        """Begin in full flow.

        Args:
            most: open requests at most (`concurrency` in the file).
            rate_per_second: requests begun a second at most (`rate_limit`); bursts of up to one second's worth.
            probe_seconds: from the breaker's opening to the first probe.
        """
        self._most = most
        self._limit = float(most)
        self._open = 0
        self._last: deque[bool] = deque(maxlen=WINDOW)
        self._pause_until = 0.0
        self._breaker_since: float | None = None
        self._probe_at = 0.0
        self._probe_first = self._probe_wait = probe_seconds
        self._stragglers = 0
        self._best = float("inf")
        self._sum = 0.0
        self._taken = 0
        self._was_full = False
        self._rate = rate_per_second
        self._tokens = max(1.0, rate_per_second or 1.0)
        self._tokens_at = 0.0

    # ── Asked before a request ──────────────────────────────────────────────────────────────────

    @property
    def is_tripped(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker_since is not None

    def stance(self, now: float) -> Stance:
        if self._breaker_since is not None:
            return Stance.OPEN
        return Stance.PAUSED if now < self._pause_until else Stance.FLOWING

    @property
    def limit(self) -> int:
        """Open requests it is given at most, now."""
        return 1 if self._breaker_since is not None else max(1, int(self._limit))

    def room(self, now: float) -> int:
        """How many requests may begin now."""
        if now < max(self._pause_until, self._probe_at if self._breaker_since is not None else 0.0):
            return 0
        room = max(0, self.limit - self._open)
        if self._rate is not None:
            room = min(room, int(self._refilled(now) + 1e-9))
        return room

    def next_room_in(self, now: float) -> float | None:
        """Seconds until time alone makes room; None when it needs a request under way to end, or there is room."""
        if self._open >= self.limit or self.room(now) > 0:
            return None
        wait = max(self._pause_until, self._probe_at if self._breaker_since is not None else 0.0) - now
        if self._rate is not None:
            wait = max(wait, (1.0 - self._refilled(now)) / self._rate)
        return max(wait, 0.0)

    # ── Told of a request ───────────────────────────────────────────────────────────────────────

    def begin(self, now: float) -> None:
        """One more request is under way."""
        self._open += 1
        if self._open >= self.limit:
            self._was_full = True
        if self._rate is not None:
            self._tokens, self._tokens_at = self._refilled(now) - 1.0, now

    def forget(self) -> None:
        """One under way was cut off and says nothing about the receiver."""
        self._open -= 1
        self._stragglers = min(self._stragglers, self._open)

    def arrived(self, seconds: float) -> None:
        """One under way has arrived, after so long."""
        self._open -= 1
        self._last.append(True)
        if self._breaker_since is not None:
            self._take_up_again()
        else:
            self._follow(seconds)

    def failed(self, failure: Failure, now: float) -> None:
        """One under way has failed."""
        self._open -= 1
        self._last.append(False)
        if failure.asks_to_slow:
            asked = PAUSE_SECONDS if failure.retry_after_seconds is None else failure.retry_after_seconds
            self._pause_until = max(self._pause_until, now + min(asked, PAUSE_MOST_SECONDS))
        if self._breaker_since is not None:
            if self._stragglers:
                self._stragglers -= 1  # begun before the breaker opened: it says nothing that is not known
                return
            self._probe_wait = min(self._probe_wait * 2, PROBE_MOST_SECONDS)
            self._probe_at = now + self._probe_wait
            return
        if failure.timed_out or failure.asks_to_slow:
            self._limit = max(1.0, self._limit / 2)
        self._trip_if_dead(now)

    # ── Told of the endpoint ────────────────────────────────────────────────────────────────────

    def retune(self, most: int, rate_per_second: float | None) -> None:
        """Take new limits; what is known of the receiver stays."""
        is_held_back = self._limit < self._most
        self._most = most
        self._limit = min(self._limit, float(most)) if is_held_back else float(most)
        if rate_per_second != self._rate:
            self._rate = rate_per_second
            self._tokens = min(self._tokens, max(1.0, rate_per_second or 1.0))

    def start_over(self) -> None:
        """Know nothing of the receiver: it is another one."""
        self._take_up_again()
        self._limit, self._pause_until = float(self._most), 0.0

    def take_over(self, now: float, *, is_first: bool, is_tripped: bool) -> None:
        """Begin with an endpoint that others may have sent to until now, and know of it what they have left word of.

        Args:
            now: seconds of any scale.
            is_first: nobody has sent to it; otherwise its rate may have been used up just now.
            is_tripped: it did not work at all, and is probed.
        """
        self.start_over()
        if not is_first:
            self._tokens, self._tokens_at = 0.0, now
        if is_tripped:
            self._trip(now)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    def _follow(self, seconds: float) -> None:
        """Grow while it answers as quickly as it can and all of the limit is used; shrink when it gets slower."""
        if self._limit < self._most and self._best == float("inf"):
            self._limit = min(float(self._most), self._limit * 2)  # taken up again after a breaker
        self._sum += seconds
        self._taken += 1
        if self._taken < _SAMPLE:
            return
        mean = self._sum / self._taken
        if mean > self._best * _SLOWER + _SLACK_SECONDS:
            self._limit = max(1.0, self._limit - 1)
        elif self._was_full:
            self._limit = min(float(self._most), self._limit + 1)
        # The best is forgotten slowly, so that a receiver that has moved further away is not held to it for ever.
        self._best = min(self._best * 1.05, mean)
        self._sum, self._taken, self._was_full = 0.0, 0, False

    def _trip_if_dead(self, now: float) -> None:
        failures = len(self._last) - sum(self._last)
        if len(self._last) >= TRIP_AFTER and failures >= TRIP_SHARE * len(self._last):
            self._trip(now)

    def _trip(self, now: float) -> None:
        self._breaker_since = now
        self._stragglers = self._open
        self._probe_wait = self._probe_first
        self._probe_at = now + self._probe_wait

    def _take_up_again(self) -> None:
        self._breaker_since = None
        self._stragglers = 0
        self._last.clear()
        self._limit, self._best = 1.0, float("inf")
        self._sum, self._taken, self._was_full = 0.0, 0, False

    def _refilled(self, now: float) -> float:
        assert self._rate is not None
        return min(max(1.0, self._rate), self._tokens + (now - self._tokens_at) * self._rate)
