"""How soon a crew starts another replica, over an engine that has room for none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ringback.core.errors import Unavailable
from ringback.core.spec import Api, Predictor
from ringback.store.contract import ReplicaState, Store
from ringback.work.budget import Budget
from ringback.work.crew import Crew
from ringback.work.engine import Engine
from ringback.work.files import Files
from ringback.work.owner import Gone, Owner
from ringback.work.replica import Replica
from support.facts import Facts

API = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("/p.py")))


@dataclass(slots=True)
class Full:
    """An engine, a store and an owner in one: nothing can be started, and everything is said at once."""

    starts: int = 0
    budget: Budget = field(default_factory=lambda: Budget(None))
    files: Files = field(default_factory=lambda: Files(None))
    crew: Crew | None = None
    told: list[ReplicaState] = field(default_factory=list)

    def start(self, *_: Any) -> Any:
        self.starts += 1
        raise Unavailable("no room")

    async def report(self, _: str, state: ReplicaState) -> None:
        self.told.append(state)

    def on_gone(self, replica: Replica, gone: Gone) -> None:
        assert self.crew is not None
        self.crew.on_gone(replica, gone)


async def test_the_first_replacement_comes_at_once_and_later_ones_ever_more_slowly() -> None:
    it = Full()
    it.crew = Crew(
        API,
        cast("Owner[Replica]", it),
        cast("Store", it),
        Facts(),
        chance=lambda: 0.0,
        engine=cast("Engine", it),
    )
    it.crew.start(1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert 2 <= it.starts <= 4, "two at once, one a tenth of a second later, one two tenths after that"
    assert it.told[-1].problem == "no room"
    it.crew.stop()
