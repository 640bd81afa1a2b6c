"""Cortex's arithmetic, step by step and as a table; and what holds whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ringback.core.autoscaling import Sample, Situation, average, decide, first, part, target
from ringback.core.spec import Api, Autoscaling, Predictor

AT_ONCE = Autoscaling(
    max_replicas=100,
    upscale_stabilization_seconds=0,
    downscale_stabilization_seconds=0,
    max_upscale_factor=100,
    max_downscale_factor=0,
    upscale_tolerance=0,
    downscale_tolerance=0,
)
"""Follows the load at once and all the way."""

API = Api(name="a", endpoint="a", predictor=Predictor(path=Path("/p.py")))


def wanted(rules: Autoscaling, in_flight: float, replicas: int, *, aim: float = 1.0) -> int:
    return decide(rules, aim, Situation(now=10_000, since=0, in_flight=in_flight, replicas=replicas)).replicas


@pytest.mark.parametrize(
    ("in_flight", "aim", "replicas", "expected"),
    [
        (4, 1, 1, 4),
        (4.2, 1, 1, 5),
        (8, 2, 1, 4),
        (8, 1.6, 4, 5),  # Cortex's own example of a fifth more than needed
        (0.01, 1, 1, 1),
        (2.1, 0.7, 1, 3),  # 3.0000000000000004 by the processor
        (0, 1, 5, 1),  # min_replicas
        (1_000, 1, 5, 100),  # max_replicas
        (3, 1, 3, 3),
    ],
)
def test_as_many_as_the_load_needs(in_flight: float, aim: float, replicas: int, expected: int) -> None:
    assert wanted(AT_ONCE, in_flight, replicas, aim=aim) == expected


@pytest.mark.parametrize(
    ("in_flight", "expected"),
    [(18.1, 20), (18.0, 18), (17.9, 18), (21.9, 20), (22.0, 22), (22.1, 23), (20, 20)],
)
def test_within_the_tolerances_nothing_changes(in_flight: float, expected: int) -> None:
    assert wanted(replace(AT_ONCE, downscale_tolerance=0.1, upscale_tolerance=0.1), in_flight, 20) == expected


@pytest.mark.parametrize(
    ("in_flight", "replicas", "expected"),
    [
        (2, 10, 8),  # 0.75 of 10, rounded up
        (8, 10, 8),
        (9, 10, 9),
        (0, 4, 3),
        (0, 3, 2),  # 0.75 of 3 is 3 rounded up, but one is always allowed
        (0, 2, 1),
        (50, 10, 15),  # 1.5 times 10
        (50, 3, 5),
        (50, 1, 2),
        (50, 2, 3),
    ],
)
def test_a_step_is_no_larger_than_its_factor(in_flight: float, replicas: int, expected: int) -> None:
    assert wanted(replace(AT_ONCE, max_downscale_factor=0.75, max_upscale_factor=1.5), in_flight, replicas) == expected


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 9), (0.0, 1), (0.5, 5)])
def test_the_smallest_step_down(factor: float, expected: int) -> None:
    assert wanted(replace(AT_ONCE, max_downscale_factor=factor), 0, 10) == expected


# ── Stabilisation ───────────────────────────────────────────────────────────────────────────────

CALM = replace(AT_ONCE, downscale_stabilization_seconds=300, upscale_stabilization_seconds=60)


def at(now: float, *past: tuple[float, int], in_flight: float, replicas: int, since: float = 0) -> int:
    samples = tuple(Sample(at=moment, value=value) for moment, value in past)
    situation = Situation(now=now, since=since, in_flight=in_flight, replicas=replicas, past=samples)
    return decide(CALM, 1.0, situation).replicas


def test_up_to_the_lowest_recommendation_of_the_period() -> None:
    assert at(1_000, (950, 3), (970, 8), in_flight=6, replicas=2) == 3
    assert at(1_000, (939, 3), (970, 8), in_flight=6, replicas=2) == 6, "the 3 is 61 seconds old"
    assert at(1_000, (940, 3), (970, 8), in_flight=6, replicas=2) == 3, "the 3 is 60 seconds old"


def test_a_lull_in_the_period_keeps_it_from_growing_but_makes_it_no_smaller() -> None:
    assert at(1_000, (950, 1), in_flight=6, replicas=2) == 2


def test_down_to_the_highest_recommendation_of_the_period() -> None:
    assert at(1_000, (701, 4), (900, 2), in_flight=0.5, replicas=5) == 4
    assert at(1_000, (699, 4), (900, 2), in_flight=0.5, replicas=5) == 2


def test_an_old_recommendation_that_was_never_followed_does_not_open_the_way_down() -> None:
    assert at(1_000, (950, 8), in_flight=3, replicas=5) == 5


def test_nothing_changes_before_a_period_has_been_seen_in_full() -> None:
    assert at(59, in_flight=6, replicas=2) == 2
    assert at(60, in_flight=6, replicas=2) == 6
    assert at(299, in_flight=0, replicas=2) == 2
    assert at(300, in_flight=0, replicas=2) == 1
    assert at(1_000, in_flight=6, replicas=2, since=941) == 2


def test_what_is_older_than_both_periods_is_forgotten() -> None:
    old = tuple(Sample(at=float(moment), value=1) for moment in range(0, 1_000, 10))
    past = decide(CALM, 1.0, Situation(now=1_000, since=0, in_flight=2, replicas=2, past=old)).past
    assert (past[0].at, len(past)) == (700, 31)
    assert past[-1] == Sample(at=1_000, value=2)


def test_bounds_that_have_changed_hold_at_once() -> None:
    situation = Situation(now=1, since=0, in_flight=3, replicas=3)
    assert decide(replace(CALM, min_replicas=5), 1.0, situation).replicas == 5
    assert decide(replace(CALM, max_replicas=2), 1.0, situation).replicas == 2


# ── From and to zero ────────────────────────────────────────────────────────────────────────────

TO_ZERO = replace(AT_ONCE, min_replicas=0)


def test_an_idle_api_goes_to_zero_if_it_may() -> None:
    assert wanted(TO_ZERO, 0, 1) == 0
    assert wanted(AT_ONCE, 0, 1) == 1
    assert wanted(TO_ZERO, 0.001, 1) == 1, "what the window remembers keeps one"


def test_one_stays_for_a_while_after_a_wake() -> None:
    rules = replace(TO_ZERO, downscale_stabilization_seconds=300)
    situation = Situation(now=1_000, since=0, in_flight=0, replicas=1, woken_at=701)
    assert decide(rules, 1.0, situation).replicas == 1
    assert decide(rules, 1.0, replace(situation, woken_at=699)).replicas == 0
    assert decide(rules, 1.0, replace(situation, replicas=3)).replicas == 1, "the others may go"


def test_from_zero_it_grows_like_from_one() -> None:
    assert wanted(replace(TO_ZERO, max_upscale_factor=1.5), 50, 0) == 1


# ── Around it ───────────────────────────────────────────────────────────────────────────────────


def test_an_api_starts_with_what_the_file_says() -> None:
    assert first(Autoscaling()) == 1
    assert first(Autoscaling(min_replicas=0)) == 0
    assert first(Autoscaling(min_replicas=2)) == 2
    assert first(Autoscaling(min_replicas=0, init_replicas=3)) == 3


def test_the_aim_is_what_a_replica_runs_at_once() -> None:
    assert target(API) == 1.0
    assert target(replace(API, concurrency=8)) == 8.0
    assert target(replace(API, concurrency=8, autoscaling=Autoscaling(target_replica_concurrency=0.5))) == 0.5


def test_the_average_is_that_of_the_window() -> None:
    samples = [Sample(at=float(moment), value=value) for moment, value in ((1, 100), (11, 4), (12, 2))]
    assert average(samples, now=12, window_seconds=11) == 3.0, "the one at 1 is outside"
    assert average(samples, now=12, window_seconds=11.5) == 106 / 3
    assert average([], now=12, window_seconds=60) == 0.0


@given(some.lists(some.integers(0, 30), min_size=1, max_size=8), some.integers(0, 200))
def test_members_come_to_what_is_wanted_all_together(counts: list[int], request: int) -> None:
    """One after the other, however they begin: in few rounds, and never past it."""
    members = len(counts)
    for _ in range(members + 1):
        for place in range(members):
            before, current = counts[place], sum(counts)
            counts[place] = part(request, current=current, own=before, place=place, members=members)
            assert counts[place] >= 0
            if request > current:
                assert before <= counts[place] <= before + request - current
            else:
                assert before + request - current <= counts[place] <= before
    assert sum(counts) == request


def test_a_new_load_is_shared_evenly() -> None:
    assert [part(7, current=0, own=0, place=place, members=3) for place in range(3)] == [3, 2, 2]


def test_nobody_gives_up_replicas_that_others_would_have_to_start_for_it() -> None:
    assert part(3, current=3, own=3, place=1, members=2) == 3
    assert part(4, current=3, own=3, place=1, members=2) == 3
    assert part(4, current=3, own=0, place=0, members=2) == 1


numbers = some.floats(0, 1e6)


@given(
    some.builds(
        Autoscaling,
        min_replicas=some.integers(0, 20),
        max_replicas=some.integers(20, 60),
        downscale_stabilization_seconds=some.sampled_from([0.0, 30.0, 300.0]),
        upscale_stabilization_seconds=some.sampled_from([0.0, 30.0, 300.0]),
        max_downscale_factor=some.floats(0, 1),
        max_upscale_factor=some.floats(1, 10),
        downscale_tolerance=some.floats(0, 2),
        upscale_tolerance=some.floats(0, 2),
    ),
    some.lists(some.tuples(some.floats(0.1, 100), numbers), max_size=30),
    some.floats(0.001, 100),
    some.integers(0, 60),
)
def test_whatever_the_load_does(rules: Autoscaling, course: list[tuple[float, float]], aim: float, start: int) -> None:
    """It stays within its bounds, remembers no more than it must, and comes to rest under a steady load."""
    now, replicas, past = 0.0, start, ()
    for pause, in_flight in [*course, *[(301.0, 0.0)] * 80]:
        now += pause
        situation = Situation(now=now, since=0, in_flight=in_flight, replicas=replicas, past=past)
        decision = decide(rules, aim, situation)
        assert rules.min_replicas <= decision.replicas <= rules.max_replicas
        if in_flight / aim >= replicas:
            assert decision.replicas >= min(replicas, rules.max_replicas), "it shrinks under load"
        if in_flight / aim <= replicas:
            assert decision.replicas <= max(replicas, rules.min_replicas), "it grows without load"
        replicas, past = decision.replicas, decision.past
        assert all(each.at >= now - 300 for each in past)
    if rules.downscale_tolerance < 1:
        assert replicas == rules.min_replicas
