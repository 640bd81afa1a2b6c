"""How long those are sent away who find a queue full."""

from __future__ import annotations

import pytest

from ringback.core.clock import SECOND
from ringback.core.pace import MOST_SECONDS, UNKNOWN_SECONDS, Pace


def at_a_steady(rate: float, seconds: int) -> Pace:
    """Room for one made so often, for so long, from moment 0."""
    pace = Pace()
    for number in range(round(rate * seconds) + 1):
        pace.made(1, round(number / rate * SECOND))
    return pace


def test_before_anything_is_known_a_second() -> None:
    assert [Pace().wait_seconds(5), Pace().per_second(5)] == [UNKNOWN_SECONDS, None]


@pytest.mark.parametrize("rate", [0.5, 4.0, 100.0])
@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_a_steady_rate_is_found_out(rate: float, seconds: int) -> None:
    assert at_a_steady(rate, seconds).per_second(seconds * SECOND) == pytest.approx(rate, rel=0.25)


def test_a_rate_that_changes_is_followed() -> None:
    pace = at_a_steady(100.0, 60)
    for number in range(120):
        pace.made(1, (60 + number) * SECOND)
    assert pace.per_second(180 * SECOND) == pytest.approx(2.8, abs=1)


def test_each_is_told_the_moment_after_the_one_before() -> None:
    pace = at_a_steady(2.0, 60)
    now = 60 * SECOND
    assert [pace.wait_seconds(now) for _ in range(6)] == [1, 1, 2, 2, 3, 3]


def test_a_moment_that_has_passed_is_promised_to_nobody() -> None:
    pace = at_a_steady(2.0, 60)
    for _ in range(6):
        pace.wait_seconds(60 * SECOND)
    assert pace.wait_seconds(70 * SECOND) == 1


def test_nobody_is_sent_away_for_longer_than_what_was_measured_may_hold() -> None:
    pace = at_a_steady(0.5, 60)
    waits = [pace.wait_seconds(60 * SECOND) for _ in range(1_000)]
    assert max(waits) == MOST_SECONDS
    assert at_a_steady(1.0, 10).wait_seconds(10_000 * SECOND) == MOST_SECONDS
