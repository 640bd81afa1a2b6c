"""What upkeep does about workloads of members that have died, when the store or the file changes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from ringback.core.clock import HandWound
from ringback.core.errors import StoreBusy
from ringback.core.spec import Api, Predictor
from ringback.core.workload import Held, Status
from ringback.store.contract import Store
from ringback.store.sqlite import SqliteStore, open_sqlite
from ringback.upkeep import Keeper
from support.facts import Facts
from support.stores import API, claim_one

SERVED = Api(name=API, endpoint=API, predictor=Predictor(path=Path("/p.py")))


@dataclass(slots=True)
class Meanwhile:
    """A store to which something happens between taking over and judging."""

    store: SqliteStore
    happens: Callable[[], None]
    busy: int = 0
    """So many words about workloads are not taken."""
    told: list[str] = field(default_factory=list)
    """Of which workloads it was told, taken or not."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def take_over(self, apis: list[str], room: int) -> Any:
        taken = await self.store.take_over(apis, room)
        self.happens()
        return taken

    async def requeue(self, held: Held, **named: Any) -> Any:
        self.told.append(held.id)
        if self.busy > 0:
            self.busy -= 1
            raise StoreBusy("later")
        return await self.store.requeue(held, **named)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """With two workloads of a member that has gone."""
    dead = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    for name in ("a", "b"):
        await claim_one(dead, name)
    await dead.close()
    store = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    yield store
    await store.close()


async def statuses(store: SqliteStore) -> list[Status]:
    return [(await store.get(API, name)).status for name in ("a", "b")]


async def test_what_the_store_could_not_be_told_of_is_judged_in_the_next_round(store: SqliteStore) -> None:
    shaky = Meanwhile(store, lambda: None, busy=1)
    keeper = Keeper(cast("Store", shaky), [SERVED], Facts(), lease_seconds=30.0)
    with pytest.raises(StoreBusy):
        await keeper.reap()
    assert sorted(await statuses(store)) == [Status.IN_PROGRESS, Status.IN_QUEUE]
    await keeper.reap()
    assert await statuses(store) == [Status.IN_QUEUE, Status.IN_QUEUE]
    await keeper.reap()
    assert sorted(shaky.told[:2]) == ["a", "b"]
    assert shaky.told[2:] == shaky.told[:1], "the one that was not taken once more, and the other never"
    assert [(await store.get(API, name)).attempt for name in ("a", "b")] == [2, 2]


async def test_an_api_that_goes_from_the_file_meanwhile_is_judged_as_it_was(store: SqliteStore) -> None:
    keeper = Keeper(cast("Store", Meanwhile(store, lambda: keeper.serve([]))), [SERVED], Facts(), lease_seconds=30.0)
    await keeper.reap()
    assert await statuses(store) == [Status.IN_QUEUE, Status.IN_QUEUE]
