"""How long those are sent away who find a queue full."""

from __future__ import annotations

import pytest

from ringback.core.clock import SECOND
from ringback.core.pace import MOST_SECONDS, UNKNOWN_SECONDS, Promises, per_second

NOW = 1_000 * SECOND


def ends(rate: float, seconds: float, *, until: int = NOW) -> list[int]:
    """One so often, for so long, until a moment."""
    return [round(until - number / rate * SECOND) for number in range(round(rate * seconds))]


def rate_of(found: list[int], *, is_all: bool = True) -> float | None:
    return per_second(found, NOW, since=min(found, default=None), is_all=is_all)


def test_before_anything_is_known_a_second() -> None:
    assert rate_of([]) is None
    assert per_second([], NOW, since=NOW - SECOND, is_all=True) is None
    assert Promises().wait_seconds(None, 5) == UNKNOWN_SECONDS


@pytest.mark.parametrize("rate", [0.5, 4.0, 100.0])
@pytest.mark.parametrize("seconds", [10, 29, 60, 600])
def test_a_steady_rate_is_found_out(rate: float, seconds: int) -> None:
    assert rate_of(ends(rate, seconds)) == pytest.approx(rate, rel=0.3)


def test_of_many_the_latest_are_enough() -> None:
    assert rate_of(ends(1_000.0, 60)[:256], is_all=False) == pytest.approx(1_000, rel=0.01)


def test_what_ended_long_ago_says_that_nothing_ends_now() -> None:
    assert rate_of(ends(100.0, 60, until=NOW - 31 * SECOND)) == 0.0


def test_one_that_has_ended_just_now_does_not_make_a_torrent() -> None:
    assert (rate_of([NOW]) or 0.0) <= 10.0


def test_one_whose_ends_are_too_seldom_to_be_seen_is_as_slow_as_what_was_seen_allows() -> None:
    since = NOW - SECOND // 4
    assert per_second([], NOW, since=since, is_all=False) == pytest.approx(4.0)


def test_a_clock_that_was_set_back_does_no_harm() -> None:
    assert (rate_of(ends(4.0, 10, until=NOW + 3_600 * SECOND)) or -1.0) > 0


def test_each_is_told_the_moment_after_the_one_before() -> None:
    promises = Promises()
    assert [promises.wait_seconds(2.0, NOW) for _ in range(6)] == [1, 1, 2, 2, 3, 3]


def test_a_moment_that_has_passed_is_promised_to_nobody() -> None:
    promises = Promises()
    for _ in range(6):
        promises.wait_seconds(2.0, NOW)
    assert promises.wait_seconds(2.0, NOW + 10 * SECOND) == 1


def test_nobody_is_sent_away_for_longer_than_what_was_measured_may_hold() -> None:
    promises = Promises()
    assert max(promises.wait_seconds(0.5, NOW) for _ in range(1_000)) == MOST_SECONDS
    assert Promises().wait_seconds(0.0, NOW) == MOST_SECONDS
