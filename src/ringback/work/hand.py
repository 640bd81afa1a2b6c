"""What one replica has in hand: in which order, since when, and how much more it should be given.

Reads no clock: every moment comes in, in seconds of one and the same clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ringback.core.workload import Claimed, Held
from ringback.work.owner import Gone

STUCK_SECONDS: Final = 0.25
"""How long a workload may run before those handed over behind it are taken back."""

_SHORT_SECONDS: Final = 0.010
"""Workloads shorter than this are handed over several at a time, so that the child never waits for the next."""

_LONG_SECONDS: Final = 0.025
"""One that has taken longer than this was no short one that had to wait for a processor."""

_AHEAD_SECONDS: Final = 0.008
_AHEAD_MOST: Final = 256
_MEMORY_OF_RUNS: Final = 0.8
_ANY_NUMBER: Final = 1 << 62


@dataclass(slots=True)
class InHand:
    """One workload at the child."""

    claimed: Claimed
    began: float
    """When it was handed over; in order of arrival, when the one before it ended."""
    limit_seconds: float
    """How long it may run."""
    stop_at: float | None = None
    """When it is ended by force, because somebody wants it to end; None while nobody does."""

    @property
    def deadline(self) -> float:
        """When it is ended by force, for whatever reason."""
        late_at = self.began + self.limit_seconds
        return late_at if self.stop_at is None else min(late_at, self.stop_at)


class Hand:
    """The workloads at one child, by their numbers on the wire.

    With a concurrency of 1 they run in the order of arrival, and only the first has begun.
    """

    __slots__ = ("_depth", "_items", "_mean_run", "_number", "_wanted_back", "in_order", "left")

    def __init__(self, concurrency: int, *, most: int | None = None) -> None:
        """Begin with nothing in hand.

        Args:
            concurrency: how many the child runs at once.
            most: how many it may be given from its start to its end; None means any number.
        """
        self.in_order = concurrency == 1
        self.left = _ANY_NUMBER if most is None else most
        self._items: dict[int, InHand] = {}
        self._depth = concurrency
        self._mean_run = _SHORT_SECONDS * 2
        self._wanted_back: set[int] = set()
        self._number = 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Claimed]:
        return (each.claimed for each in self._items.values())

    def get(self, number: int) -> Claimed | None:
        """The workload of that number; None when it is not in hand any more."""
        found = self._items.get(number)
        return None if found is None else found.claimed

    def oldest(self) -> InHand | None:
        """The one that has run longest."""
        return next(iter(self._items.values()), None)

    def room(self, now: float) -> int:
        """How many more it should be given."""
        depth = 1 if self.in_order and self._is_at_a_long_one(now) else self._depth
        return max(0, min(depth - len(self._items), self.left))

    def deadline(self) -> float | None:
        """When the first of those that have begun is to be ended by force; None when none has."""
        return min((each.deadline for each in self._begun()), default=None)

    def put(self, claimed: Claimed, now: float, limit_seconds: float) -> int:
        """Add one that may run so long; its number on the wire."""
        self.left -= 1
        self._number = number = self._number + 1 & 0xFFFF_FFFF
        self._items[number] = InHand(claimed, now, limit_seconds)
        return number

    def end(self, number: int, now: float) -> tuple[InHand, float, Claimed | None] | None:
        """Take out one that has ended.

        Returns:
            It, how long it ran, and the one that begins now because it ended; None when it is not in hand.
        """
        done = self._items.pop(number, None)
        if done is None:
            return None
        run, following = now - done.began, None
        if self.in_order:
            following = self._begin_next(now)
            self._mean_run = _MEMORY_OF_RUNS * self._mean_run + (1 - _MEMORY_OF_RUNS) * run
            self._depth = _depth_for(self._mean_run, run)
        self._wanted_back.discard(number)
        return done, run, following

    def ask_back(self) -> list[int]:
        """Those that should be taken back because they are short no longer; each once.

        They stay in hand until the child has said that it has not begun them: see `returned`.
        """
        if self._depth > 1 or len(self._items) < 2 or not self.in_order:
            return []
        asked = [number for number in list(self._items)[1:] if number not in self._wanted_back]
        self._wanted_back.update(asked)
        return asked

    def returned(self, number: int, now: float) -> tuple[Claimed, Claimed | None] | None:
        """Take out one that was asked back and has not begun.

        Returns:
            It, and the one that begins now because it was next; None when it is not in hand.
        """
        was_first = next(iter(self._items), None) == number
        found = self._items.pop(number, None)
        self._wanted_back.discard(number)
        if found is None:
            return None
        return found.claimed, self._begin_next(now) if was_first else None

    def was_asked_back(self, number: int) -> bool:
        """Whether it was, so that nobody has been told that it has begun."""
        return number in self._wanted_back

    def cancel(self, held: Held, stop_at: float) -> tuple[int, Claimed | None] | None:
        """Have one end: it is taken out if it has not begun, and has until `stop_at` otherwise.

        Returns:
            Its number on the wire, and it if it was taken out; None when it is not in hand.
        """
        for place, (number, each) in enumerate(self._items.items()):
            if each.claimed.held == held:
                if place > 0 and self.in_order:
                    del self._items[number]
                    self._wanted_back.discard(number)
                    return number, each.claimed
                if each.stop_at is None:
                    each.stop_at = stop_at
                return number, None
        return None

    def take_back(self) -> list[tuple[int, Claimed]]:
        """Take out those that have not begun."""
        if not self.in_order:
            return []
        waiting = list(self._items)[1:]
        self._wanted_back.difference_update(waiting)
        return [(number, self._items.pop(number).claimed) for number in waiting]

    def empty(self) -> tuple[list[Claimed], list[Claimed]]:
        """Take out everything: what has begun, and what has not."""
        held, begun = list(self), 1 if self.in_order else len(self)
        self._items.clear()
        return held[:begun], held[begun:]

    def leave(self, gone: Gone, *, by_force: bool, now: float) -> None:
        """Take out everything and sort it into what a dead replica leaves behind.

        Args:
            gone: gets the workloads.
            by_force: whether the replica was killed because one of them had reached its deadline.
            now: the moment.
        """
        begun = list(self._begun())
        gone.untouched += list(self)[len(begun) :]
        for each in begun:
            if each.stop_at is not None:
                heap = gone.canceled
            elif not by_force:
                heap = gone.lost
            else:
                heap = gone.timed_out if now >= each.deadline else gone.interrupted
            heap.append(each.claimed)
        self._items.clear()

    def _begin_next(self, now: float) -> Claimed | None:
        """Count the first one's time from now; it, unless it may be on its way back."""
        number = next(iter(self._items), None)
        if number is None:
            return None
        first = self._items[number]
        first.began = now
        return None if number in self._wanted_back else first.claimed

    def _begun(self) -> Iterator[InHand]:
        items = iter(self._items.values())
        return islice(items, 1) if self.in_order else items

    def _is_at_a_long_one(self, now: float) -> bool:
        """Whether what runs now has taken longer than the short ones before it, so that nothing should wait behind."""
        oldest = self.oldest()
        return oldest is not None and now - oldest.began > _SHORT_SECONDS


def _depth_for(mean_run: float, last_run: float) -> int:
    if mean_run > _SHORT_SECONDS or last_run > _LONG_SECONDS:
        return 1
    return max(2, min(_AHEAD_MOST, int(_AHEAD_SECONDS / max(mean_run, 1e-6))))
