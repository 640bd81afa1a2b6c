"""Whether something is tried again, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.policy import Again, after_loss, after_raise
from ringback.core.retry import JITTER, doubling_wait, scheduled_wait
from ringback.core.spec import Retries
from ringback.core.workload import Failed, Spent

RAISED = Failed(type="ValueError", message="no")


def test_a_schedule_is_walked_step_by_step_and_then_spent() -> None:
    assert [scheduled_wait([5, 300], failures, 0.0) for failures in (1, 2, 3)] == [5, 300, None]


def test_chance_stretches_a_wait_and_never_shortens_it() -> None:
    assert scheduled_wait([100], 1, 1.0) == pytest.approx(100 * (1 + JITTER))
    assert doubling_wait(1, 300, 1, 1.0) == pytest.approx(1 + JITTER)


def test_waits_double_up_to_the_longest() -> None:
    assert [doubling_wait(1, 10, failures, 0.0) for failures in (1, 2, 3, 4, 5, 6)] == [1, 2, 4, 8, 10, 10]


@given(st.floats(0.001, 60), st.floats(60, 86_400), st.integers(1, 10**9), st.floats(0, 1))
def test_a_doubled_wait_stays_in_bounds(initial: float, most: float, failures: int, chance: float) -> None:
    assert initial <= doubling_wait(initial, most, failures, chance) <= most * (1 + JITTER)


def test_predict_that_raises_fails_the_workload_at_once_by_default() -> None:
    assert after_raise(Retries(), 0, RAISED, 0.0) is RAISED


def test_predict_may_raise_as_often_as_the_file_allows() -> None:
    retries = Retries(max_attempts=3, initial_seconds=2)
    assert after_raise(retries, 0, RAISED, 0.0) == Again(spent=Spent.ATTEMPT, why=RAISED, delay_seconds=2)
    assert after_raise(retries, 1, RAISED, 0.0) == Again(spent=Spent.ATTEMPT, why=RAISED, delay_seconds=4)
    assert after_raise(retries, 2, RAISED, 0.0) is RAISED


def test_chance_spreads_those_that_failed_together() -> None:
    again = after_raise(Retries(max_attempts=3, initial_seconds=2), 0, RAISED, 1.0)
    assert isinstance(again, Again)
    assert again.delay_seconds == 2 * (1 + JITTER)


@pytest.mark.parametrize(("budget", "times"), [(1, "once"), (3, "3 times")])
def test_a_workload_that_kills_its_replicas_stops_when_its_losses_are_spent(budget: int, times: str) -> None:
    retries = Retries(max_losses=budget)
    for losses in range(budget - 1):
        lost = Failed(type="replica_lost", message="the replica running it was killed by SIGKILL")
        assert after_loss(retries, losses, "was killed by SIGKILL") == Again(spent=Spent.LOSS, why=lost)
    assert after_loss(retries, budget - 1, "was killed by SIGKILL") == Failed(
        type="replica_lost", message=f"the replica running it was lost {times}; the last one was killed by SIGKILL"
    )


@pytest.mark.parametrize(
    ("on", "never_on", "forgiven"),
    [
        ([], [], True),
        (["ConnectionResetError"], [], True),
        (["OSError"], [], True),
        (["builtins.OSError"], [], True),
        (["ValueError"], [], False),
        (["ValueError", "OSError"], [], True),
        ([], ["OSError"], False),
        ([], ["ValueError"], True),
        (["ConnectionResetError"], ["OSError"], False),
    ],
)
def test_what_is_forgiven_by_name(on: list[str], never_on: list[str], forgiven: bool) -> None:
    retries = Retries(max_attempts=3, on=frozenset(on), never_on=frozenset(never_on))
    kinds = frozenset({"ConnectionResetError", "OSError", "Exception", "builtins.OSError"})
    failure = Failed(type="ConnectionResetError", message="gone", kinds=kinds)
    assert isinstance(after_raise(retries, 0, failure, 0.0), Again) is forgiven


def test_a_time_out_has_a_name_too() -> None:
    late = Failed(type="timeout", message="late")
    assert after_raise(Retries(max_attempts=3, never_on=frozenset({"timeout"})), 0, late, 0.0) is late
    assert after_raise(Retries(max_attempts=3, on=frozenset({"OSError"})), 0, late, 0.0) is late
