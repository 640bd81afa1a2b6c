"""A member's hold on a lane: asked for no more often than it makes sense, and left without a doubt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from ringback.core.errors import LeaseLost, RingbackError, StoreBusy
from ringback.deliver.tenure import Tenure
from ringback.store.contract import Store, TakenLane
from support.facts import Facts
from support.waiting import eventually

TAKEN = TakenLane(number=1, is_tripped=False)


@dataclass(slots=True)
class Office:
    """A store that answers by these, one after the other: who has the lane, that another has it, or an error."""

    answers: list[TakenLane | RingbackError | None] = field(default_factory=list)
    cannot_hear: int = 0
    asked: int = 0
    left: list[TakenLane] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    holds_lease: bool = True

    def take_lane(self, endpoint: str) -> asyncio.Future[TakenLane | None]:
        self.asked += 1
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> TakenLane | None:
        await self.answering.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, RingbackError):
            raise answer
        return answer

    async def leave_lane(self, endpoint: str, taken: TakenLane) -> None:
        if self.cannot_hear:
            self.cannot_hear -= 1
            raise StoreBusy("away", retry_after_seconds=1)
        self.left.append(taken)


@dataclass(slots=True)
class Holder:
    """Whose tenure it is."""

    office: Office
    facts: Facts = field(default_factory=Facts)
    gained: list[TakenLane] = field(default_factory=list)
    told_to_ask: int = 0

    def tenure(self) -> Tenure:
        store = cast("Store", self.office)
        return Tenure("hook", store, self.facts, gained=self.gained.append, again=self._again)

    def _again(self) -> None:
        self.told_to_ask += 1


def office(*answers: TakenLane | RingbackError | None) -> Office:
    made = Office(list(answers))
    made.answering.set()
    return made


async def test_a_lane_that_is_free_is_held_once() -> None:
    holder = Holder(office(TAKEN))
    tenure = holder.tenure()
    tenure.ask()
    tenure.ask()
    await eventually(lambda: tenure.is_held)
    tenure.ask()
    assert (holder.office.asked, holder.gained, tenure.is_sure) == (1, [TAKEN], True)
    holder.office.holds_lease = False
    assert (tenure.is_held, tenure.is_sure) == (True, False)


async def test_one_that_another_has_is_asked_for_again_a_little_later_and_not_at_every_word() -> None:
    holder = Holder(office(None, StoreBusy("away", retry_after_seconds=1), TAKEN))
    tenure = holder.tenure()
    tenure.ask()
    await eventually(lambda: tenure.is_idle)
    tenure._not_before += 60  # however long this test takes
    for _ in range(10):  # the roster changes, something is due
        tenure.ask()
    assert holder.office.asked == 1
    tenure._not_before = 0
    await eventually(lambda: holder.told_to_ask == 1)
    tenure.ask()
    await eventually(lambda: holder.told_to_ask == 2)
    assert len(holder.facts.of("store.fault")) == 1
    tenure.ask()
    await eventually(lambda: tenure.is_held)
    assert holder.office.asked == 3


async def test_when_everything_starts_over_nothing_more_is_asked() -> None:
    holder = Holder(office(LeaseLost("others have it")))
    tenure = holder.tenure()
    tenure.ask()
    await eventually(lambda: tenure.is_idle)
    assert (holder.facts.seen, tenure._timer) == ([], None)


async def test_one_that_the_store_cannot_hear_being_left_is_held_on_without_a_use() -> None:
    holder = Holder(office(TAKEN))
    holder.office.cannot_hear = 1
    tenure = holder.tenure()
    tenure.ask()
    await eventually(lambda: tenure.is_held)
    tenure.begin_to_leave()
    tenure.leave()
    await holder.facts.wait_for("store.fault", 1)
    assert (tenure.is_held, tenure.is_leaving, tenure.is_idle) == (False, True, False)
    tenure.ask()
    assert holder.office.asked == 1, "it is this member's still"
    tenure.leave()
    await eventually(lambda: holder.office.left == [TAKEN])
    assert tenure.is_idle


async def test_one_that_is_gained_when_nobody_wants_it_any_more_is_left_at_once() -> None:
    holder = Holder(Office([TAKEN]))
    tenure = holder.tenure()
    tenure.ask()
    tenure.stop()
    holder.office.answering.set()
    await eventually(lambda: holder.office.left == [TAKEN])
    assert (holder.gained, tenure.is_held) == ([], False)
    tenure.ask()
    assert holder.office.asked == 1
