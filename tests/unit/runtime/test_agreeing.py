"""Servers of two files on one store: who is told of it, how often, and when it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ringback.core.clock import HandWound
from ringback.core.errors import RingbackError, StoreBusy
from ringback.core.spec import Api, Predictor
from ringback.runtime.agreeing import Agreement
from ringback.store.contract import About, Store
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.facts import Facts
from support.waiting import eventually

IRIS = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("/nowhere/predictor.py")))
ANOTHER = replace(IRIS, timeout_seconds=60.0)
ROSE = replace(IRIS, name="rose", endpoint="rose")


class Server:
    """One member and what it has told."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.facts = Facts()
        self.agreement = Agreement(store, self.facts)

    @property
    def told(self) -> list[str]:
        return [name for name, _ in self.facts.seen if name.startswith("file.")]

    async def has_heard(self, fact: str, times: int) -> None:
        await eventually(lambda: self.told.count(fact) == times, within=10)


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as opened:
        made = []
        for _ in range(3):
            store = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
            opened.push_async_callback(store.close)
            made.append(Server(store))
            opened.callback(made[-1].agreement.stop)
        yield made


async def test_servers_of_one_file_say_nothing(servers: list[Server]) -> None:
    for server in servers:
        server.agreement.serve([IRIS, ROSE])
    await eventually(lambda: len(servers[0].store.fellows()) == 2, within=10)

    assert [server.told for server in servers] == [[], [], []]


async def test_another_file_is_told_once_and_once_more_when_it_is_gone(servers: list[Server]) -> None:
    first, second, third = servers
    first.agreement.serve([IRIS, ROSE])
    second.agreement.serve([ANOTHER])
    third.agreement.serve([ANOTHER])
    await first.has_heard("file.differs", 1)
    await eventually(lambda: len(first.store.fellows()) == 2, within=10)
    await second.has_heard("file.differs", 1)

    [told] = first.facts.of("file.differs")
    assert told["apis"] == "iris, rose"
    assert "process" in str(told["server"])
    assert first.told == ["file.differs"], "of two servers with the same one"

    second.agreement.serve([IRIS, ROSE])
    await first.has_heard("file.differs", 1)
    third.agreement.serve([IRIS, ROSE])
    await first.has_heard("file.agrees", 1)
    assert first.facts.of("file.agrees") == [{"servers": 3}]


async def test_a_server_that_leaves_differs_no_longer(servers: list[Server]) -> None:
    first, second, _ = servers
    first.agreement.serve([IRIS])
    second.agreement.serve([ANOTHER])
    await first.has_heard("file.differs", 1)
    second.agreement.stop()
    await second.store.close()

    await first.has_heard("file.agrees", 1)


class Shy:
    """A store that refuses to be told a few times."""

    def __init__(self, store: SqliteStore, *faults: RingbackError) -> None:
        self._faults = list(faults)
        self._store = store
        self.fellows = store.fellows
        self.on_roster = store.on_roster

    def introduce(self, about: About) -> Awaitable[None]:
        if self._faults:
            raise self._faults.pop()
        return self._store.introduce(about)


async def test_the_store_is_told_until_it_has_heard(servers: list[Server]) -> None:
    first, second, _ = servers
    facts, shy = Facts(), Shy(second.store, StoreBusy("locked"), StoreBusy("locked"))
    agreement = Agreement(cast("Store", shy), facts)
    agreement.serve([IRIS])

    await eventually(lambda: len(first.store.fellows()) == 1, within=10)
    assert len(facts.of("store.fault")) == 2
