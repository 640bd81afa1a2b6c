"""What one replica has in hand: how much, in which order, and what comes back."""

from __future__ import annotations

import pytest

from ringback.core.workload import Claimed, Held
from ringback.work.hand import Hand
from ringback.work.owner import Gone

QUICK, LONG = 0.0005, 0.1
Numbers = dict[str, int]


def claimed(name: str) -> Claimed:
    held = Held(seq=0, api="iris", id=name, attempt=1)
    return Claimed(
        held=held, payload=b"", content_type="", headers=b"", trace_id=None, raised=0, losses=0, submitted_at=0
    )


def names(hand: Hand) -> list[str]:
    return [each.held.id for each in hand]


def filled(*, runs: float = QUICK) -> tuple[Hand, Numbers, float]:
    """A hand whose workloads have taken so long, filled with new ones; their numbers; the moment."""
    hand, now = Hand(1), 0.0
    for _ in range(40):
        number = hand.put(claimed("warm"), now, 60.0)
        now += runs
        hand.end(number, now)
    numbers: Numbers = {}
    while hand.room(now) > 0:
        name = f"w{len(numbers)}"
        numbers[name] = hand.put(claimed(name), now, 60.0)
    return hand, numbers, now


def test_of_short_ones_it_is_given_as_many_as_fit_into_eight_milliseconds() -> None:
    assert len(filled(runs=0.0005)[0]) in {15, 16}
    assert len(filled(runs=0.003)[0]) == 2
    assert len(filled(runs=0.008)[0]) == 2
    assert len(filled(runs=0.000001)[0]) == 256
    assert len(filled(runs=0.011)[0]) == 1


def test_when_one_turns_out_long_what_stands_behind_the_next_is_asked_back_once() -> None:
    hand, numbers, now = filled()
    assert hand.ask_back() == []
    hand.end(numbers["w0"], now + LONG)
    assert hand.ask_back() == list(numbers.values())[2:]
    assert hand.ask_back() == []
    assert names(hand) == list(numbers)[1:]  # until the child has said so
    assert hand.room(now + LONG) == 0


def test_one_that_had_to_wait_for_a_processor_changes_nothing_but_several_do() -> None:
    hand, numbers, now = filled()
    asked = []
    for name in list(numbers)[:4]:
        now += 0.02
        hand.end(numbers[name], now)
        asked.append(hand.ask_back())
    assert asked == [[], [], list(numbers.values())[4:], []]


def test_what_ended_together_with_a_long_one_shows_that_it_was_no_workload_that_took_so_long() -> None:
    hand, numbers, now = filled()
    for name in list(numbers)[:12]:
        hand.end(numbers[name], now + LONG)
    assert hand.ask_back() == []


def test_what_comes_back_is_out_of_hand_and_the_next_begins() -> None:
    hand, numbers, now = filled()
    hand.end(numbers["w0"], now + LONG)
    asked = hand.ask_back()
    done = hand.end(numbers["w1"], now + 2 * LONG)
    assert done is not None
    assert done[2] is None, "the one that follows has been asked back: nobody knows whether it has begun"
    for number in asked[:-1]:
        assert hand.was_asked_back(number)
        returned = hand.returned(number, now + 2 * LONG)
        assert returned is not None
        assert returned[1] is None
    new = hand.put(claimed("new"), now + 2 * LONG, 60.0)
    last = hand.returned(asked[-1], now + 3 * LONG)
    assert last is not None
    assert (last[0].held.id, last[1] and last[1].held.id) == (list(numbers)[-1], "new")
    assert hand.deadline() == pytest.approx(now + 3 * LONG + 60.0)
    assert hand.returned(asked[0], now) is None
    assert hand.end(new, now + 4 * LONG) is not None
    assert len(hand) == 0


def test_one_that_was_asked_back_too_late_ends_as_any_other() -> None:
    hand, numbers, now = filled()
    hand.end(numbers["w0"], now + LONG)
    [late, *_] = hand.ask_back()
    hand.end(numbers["w1"], now + LONG)
    done = hand.end(late, now + LONG + QUICK)
    assert done is not None
    assert done[0].claimed.held.id == "w2"
    assert done[1] == pytest.approx(QUICK)
    assert not hand.was_asked_back(late)


def test_what_is_taken_back_by_force_or_canceled_is_not_waited_for() -> None:
    hand, numbers, now = filled()
    hand.end(numbers["w0"], now + LONG)
    asked = hand.ask_back()
    assert hand.cancel(claimed("w2").held, now) is not None
    assert [number for number, _ in hand.take_back()] == asked[1:]
    assert [hand.returned(number, now) for number in asked] == [None] * len(asked)
    assert names(hand) == ["w1"]


def test_of_a_dead_replica_only_the_first_has_begun() -> None:
    hand, numbers, now = filled()
    hand.end(numbers["w0"], now + LONG)
    hand.ask_back()
    gone = Gone("died", was_ready=True)
    hand.leave(gone, by_force=False, now=now)
    assert [each.held.id for each in gone.lost] == ["w1"]
    assert [each.held.id for each in gone.untouched] == list(numbers)[2:]


def test_several_at_once_are_as_many_as_the_file_says_and_none_comes_back() -> None:
    hand = Hand(4)
    numbers = [hand.put(claimed(f"w{number}"), 0.0, 60.0) for number in range(4)]
    assert hand.room(0.0) == 0
    hand.end(numbers[0], LONG)
    assert (hand.room(LONG), hand.ask_back(), hand.take_back()) == (1, [], [])


def test_who_asks_again_for_a_cancel_does_not_put_off_its_end() -> None:
    hand = Hand(1)
    number = hand.put(claimed("w"), 0.0, 60.0)
    assert hand.cancel(claimed("w").held, 5.0) == (number, None)
    assert hand.cancel(claimed("w").held, 9.0) == (number, None)
    assert hand.deadline() == 5.0


def test_behind_one_that_takes_longer_than_those_before_it_nothing_more_is_put() -> None:
    hand, numbers, now = filled()
    for number in list(numbers.values())[:-1]:
        now += QUICK
        hand.end(number, now)
    assert len(hand) == 1
    assert hand.room(now + 0.005) > 10
    assert hand.room(now + 0.015) == 0
