"""The next step of the schema is taken while a server of the step before goes on writing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from ringback.core.clock import SystemClock
from ringback.core.errors import StoreBusy, StoreTooNew
from ringback.runtime.upgrading import upgrade
from ringback.store.contract import Store
from ringback.store.postgres import open_postgres, opening, upgrading
from ringback.store.postgres.connecting import Place
from ringback.store.postgres.statements import FRAGMENTS
from ringback.store.sqlite import open_sqlite
from ringback.store.sqlite import opening as sqlite_opening
from ringback.store.statements import Migration, migrations
from support.postgres import empty_database
from support.stores import API, DONE, HOOK, submission
from support.waiting import eventually

KNOWN = migrations(FRAGMENTS)
COLUMN = Migration(
    number=len(KNOWN) + 1,
    name="next_column",
    statements=(
        "ALTER TABLE workloads ADD COLUMN later BIGINT",
        "ALTER TABLE deliveries ADD COLUMN later TEXT NOT NULL DEFAULT 'no'",
        "CREATE TABLE lately (a BIGINT)",
    ),
)
INDEX = Migration(
    number=len(KNOWN) + 2,
    name="next_index",
    statements=(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS workloads_later ON workloads (later) WHERE later IS NOT NULL",
    ),
)
NEXT = (*KNOWN, COLUMN, INDEX)


@pytest.fixture
async def place() -> Place:
    return Place(url=await asyncio.to_thread(empty_database))


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(place.url)
    try:
        yield connection
    finally:
        connection.terminate()


class Writing:
    """Somebody who submits, claims, finishes and reads for as long as it is told to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rounds = 0
        self._stop = False
        self._run = asyncio.ensure_future(self._go())

    async def _go(self) -> None:
        for number in itertools.count():
            await self.store.submit(submission(workload_id=f"w{number}"))
            [claimed] = (await self.store.claim(API, 1))[0]
            await self.store.finish(claimed.held, DONE, [HOOK])
            assert (await self.store.get(API, f"w{number}")).result == DONE.result
            self.rounds = number + 1
            if self._stop:
                return

    async def further(self, rounds: int = 20) -> None:
        """Wait until so many more have been written."""
        aim = self.rounds + rounds
        await eventually(lambda: self._run.done() or self.rounds >= aim, within=30)
        assert self.rounds >= aim, self._run

    async def end(self) -> int:
        self._stop = True
        await asyncio.wait_for(self._run, 30)
        return self.rounds


async def test_a_server_one_step_behind_goes_on_writing_and_a_long_read_holds_up_the_step_alone(place: Place) -> None:
    store = await open_postgres(place.url, clock=SystemClock())
    writing = Writing(store)
    await writing.further()
    async with connected(place) as reader, connected(place) as connection:
        reading = reader.transaction()
        await reading.start()
        await reader.execute("SELECT count(*) FROM workloads")  # keeps its lock until the transaction ends
        upgraded = asyncio.ensure_future(opening.prepare(connection, place, steps=NEXT))
        for _ in range(3):
            await writing.further(30)
            assert not upgraded.done()
        await reading.rollback()
        await asyncio.wait_for(upgraded, 30)
        await writing.further()
        assert await connection.fetchval("SELECT version FROM ringback_schema") == len(NEXT)
        rounds = await writing.end()
        assert await connection.fetchval("SELECT count(*) FROM deliveries WHERE later = 'no'") == rounds
        assert await connection.fetchval(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'workloads_later'::regclass"
        )
    await store.heartbeat()
    with pytest.raises(StoreTooNew, match="Servers of this release that are running go on"):
        await open_postgres(place.url, clock=SystemClock())
    await store.close()


async def test_a_step_that_never_gets_its_lock_names_who_is_in_the_way_and_leaves_all_as_it_was(place: Place) -> None:
    await (await open_postgres(place.url, clock=SystemClock())).close()
    async with connected(place) as reader, connected(place) as connection:
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM deliveries")
            pid = reader.get_server_pid()
            with pytest.raises(StoreBusy, match=rf"next_column needs a table.*pg_terminate_backend\({pid}\)"):
                await upgrading.upgrade(connection, place, COLUMN, patience_seconds=0)
        assert await connection.fetchval("SELECT version FROM ringback_schema") == len(KNOWN)
        assert await connection.fetchval("SELECT to_regclass('lately')") is None
        await upgrading.upgrade(connection, place, COLUMN, patience_seconds=0)


async def test_many_that_open_at_once_take_each_step_once(place: Place) -> None:
    await (await open_postgres(place.url, clock=SystemClock())).close()

    async def opened() -> None:
        async with connected(place) as connection:
            await opening.prepare(connection, place, steps=NEXT)

    await asyncio.gather(*(opened() for _ in range(4)))
    async with connected(place) as connection:
        assert await connection.fetchval("SELECT version FROM ringback_schema") == len(NEXT)


async def test_an_index_that_a_kill_has_left_half_made_is_made_anew(place: Place) -> None:
    store = await open_postgres(place.url, clock=SystemClock())
    await store.submit(submission(workload_id="w1"))
    await store.submit(submission(workload_id="w2"))
    await store.close()
    async with connected(place) as connection:
        await upgrading.upgrade(connection, place, COLUMN)
        with pytest.raises(asyncpg.UniqueViolationError):  # one way to be left with half an index
            await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY workloads_later ON workloads (api)")
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'workloads_later'::regclass"
        assert await connection.fetchval(valid) is False
        await opening.prepare(connection, place, steps=NEXT)
        assert await connection.fetchval(valid) is True


async def test_on_a_file_a_server_one_step_behind_goes_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    column = Migration(
        number=COLUMN.number,
        name=COLUMN.name,
        statements=(*COLUMN.statements, "CREATE INDEX workloads_later ON workloads (later)"),
    )
    store = await open_sqlite(path, clock=SystemClock())
    writing = Writing(store)
    await writing.further()
    steps = (*migrations(sqlite_opening.FRAGMENTS), column)
    await asyncio.to_thread(sqlite_opening.prepare, path, steps=steps)
    await writing.further()
    await writing.end()
    with pytest.raises(StoreTooNew):
        await open_sqlite(path, clock=SystemClock())
    await store.close()


async def test_the_command_brings_a_database_up_to_date_and_says_from_where(place: Place) -> None:
    ahead = await upgrade(place.url, dry_run=True)
    assert (ahead.before, len(ahead.steps)) == (0, len(KNOWN))
    async with connected(place) as connection:
        assert await connection.fetchval("SELECT to_regclass('workloads')") is None
    assert await upgrade(place.url) == ahead
    done = await upgrade(place.url)
    assert (done.before, done.steps) == (len(KNOWN), ())
