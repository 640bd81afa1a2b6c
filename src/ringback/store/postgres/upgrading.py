"""Bringing a schema up to date while servers of the release before go on writing. The rule: decision 0021.

A step takes its locks within half a second or lets everybody pass and tries again later, so that it never queues behind
a long read with all the others behind it. Indexes of tables in use are made CONCURRENTLY. One server at a time does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from ringback.core.errors import StoreBusy
from ringback.store.postgres.connecting import Place, connect
from ringback.store.statements import Migration

ONLINE: Final = "CONCURRENTLY "
"""What a statement has in it that must not run inside a transaction."""

_LOCK: Final = 0x52_42_43_4B
""""RBCK": the advisory lock under which one server at a time looks after the schema."""
_TURN_SECONDS: Final = 900.0
"""How long a server waits for another that is at it: an index of a large table takes its time."""
_LOOK_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 120.0
_LOCK_MS: Final = 500
_PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 3.0)

_OLDEST: Final = """
    SELECT pid, coalesce(nullif(application_name, ''), usename::text),
           CAST(extract(epoch FROM now() - xact_start) AS BIGINT)
    FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
    ORDER BY xact_start LIMIT 1
"""
_HALF_MADE: Final = """
    SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relnamespace = to_regnamespace(current_schema())
"""


@asynccontextmanager
async def alone(place: Place) -> AsyncIterator[None]:
    """Keep other servers from looking after the schema meanwhile.

    The lock is a transaction's, on a connection of its own, so that it holds behind a pooler, too. It is asked for and
    never waited for: a statement that waits would hold up the making of indexes, which waits for all that run.

    Raises:
        StoreBusy: another has been at it for too long.
    """
    connection = await connect(place)
    try:
        waited = 0.0
        while not await _is_ours(connection):
            if waited >= _TURN_SECONDS:
                raise StoreBusy(
                    f"another server has been bringing {place} up to date for {waited:.0f} s: look at "
                    "pg_stat_activity for what it waits for, then try again"
                )
            await asyncio.sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        yield
    finally:
        connection.terminate()


async def _is_ours(connection: asyncpg.Connection) -> bool:
    """Try to have the lock; leaves no snapshot open, nor a transaction without the lock."""
    await connection.execute("BEGIN")
    if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
        await connection.execute("SELECT 1")  # lets go of the snapshot that the answer was read from
        return True
    await connection.execute("ROLLBACK")
    return False


async def make(connection: asyncpg.Connection, steps: Sequence[Migration]) -> None:
    """The whole schema in one transaction, where there is none."""
    async with connection.transaction():
        await connection.execute("CREATE TABLE ringback_schema (version BIGINT NOT NULL)")
        await connection.execute("INSERT INTO ringback_schema (version) VALUES (0)")
        for step in steps:
            for statement in step.statements:
                await connection.execute(statement.replace(ONLINE, ""))
        await _note(connection, steps[-1])


async def upgrade(
    connection: asyncpg.Connection, place: Place, step: Migration, *, patience_seconds: float = _PATIENCE_SECONDS
) -> None:
    """One step further, under `alone`.

    Raises:
        StoreBusy: others have kept locked what it needs; it names the oldest of them. The step has not been taken.
    """
    if any(ONLINE in statement for statement in step.statements):
        await _upgrade_online(connection, step)
        return
    waited = 0.0
    for tries in range(1_000_000):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MS}")
                for statement in step.statements:
                    await connection.execute(statement)
                await _note(connection, step)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if waited >= patience_seconds:
                raise StoreBusy(await _in_the_way(connection, place, step)) from None
        else:
            return
        pause = _PAUSES_SECONDS[min(tries, len(_PAUSES_SECONDS) - 1)]
        await asyncio.sleep(pause)
        waited += pause + _LOCK_MS / 1_000


async def _upgrade_online(connection: asyncpg.Connection, step: Migration) -> None:
    """Make indexes while everybody writes; what a kill has left half made is made anew."""
    for (name,) in await connection.fetch(_HALF_MADE):
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    for statement in step.statements:
        await connection.execute(statement)
    async with connection.transaction():
        await _note(connection, step)


async def _note(connection: asyncpg.Connection, step: Migration) -> None:
    await connection.execute("UPDATE ringback_schema SET version = $1", step.number)


async def _in_the_way(connection: asyncpg.Connection, place: Place, step: Migration) -> str:
    oldest = await connection.fetchrow(_OLDEST)
    words = f"{place}: step {step.name} needs a table that others keep locked; nothing of it is done"
    if oldest is not None:
        pid, name, seconds = oldest
        words += (
            f". The oldest transaction is {name}'s, {seconds} s old: let it end, or end it with "
            f"SELECT pg_terminate_backend({pid})"
        )
    return f"{words}. Then try again"
