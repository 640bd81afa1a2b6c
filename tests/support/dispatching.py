"""A dispatcher over a store of its own, under a clock wound by hand, with everything that happens written down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ringback.core.clock import HandWound
from ringback.core.delivery import DeliveryRecord
from ringback.core.netguard import Guard
from ringback.core.spec import Endpoint
from ringback.core.workload import Completed, Failed
from ringback.deliver import Dialling, Dispatcher
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.facts import Facts
from support.stores import API, claim_one, submission

PROBE_SECONDS: Final = 0.02
LEASE_SECONDS: Final = 1e9
"""Nobody renews it while the clock is wound."""


@dataclass(slots=True)
class World:
    """A store, its clock and what happens."""

    store: SqliteStore
    clock: HandWound
    facts: Facts

    @contextlib.asynccontextmanager
    async def dispatching(self, *endpoints: Endpoint) -> AsyncIterator[Dispatcher]:
        """Send to these endpoints, and to those that come, until the end of the block."""
        dispatcher = Dispatcher(
            self.store,
            {each.key: each for each in endpoints},
            self.facts,
            chance=lambda: 0.0,
            dialling=Dialling(guard=Guard(["127.0.0.0/8"])),
            probe_seconds=PROBE_SECONDS,
        )
        await dispatcher.start()
        try:
            yield dispatcher
        finally:
            await dispatcher.stop(1.0)

    async def finish(self, workload_id: str, *endpoints: Endpoint, failed: bool = False) -> None:
        outcome = Failed(type="E", message="m") if failed else Completed(result=b"1")
        await self.store.finish((await claim_one(self.store, workload_id)).held, outcome, endpoints)

    async def finish_many(self, count: int, endpoint: Endpoint) -> None:
        await asyncio.gather(*(self.store.submit(submission()) for _ in range(count)))
        claimed, _ = await self.store.claim(API, count)
        await asyncio.gather(*(self.store.finish(each.held, Completed(result=b"1"), [endpoint]) for each in claimed))

    async def only_delivery(self, workload_id: str) -> DeliveryRecord:
        [record] = await self.store.deliveries(API, workload_id)
        return record


@contextlib.asynccontextmanager
async def world_in(folder: Path) -> AsyncIterator[World]:
    """A fresh store in the folder, closed at the end of the block."""
    clock = HandWound()
    store = await open_sqlite(folder / "ringback.db", clock=clock, lease_seconds=LEASE_SECONDS)
    yield World(store, clock, Facts())
    await store.close()
