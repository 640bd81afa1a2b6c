"""What waits in memory is bounded by number and by size, whatever the store has."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

from ringback.core.delivery import Delivery
from ringback.core.errors import StoreBusy
from ringback.deliver.intake import ROOM, ROOM_BYTES, Intake
from ringback.store.contract import Store
from support.facts import Facts
from unit.deliver.test_request import delivery

MEGABYTE = 1_048_576


class Heap:
    """A store that has any number of deliveries of one size, and remembers how many it was asked for."""

    def __init__(self, body_bytes: int) -> None:
        self._body = bytes(body_bytes)
        self.asked: list[int] = []

    async def take_due(self, endpoint: str, room: int, *, again: bool) -> tuple[list[Delivery], float | None]:
        assert (endpoint, again) == ("hook", False)
        self.asked.append(room)
        return [replace(delivery(), body=self._body)] * room, None


async def filled(heap: Heap) -> Intake:
    intake = Intake("hook", cast("Store", heap), Facts(), again=False, allowance=lambda: ROOM, arrived=lambda: None)
    intake.look()
    await settled(intake)
    return intake


async def settled(intake: Intake) -> None:
    for _ in range(100):  # turns of the loop: a look takes two
        await asyncio.sleep(0)
    assert not intake._taking


async def test_small_ones_are_held_up_to_a_number() -> None:
    heap = Heap(100)
    intake = await filled(heap)
    assert len(intake.waiting) == sum(heap.asked) == ROOM


async def test_no_more_of_large_ones_is_held_than_there_is_room_for() -> None:
    heap = Heap(MEGABYTE)
    intake = await filled(heap)
    most = ROOM_BYTES // MEGABYTE
    assert most // 2 < len(intake.waiting) <= most

    looks = len(heap.asked)
    for _ in range(most // 4):
        intake.pop()
    await settled(intake)
    assert len(heap.asked) == looks, "it is not refilled one by one"
    for _ in range(most // 2):
        intake.pop()
    await settled(intake)
    assert len(heap.asked) > looks
    assert most // 2 < len(intake.waiting) <= most


async def test_one_that_is_larger_than_all_the_room_is_held_alone() -> None:
    heap = Heap(2 * ROOM_BYTES)
    intake = await filled(heap)
    while intake.waiting:
        intake.pop()
    await settled(intake)
    assert len(intake.waiting) == 1


class Away:
    """A store that cannot be reached once, and then has one delivery."""

    def __init__(self) -> None:
        self.asked = 0

    async def take_due(self, endpoint: str, room: int, *, again: bool) -> tuple[list[Delivery], float | None]:
        self.asked += 1
        if self.asked == 1:
            raise StoreBusy("away", retry_after_seconds=1)
        return [delivery()] * (self.asked == 2), None


async def test_a_store_that_cannot_be_reached_is_asked_again_later_and_nothing_counts_as_done() -> None:
    store, facts = Away(), Facts()
    intake = Intake("hook", cast("Store", store), facts, again=False, allowance=lambda: ROOM, arrived=lambda: None)
    intake.look()
    await settled(intake)
    assert (len(facts.of("store.fault")), intake.is_quiet) == (1, False)
    assert intake._timer is not None
    intake._on_timer()
    await settled(intake)
    assert len(intake.waiting) == 1
    given_back = intake.empty()
    assert (len(given_back), intake.is_quiet) == (1, False), "the store has it again"
    intake.look()
    await settled(intake)
    assert intake.is_quiet
    intake.stop()
