"""The last hour of figures, in memory of this process: counters read every few seconds, kept as what was added.

Nothing is counted on a workload's way for it: whoever makes the metrics hands in its running totals.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ringback.core.clock import SECOND, Clock, Instant
from ringback.core.errors import RingbackError
from ringback.core.workload import Status

TICK_SECONDS: Final = 5
COLUMNS: Final = 60

_TICK_US: Final = TICK_SECONDS * SECOND
_MARGIN_US: Final = 20_000
"""A sample is taken so long after its tick: an event loop may wake a little early, never that much."""
_HOUR_TICKS: Final = 3_600 // TICK_SECONDS
_WIDTHS: Final = (1, 3, 12)
"""Ticks in a column: sixty columns are five minutes, fifteen, or the hour."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How durations are spread: how many were at most each bound, the last one without a bound; and their sum."""

    bounds_us: tuple[float, ...]
    counts: tuple[int, ...]
    total_us: int

    @property
    def number(self) -> int:
        return sum(self.counts)

    def minus(self, earlier: Tally | None) -> Tally:
        """What has been added since."""
        if earlier is None:
            return self
        counts = tuple(now - before for now, before in zip(self.counts, earlier.counts, strict=True))
        return Tally(bounds_us=self.bounds_us, counts=counts, total_us=self.total_us - earlier.total_us)

    def quantile_us(self, share: float) -> float | None:
        """The duration that this share of them did not pass, estimated within its bucket; None of nothing."""
        wanted, seen = share * self.number, 0
        if not self.number:
            return None
        for index, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                low, high = self._edges(index)
                return low + (high - low) * max(0.0, wanted - seen) / count
            seen += count
        return self.bounds_us[-1]

    def _edges(self, index: int) -> tuple[float, float]:
        """Between which durations those in a bucket are taken to lie, evenly.

        Where they are all there are, their sum tells where in the bucket; one alone is told as it was.
        """
        low = self.bounds_us[index - 1] if index else 0.0
        high = self.bounds_us[index] if index < len(self.bounds_us) else low
        if self.counts[index] < self.number:
            return low, high
        mean = self.total_us / self.number
        reach = 0.0 if self.number == 1 else max(0.0, min(mean - low, high - mean))
        return mean - reach, mean + reach


def merged(tallies: Iterable[Tally]) -> Tally | None:
    """All of them as one; None of none."""
    whole: Tally | None = None
    for each in tallies:
        if whole is None:
            whole = each
            continue
        counts = tuple(a + b for a, b in zip(whole.counts, each.counts, strict=True))
        whole = Tally(bounds_us=each.bounds_us, counts=counts, total_us=whole.total_us + each.total_us)
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Running totals since the process began, and what stands now."""

    finished: Mapping[tuple[str, Status], int]
    """Workloads ended, by API."""
    ran: Mapping[str, Tally]
    """Run times of predict, by API."""
    arrived: Mapping[str, Tally]
    """From the event to the webhook's end, by endpoint."""
    attempts: Mapping[tuple[str, bool], int]
    """Webhook requests by endpoint, and whether they succeeded."""
    tripped: frozenset[str]
    """Endpoints that are left alone at the moment, because they did not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was added between two readings, and how old queues were at the second."""

    at: Instant
    finished: Mapping[tuple[str, Status], int]
    ran: Mapping[str, Tally]
    arrived: Mapping[str, Tally]
    attempts: Mapping[tuple[str, bool], int]
    queue_age_seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Samples side by side in sixty columns, the latest last, over no more time than there are samples for."""

    columns: Sequence[Sequence[Sample]]
    column_seconds: int

    @property
    def seconds(self) -> int:
        """How far back it goes."""
        return self.column_seconds * len(self.columns)

    def last(self, seconds: float) -> list[Sample]:
        """The samples of the last columns that make up so much time."""
        number = max(1, round(seconds / self.column_seconds))
        return [sample for column in self.columns[-number:] for sample in column]


@dataclass(slots=True, kw_only=True)
class _Hand:
    """The reading before, from which the next sample counts."""

    reading: Reading | None = None
    samples: deque[Sample] = field(default_factory=deque)


class Hour:
    """Samples of the last hour, newest last."""

    def __init__(
        self,
        read: Callable[[], Reading],
        queue_ages: Callable[[], Awaitable[Mapping[str, float]]],
        clock: Clock,
    ) -> None:
        self._read = read
        self._queue_ages = queue_ages
        self._clock = clock
        self._hand = _Hand()

    async def run(self) -> None:
        """Sample for ever, at whole ticks of the clock."""
        while True:
            seconds = await self.tick()
            await asyncio.sleep(seconds)

    async def tick(self) -> float:
        """Take one sample; the seconds until the next is due."""
        try:
            ages = await self._queue_ages()
        except RingbackError:  # a store that is busy or gone has no say in what was counted
            ages = {}
        reading, before, now = self._read(), self._hand.reading, self._clock.now()
        self._hand.reading = reading
        if before is not None:
            self._hand.samples.append(
                Sample(
                    at=now,
                    finished=_added(reading.finished, before.finished),
                    ran=_spread(reading.ran, before.ran),
                    arrived=_spread(reading.arrived, before.arrived),
                    attempts=_added(reading.attempts, before.attempts),
                    queue_age_seconds=dict(ages),
                )
            )
        samples = self._hand.samples
        while samples and _slot(samples[0].at) <= _slot(now) - _HOUR_TICKS:
            samples.popleft()
        return (_TICK_US - now % _TICK_US + _MARGIN_US) / SECOND

    @property
    def tripped(self) -> frozenset[str]:
        """Endpoints that are left alone, as last read."""
        return self._hand.reading.tripped if self._hand.reading is not None else frozenset()

    def samples(self) -> Sequence[Sample]:
        return tuple(self._hand.samples)

    def window(self) -> Window:
        """The samples there are, as a chart shows them."""
        return window(self._hand.samples, self._clock.now())


def window(samples: Sequence[Sample], now: Instant) -> Window:
    """Samples by the column they belong to: in the smallest window that has them all."""
    latest = now // _TICK_US
    first = min((_slot(sample.at) for sample in samples), default=latest)
    width = next((each for each in _WIDTHS if latest - first < each * COLUMNS), _WIDTHS[-1])
    columns: list[list[Sample]] = [[] for _ in range(COLUMNS)]
    for sample in samples:
        back = max(0, latest - _slot(sample.at)) // width
        if back < COLUMNS:
            columns[-1 - back].append(sample)
    return Window(columns=columns, column_seconds=width * TICK_SECONDS)


def _slot(moment: Instant) -> int:
    """The tick a sample was taken for: it is taken at it, or a little later."""
    return moment // _TICK_US


def _added(now: Mapping[K, int], before: Mapping[K, int]) -> dict[K, int]:
    return {key: count - before.get(key, 0) for key, count in now.items() if count != before.get(key, 0)}


def _spread(now: Mapping[str, Tally], before: Mapping[str, Tally]) -> dict[str, Tally]:
    added = {key: tally.minus(before.get(key)) for key, tally in now.items()}
    return {key: tally for key, tally in added.items() if tally.number}
