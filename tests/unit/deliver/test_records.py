"""What a lane has to say is said until the store has heard it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ringback.core.delivery import Delivery
from ringback.core.errors import StoreBusy
from ringback.deliver.records import FAULT_SECONDS, Records
from ringback.store.contract import Store
from support.facts import Facts
from support.waiting import pause


@dataclass(slots=True)
class Away:
    """A store that cannot be reached for some times."""

    times: int
    asked: int = 0
    heard: list[Sequence[Any]] = field(default_factory=list)

    async def release(self, deliveries: Sequence[Any]) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise StoreBusy("away", retry_after_seconds=1)
        self.heard.append(deliveries)


@dataclass(frozen=True, slots=True)
class Waiting:
    endpoint: str = "hook"


async def test_what_was_not_tried_is_given_back_once_the_store_is_there_again() -> None:
    store, facts, said = Away(times=2), Facts(), asyncio.Event()
    records = Records(cast("Store", store), facts, said=said.set)
    waiting = [cast("Delivery", Waiting())]
    records.not_tried(waiting)
    assert records.unsaid == 1
    await asyncio.wait_for(said.wait(), 10)
    assert (store.heard, records.unsaid) == ([waiting], 0)
    assert len(facts.of("store.fault")) == 2


async def test_who_is_struck_off_says_nothing_more() -> None:
    store, facts = Away(times=1), Facts()
    records = Records(cast("Store", store), facts, said=lambda: None)
    records.not_tried([cast("Delivery", Waiting())])
    records.abandon()
    await facts.wait_for("store.fault", 1)
    await asyncio.to_thread(pause, 4 * FAULT_SECONDS)
    assert store.asked == 1
