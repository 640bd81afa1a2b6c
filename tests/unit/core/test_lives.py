"""The tables of legal moves, and the checks on what names a workload."""

from __future__ import annotations

import pytest

from ringback.core.delivery import DELIVERY_MOVES, DeliveryState
from ringback.core.errors import InvalidParameter
from ringback.core.paging import decode_cursor, encode_cursor
from ringback.core.workload import MOVES, TERMINAL, Status, check_id


def test_completed_failed_and_canceled_are_the_ends() -> None:
    assert {Status.COMPLETED, Status.FAILED, Status.CANCELED} == TERMINAL
    assert all(status.is_terminal is (status in TERMINAL) for status in Status)


def test_every_end_can_be_reached_from_every_status_that_is_none() -> None:
    for status in set(Status) - TERMINAL:
        reached = {status}
        while (further := reached.union(*(MOVES[each] for each in reached))) != reached:
            reached = further
        assert reached >= TERMINAL


def test_a_settled_delivery_moves_only_to_be_sent_again() -> None:
    settled = {state for state in DeliveryState if state.is_settled}
    assert settled == {DeliveryState.DELIVERED, DeliveryState.PARKED}
    assert all(DELIVERY_MOVES[state] == {DeliveryState.PENDING} for state in settled)


@pytest.mark.parametrize("workload_id", ["a", "A-1_.~", "x" * 64])
def test_an_id_of_the_callers_own(workload_id: str) -> None:
    check_id(workload_id)


@pytest.mark.parametrize("workload_id", ["", "a b", "a/b", "é", "x" * 300, "a\n"])
def test_an_id_that_would_not_stand_in_a_path_is_refused(workload_id: str) -> None:
    with pytest.raises(InvalidParameter, match="id"):
        check_id(workload_id)


@pytest.mark.parametrize("seq", [0, 1, 9, 2**62])
def test_a_cursor_comes_back_as_the_row_it_stands_for(seq: int) -> None:
    assert decode_cursor(encode_cursor(seq)) == seq


@pytest.mark.parametrize("cursor", ["", "nonsense", "cGFnZTox=", "cGFnZTotMQ", "cGFnZTogMQ", "é", "cGFnZTow\n"])
def test_a_cursor_nobody_gave_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidParameter, match="start without a cursor"):
        decode_cursor(cursor)
