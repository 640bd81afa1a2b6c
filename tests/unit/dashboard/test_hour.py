"""The last hour: what is added between two readings, and how it is shared out among minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from ringback.core.clock import HandWound
from ringback.core.errors import StoreBusy
from ringback.core.workload import Status
from ringback.dashboard import Hour, Reading, Tally
from ringback.dashboard.hour import merged

BOUNDS = (1_000.0, 10_000.0, 100_000.0)


def tally(*counts: int, total_us: int | None = None) -> Tally:
    return Tally(bounds_us=BOUNDS, counts=counts, total_us=sum(counts) if total_us is None else total_us)


@dataclass(slots=True)
class Source:
    """Running totals that a test sets."""

    done: int = 0
    runs: tuple[int, ...] = (0, 0, 0, 0)
    ages: dict[str, float] | None = field(default_factory=dict)

    def read(self) -> Reading:
        return Reading(
            finished={("iris", Status.COMPLETED): self.done} if self.done else {},
            ran={"iris": tally(*self.runs)} if any(self.runs) else {},
            arrived={},
            attempts={("hook", True): self.done},
            tripped=frozenset({"hook"}) if self.done > 5 else frozenset(),
        )

    async def queue_ages(self) -> Mapping[str, float]:
        if self.ages is None:
            raise StoreBusy("later")
        return self.ages


async def test_a_sample_is_what_was_added_since_the_one_before() -> None:
    clock, source = HandWound(), Source(done=3, runs=(1, 2, 0, 0))
    hour = Hour(source.read, source.queue_ages, clock)
    await hour.tick()
    assert hour.samples() == (), "what was before the process looked is of no minute"

    clock.wind(5)
    source.done, source.runs, source.ages = 10, (1, 5, 0, 1), {"iris": 2.5}
    assert await hour.tick() == 5.02
    [sample] = hour.samples()

    assert sample.at == clock.now()
    assert sample.finished == {("iris", Status.COMPLETED): 7}
    assert sample.attempts == {("hook", True): 7}
    assert sample.ran["iris"].counts == (0, 3, 0, 1)
    assert sample.queue_age_seconds == {"iris": 2.5}
    assert hour.tripped == {"hook"}


async def test_nothing_added_takes_no_room_and_a_busy_store_no_sample() -> None:
    clock, source = HandWound(), Source(done=1, runs=(1, 0, 0, 0))
    hour = Hour(source.read, source.queue_ages, clock)
    await hour.tick()
    source.ages = None
    await hour.tick()
    [sample] = hour.samples()

    assert (sample.finished, sample.ran, sample.attempts, sample.queue_age_seconds) == ({}, {}, {}, {})


async def test_an_hour_is_kept_and_no_longer() -> None:
    clock, source = HandWound(), Source()
    hour = Hour(source.read, source.queue_ages, clock)
    for source.done in range(1_000):
        clock.wind(await hour.tick())
    await hour.tick()
    shown = hour.window()

    assert len(hour.samples()) == 720
    assert (len(shown.columns), shown.column_seconds, shown.seconds) == (60, 60, 3_600)
    assert [len(column) for column in shown.columns] == [12] * 60
    assert len(shown.last(60)) == 12
    assert shown.columns[-1][-1].at > shown.columns[0][0].at


async def test_ticks_fall_on_the_clock_however_long_one_takes() -> None:
    clock, source = HandWound(), Source()
    clock.wind(1.25)
    hour = Hour(source.read, source.queue_ages, clock)
    assert await hour.tick() == 3.77
    clock.wind(3.77 + 0.2)
    assert await hour.tick() == 4.8


async def test_the_window_is_as_short_as_what_there_is() -> None:
    clock, source = HandWound(), Source()
    hour = Hour(source.read, source.queue_ages, clock)
    await hour.tick()
    spans = {}
    for number in range(1, 721):
        clock.wind(5.0 if number % 2 else 4.9)  # a tick is never taken early, but not always on the dot
        clock.wind(0.0 if number % 2 else 0.1)
        await hour.tick()
        shown = hour.window()
        spans[number] = shown.seconds
        assert sum(map(len, shown.columns)) == number
        if number <= 60:
            assert [len(column) for column in shown.columns] == [0] * (60 - number) + [1] * number

    assert (spans[60], spans[61], spans[180], spans[181], spans[720]) == (300, 900, 900, 3_600, 3_600)


async def test_what_is_past_moves_to_the_left() -> None:
    clock, source = HandWound(), Source()
    hour = Hour(source.read, source.queue_ages, clock)
    await hour.tick()
    clock.wind(5)
    await hour.tick()
    for seconds, index in ((0, 59), (4, 59), (1, 58), (57 * 5, 1), (5, 0), (5, 39)):
        clock.wind(seconds)
        assert [len(column) for column in hour.window().columns].index(1) == index


@pytest.mark.parametrize(
    ("counts", "total_us", "share", "expected"),
    [
        ((0, 0, 0, 0), 0, 0.5, None),
        ((5, 5, 0, 0), 30_000, 0.5, 1_000.0),
        ((99, 0, 0, 1), 250_000, 0.999, 100_000.0),
        # All in one bucket: their mean says where in it.
        ((1, 0, 0, 0), 120, 0.5, 120.0),
        ((0, 1, 0, 0), 2_010, 0.95, 2_010.0),
        ((2, 0, 0, 0), 1_000, 0.5, 500.0),
        ((0, 10, 0, 0), 20_000, 0.5, 2_000.0),
        ((0, 10, 0, 0), 20_000, 1.0, 3_000.0),
        ((0, 10, 0, 0), 95_000, 1.0, 10_000.0),
        ((0, 0, 0, 3), 600_000, 0.95, 200_000.0),
    ],
)
def test_a_quantile_is_estimated_within_its_bucket(
    counts: tuple[int, ...], total_us: int, share: float, expected: float | None
) -> None:
    assert tally(*counts, total_us=total_us).quantile_us(share) == expected


def test_tallies_add_up() -> None:
    assert merged([]) is None
    whole = merged([tally(1, 0, 0, 2), tally(0, 3, 0, 1)])
    assert whole is not None
    assert (whole.counts, whole.number, whole.total_us) == ((1, 3, 0, 3), 7, 7)
