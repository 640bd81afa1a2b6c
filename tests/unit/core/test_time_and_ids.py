"""Instants, and ids in the order they were made."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.clock import SECOND, HandWound, Instant, SystemClock, after, isoformat
from ringback.core.ids import Ids


def test_an_instant_is_written_with_microseconds_and_its_offset() -> None:
    assert isoformat(Instant(1_700_000_000 * SECOND)) == "2023-11-14T22:13:20.000000+00:00"
    assert isoformat(Instant(1)) == "1970-01-01T00:00:00.000001+00:00"


def test_the_hand_wound_clock_moves_when_told_to() -> None:
    clock = HandWound()
    begin = clock.now()
    assert clock.now() == begin
    clock.wind(1.5)
    assert clock.now() == after(begin, 1.5) == begin + 1_500_000
    assert clock.elapsed() == 1_500_000
    clock.set(-2)
    assert clock.now() == begin - 500_000
    assert clock.elapsed() == 1_500_000


def test_what_has_elapsed_on_the_systems_clock_only_grows_and_all_its_clocks_agree() -> None:
    one, other = SystemClock(), SystemClock()
    moments = [one.elapsed(), other.elapsed(), one.elapsed()]
    assert moments == sorted(moments)
    assert moments[2] - moments[0] < 10 * SECOND
    assert one.epoch == other.epoch


def test_the_systems_clock_tells_this_centurys_microseconds() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert Instant(1_700_000_000 * SECOND) < first <= second < Instant(4_102_444_800 * SECOND)


@given(st.lists(st.floats(-10, 10), max_size=30))
def test_ids_ascend_whatever_the_clock_does(steps: list[float]) -> None:
    clock = HandWound()
    ids = Ids(clock)
    made = [ids.new()]
    for step in steps:
        clock.wind(step)
        made.append(ids.new())
    assert made == sorted(set(made))


def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond() -> None:
    clock = HandWound()
    made = uuid.UUID(Ids(clock).new())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == clock.now() // 1_000


def test_ids_of_two_makers_differ_at_the_same_moment() -> None:
    clock = HandWound()
    one, other = Ids(clock), Ids(clock)
    assert not {one.new() for _ in range(600)} & {other.new() for _ in range(600)}
