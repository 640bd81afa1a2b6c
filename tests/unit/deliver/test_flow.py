"""The reins of an endpoint, with the time given by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.deliver import flow as reins
from ringback.deliver.flow import Failure, Flow, Stance

GOOD = None
BAD = Failure()
SLOW = Failure(asks_to_slow=True)
LATE = Failure(timed_out=True)


def end(flow: Flow, how: Failure | None, now: float, seconds: float = 0.01) -> None:
    """End one request: it arrived, or it failed so."""
    if how is None:
        flow.arrived(seconds)
    else:
        flow.failed(how, now)


def attempts(flow: Flow, result: Failure | None, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        flow.begin(now)
        end(flow, result, now)


def tripped(now: float = 0.0) -> Flow:
    flow = Flow(8)
    attempts(flow, BAD, reins.TRIP_AFTER, now)
    assert flow.stance(now) is Stance.OPEN
    return flow


def test_as_many_as_the_file_allows_and_no_more() -> None:
    flow = Flow(3)
    for left in (3, 2, 1):
        assert flow.room(0) == left
        flow.begin(0)
    assert flow.room(0) == 0
    assert flow.next_room_in(0) is None  # one under way must end first
    end(flow, GOOD, 0)
    assert flow.room(0) == 1
    flow.forget()
    assert flow.room(0) == 2


# ── Pauses ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("asked", "pause"), [(None, reins.PAUSE_SECONDS), (30.0, 30.0), (86_400.0, 900.0), (0.0, 0.0)])
def test_one_that_asks_for_time_is_given_it_as_a_whole(asked: float | None, pause: float) -> None:
    flow = Flow(8)
    flow.begin(0)
    flow.failed(Failure(asks_to_slow=True, retry_after_seconds=asked), 0)
    if pause:
        assert (flow.room(0), flow.stance(0)) == (0, Stance.PAUSED)
        assert flow.next_room_in(0) == pause
    assert (flow.room(pause), flow.stance(pause)) == (4, Stance.FLOWING)  # and half as many at once


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    flow = Flow(8)
    for asked in (60.0, 1.0):
        flow.begin(0)
        flow.failed(Failure(asks_to_slow=True, retry_after_seconds=asked), 0)
    assert flow.next_room_in(0) == 60


# ── The breaker ─────────────────────────────────────────────────────────────────────────────────


def test_a_few_failures_do_not_trip_it() -> None:
    flow = Flow(8)
    attempts(flow, BAD, reins.TRIP_AFTER - 1)
    assert flow.stance(0) is Stance.FLOWING


def test_nor_does_one_message_in_two_that_the_receiver_cannot_read() -> None:
    flow = Flow(8)
    for _ in range(50):
        attempts(flow, GOOD, 1)
        attempts(flow, BAD, 1)
    assert flow.stance(0) is Stance.FLOWING


@pytest.mark.parametrize(("failures", "stance"), [(6, Stance.FLOWING), (7, Stance.OPEN)])
def test_seven_of_ten_are_what_it_takes(failures: int, stance: Stance) -> None:
    flow = Flow(8)
    attempts(flow, GOOD, 10 - failures)
    attempts(flow, BAD, failures)
    assert flow.stance(0) is stance


def test_one_that_does_not_work_is_probed_one_request_at_a_time_ever_more_seldom() -> None:
    flow, now, waits = tripped(), 0.0, []
    for _ in range(9):
        wait = flow.next_room_in(now)
        assert wait is not None
        assert flow.room(now + wait - 0.001) == 0
        waits.append(wait)
        now += wait
        assert flow.room(now) == 1
        flow.begin(now)
        assert flow.room(now) == 0
        assert flow.next_room_in(now) is None
        end(flow, BAD, now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_probe_that_arrives_takes_it_up_again_slowly() -> None:
    flow = tripped()
    attempts(flow, GOOD, 1, now=1)
    assert flow.stance(1) is Stance.FLOWING
    limits = []
    for _ in range(5):
        limits.append(flow.limit)
        attempts(flow, GOOD, 1, now=1)
    assert limits == [1, 2, 4, 8, 8]


def test_after_that_it_takes_as_many_failures_as_before_to_trip_it() -> None:
    flow = tripped()
    attempts(flow, GOOD, 1, now=1)
    attempts(flow, BAD, reins.TRIP_AFTER - 1, now=1)
    assert flow.stance(1) is Stance.FLOWING
    attempts(flow, BAD, 1, now=1)
    assert flow.stance(1) is Stance.OPEN
    assert flow.next_room_in(1) == reins.PROBE_SECONDS


def test_those_still_under_way_when_it_trips_are_probes_too() -> None:
    flow = Flow(2)
    attempts(flow, BAD, reins.TRIP_AFTER - 1)
    flow.begin(0)
    flow.begin(0)
    end(flow, BAD, 0)
    assert flow.stance(0) is Stance.OPEN
    end(flow, GOOD, 0.5)
    assert flow.stance(0.5) is Stance.FLOWING


def test_and_when_they_fail_the_first_probe_comes_no_later_for_it() -> None:
    flow = Flow(8)
    attempts(flow, BAD, reins.TRIP_AFTER - 1)
    for _ in range(8):
        flow.begin(0)
    end(flow, BAD, 0)
    for _ in range(6):
        end(flow, BAD, 0.5)
    flow.forget()
    assert (flow.stance(0.5), flow.next_room_in(0.5)) == (Stance.OPEN, reins.PROBE_SECONDS - 0.5)
    flow.begin(1)
    end(flow, BAD, 1)
    assert flow.next_room_in(1) == 2 * reins.PROBE_SECONDS


def test_a_pause_it_asks_for_holds_off_the_probe() -> None:
    flow = tripped()
    flow.begin(1)
    flow.failed(Failure(asks_to_slow=True, retry_after_seconds=300), 1)
    assert flow.next_room_in(1) == 300


# ── The limit ───────────────────────────────────────────────────────────────────────────────────


def full(flow: Flow, seconds: float, rounds: int = 1) -> None:
    """Whole samples of requests, as many at once as it takes, each this long."""
    for _ in range(rounds * 16):
        begun = 0
        while flow.room(0):
            flow.begin(0)
            begun += 1
        for _ in range(begun):
            flow.arrived(seconds)


def test_time_outs_halve_it_and_answers_bring_it_back() -> None:
    flow = Flow(8)
    attempts(flow, GOOD, 16)
    attempts(flow, LATE, 2)
    assert flow.limit == 2
    full(flow, 0.01, rounds=8)
    assert flow.limit == 8


def test_a_new_limit_counts_at_once_for_one_in_full_flow_and_gives_no_more_to_one_that_is_held_back() -> None:
    flow = Flow(8)
    flow.retune(16, None)
    assert flow.limit == 16
    flow.retune(4, None)
    assert flow.limit == 4
    attempts(flow, LATE, 1)
    for most in (4, 16):
        flow.retune(most, None)
        assert flow.limit == 2, "what is known of it stays"
    full(flow, 0.01, rounds=20)
    assert flow.limit == 16


def test_a_new_rate_holds_from_then_on() -> None:
    flow = Flow(100)
    flow.begin(0)
    flow.arrived(0.01)
    flow.retune(100, 5.0)
    assert flow.room(0) <= 5
    for _ in range(flow.room(0)):
        flow.begin(0)
    assert (flow.room(0.1), flow.room(0.21)) == (0, 1)
    flow.retune(100, 4.0)
    assert flow.room(0.1) == 0, "a new rate is no new burst"
    flow.retune(100, None)
    assert flow.room(0) > 5


def test_another_receiver_begins_without_the_pause_and_the_limit_of_the_one_before() -> None:
    flow = Flow(8)
    attempts(flow, Failure(asks_to_slow=True, retry_after_seconds=600), 1)
    assert (flow.room(1), flow.limit) == (0, 4)
    flow.start_over()
    assert (flow.room(1), flow.limit) == (8, 8)


def test_one_that_gets_slower_the_more_it_is_given_is_given_less() -> None:
    flow = Flow(32)
    attempts(flow, GOOD, 16)
    for _ in range(60):
        for _ in range(16):
            flow.begin(0)
            flow.arrived(0.005 * flow.limit)
    assert flow.limit < 16


def test_one_that_has_become_slower_for_good_is_not_held_to_its_best_for_ever() -> None:
    flow = Flow(8)
    full(flow, 0.01, rounds=4)
    full(flow, 0.2, rounds=200)
    assert flow.limit == 8


# ── The rate ────────────────────────────────────────────────────────────────────────────────────


def test_a_rate_lets_a_seconds_worth_begin_and_then_one_after_the_other() -> None:
    flow = Flow(100, rate_per_second=5)
    assert flow.room(0) == 5
    for _ in range(5):
        flow.begin(0)
        end(flow, GOOD, 0)
    assert flow.room(0) == 0
    assert flow.next_room_in(0) == pytest.approx(0.2)
    assert flow.room(0.2) == 1
    assert flow.room(100) == 5


def test_a_rate_below_one_a_second() -> None:
    flow = Flow(8, rate_per_second=0.1)
    assert flow.room(0) == 1
    flow.begin(0)
    end(flow, GOOD, 0)
    assert flow.next_room_in(0) == pytest.approx(10)


@given(st.lists(st.tuples(st.sampled_from([GOOD, BAD, SLOW, LATE]), st.floats(0, 100)), max_size=60), st.integers(1, 5))
def test_whatever_happens_time_or_an_end_makes_room_again(ends: list[tuple[Failure | None, float]], most: int) -> None:
    flow, now, under_way = Flow(most), 0.0, 0
    for result, passes in ends:
        now += passes
        while flow.room(now):
            flow.begin(now)
            under_way += 1
            assert under_way <= most
        if under_way:
            end(flow, result, now)
            under_way -= 1
    for _ in range(under_way):
        end(flow, GOOD, now)
    wait = flow.next_room_in(now) or 0.0
    assert wait <= reins.PAUSE_MOST_SECONDS
    assert flow.room(now + wait) >= 1
