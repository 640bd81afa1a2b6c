"""What a child prints and does not pick up: heard in its place, but not while it is being made to wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ringback.work.printed import Overhearing, Printed


@dataclass(slots=True)
class Place:
    printed: Printed
    is_busy: bool = True
    heard: list[bytes] = field(default_factory=list)

    def hearing(self) -> Overhearing:
        return Overhearing(self.printed, is_busy=lambda: self.is_busy, heard=self.heard.append)


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place(Printed())
    yield made
    made.printed.close()
    made.printed.close_theirs()


async def test_words_are_heard_that_lie_about_from_one_look_to_the_next(place: Place) -> None:
    hearing = place.hearing()
    os.write(place.printed.theirs, b"stuck\n")
    hearing._look()
    assert place.heard == []
    hearing._look()
    assert place.heard == [b"stuck\n"]
    hearing.last()


async def test_a_child_that_speaks_for_itself_is_left_to_it(place: Place) -> None:
    hearing = place.hearing()
    os.write(place.printed.theirs, b"fluent\n")
    hearing._look()
    hearing.said()
    hearing._look()
    assert place.heard == []
    place.is_busy = False
    hearing._look()
    hearing._look()
    assert place.heard == []
    hearing.last()
    assert place.heard == [b"fluent\n"]


async def test_one_that_is_made_to_wait_is_not_overheard_instead(place: Place) -> None:
    hearing = place.hearing()
    os.write(place.printed.theirs, b"too much\n")
    hearing.is_deaf = True
    for _ in range(3):
        hearing._look()
    assert place.heard == []
    hearing.is_deaf = False
    hearing._look()
    hearing._look()
    assert place.heard == [b"too much\n"]
    hearing.last()
