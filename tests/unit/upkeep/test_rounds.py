"""How often upkeep comes round: at its pace, at once when the pace changes, whatever one round meets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.core.errors import LeaseLost, StoreAway, StoreBusy
from ringback.core.spec import Api, Predictor
from ringback.upkeep.keeper import erase_seconds
from ringback.upkeep.rounds import Pace, rounds
from support.facts import Facts
from support.waiting import turned

HOUR = 3_600.0


PLAIN = Api(name="echo", endpoint="echo", predictor=Predictor(path=Path("predictor.py")))


def kept_for(seconds: float) -> Api:
    return replace(PLAIN, retention_seconds=seconds)


@pytest.mark.parametrize(
    ("retentions", "seconds"),
    [
        ([], 60.0),
        ([604_800.0], 60.0),
        ([604_800.0, 600.0], 60.0),
        ([604_800.0, 300.0], 30.0),
        ([30.0, 604_800.0], 3.0),
        ([3.0], 1.0),
        ([0.1], 1.0),
    ],
)
def test_the_shortest_retention_says_how_often_is_erased(retentions: list[float], seconds: float) -> None:
    assert erase_seconds(map(kept_for, retentions)) == seconds


class Act:
    """Counts its rounds, and raises what it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.raises: list[Exception] = []
        self.meanwhile = asyncio.Event()
        self.meanwhile.set()

    async def __call__(self) -> None:
        self.times += 1
        await self.meanwhile.wait()
        if self.raises:
            raise self.raises.pop()

    async def has_come(self, times: int) -> None:
        async def look() -> bool:
            return self.times >= times

        await turned(look, wanted=f"{times} rounds")


@asynccontextmanager
async def going(act: Act, pace: Pace, facts: Facts) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(rounds("test", act, pace=pace, emit=facts))
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError, LeaseLost):
        await task


async def test_a_changed_pace_has_the_next_round_come_at_once() -> None:
    act, pace = Act(), Pace(HOUR)
    async with going(act, pace, Facts()):
        await act.has_come(1)
        pace.change(HOUR)
        for _ in range(100):
            await asyncio.sleep(0)
        assert act.times == 1, "the same pace is no news"
        pace.change(2 * HOUR)
        await act.has_come(2)
        for _ in range(100):
            await asyncio.sleep(0)
        assert act.times == 2


async def test_a_pace_that_changes_during_a_round_is_heard_after_it() -> None:
    act, pace = Act(), Pace(HOUR)
    act.meanwhile.clear()
    async with going(act, pace, Facts()):
        await act.has_come(1)
        pace.change(2 * HOUR)
        act.meanwhile.set()
        await act.has_come(2)


async def test_a_round_comes_again_whatever_the_last_one_met() -> None:
    act, facts = Act(), Facts()
    act.raises = [StoreBusy("another process")]
    async with going(act, Pace(0.0), facts):
        await act.has_come(3)
    assert [fact["detail"] for fact in facts.of("upkeep.failed")] == ["another process"]
    assert len(facts.of("upkeep.mended")) == 1


async def test_what_goes_on_failing_is_told_once_for_each_reason() -> None:
    act, facts = Act(), Facts()
    act.raises = [StoreBusy(reason) for reason in ["coming", "coming", "away", "away", "away"]]  # the last first
    async with going(act, Pace(0.0), facts):
        await act.has_come(7)
    assert [fact["detail"] for fact in facts.of("upkeep.failed")] == ["away", "coming"]
    assert len(facts.of("upkeep.mended")) == 1


async def test_a_database_that_is_away_is_told_by_itself_and_no_failure_of_the_round() -> None:
    act, facts = Act(), Facts()
    act.raises = [StoreAway("away"), StoreAway("away")]
    async with going(act, Pace(0.0), facts):
        await act.has_come(4)
    assert [fact["act"] for fact in facts.of("store.fault")] == ["the round of test", "the round of test"]
    assert not facts.of("upkeep.failed")
    assert not facts.of("upkeep.mended")


async def test_no_round_helps_a_member_that_has_been_declared_dead() -> None:
    act = Act()
    act.raises = [LeaseLost("over")]
    async with going(act, Pace(0.0), Facts()) as task:
        with pytest.raises(LeaseLost):
            await task
    assert act.times == 1
