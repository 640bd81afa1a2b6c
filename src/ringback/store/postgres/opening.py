"""Opening a database: recognise it, bring its schema up to date, refuse what is not ours.

Safe from many members at once: whoever comes second waits, and finds it done. Leaves what it refuses as it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import asyncpg

from ringback.core.errors import StoreError, StoreTooNew
from ringback.store.postgres.connecting import Place, connect
from ringback.store.postgres.faults import LOST, translated
from ringback.store.postgres.statements import FRAGMENTS
from ringback.store.postgres.upgrading import alone, make, upgrade
from ringback.store.statements import Migration, migrations

_OLDEST: Final = 130_000
"""PostgreSQL 13: `pg_current_xact_id` and `xid8`."""
TABLES: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"
"""Not to_regclass, which answers from a cache that another's commit may not have reached."""


async def prepare(
    connection: asyncpg.Connection, place: Place, *, steps: Sequence[Migration] = migrations(FRAGMENTS)
) -> None:
    """Make the schema, or bring an older one up to date.

    Raises:
        StoreTooNew: a newer release has made it.
        StoreError: the database is somebody else's, or too old, or cannot hold every text, or cannot be written.
    """
    version: int = connection.get_server_version().major * 10_000
    if version < _OLDEST:
        raise StoreError(f"{place} is PostgreSQL {version // 10_000}; 13 or later is needed")
    if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
        raise StoreError(
            f"{place} is encoded as {encoding}, which cannot hold every text: make the database with "
            "createdb --encoding=UTF8 --template=template0"
        )
    known = len(steps)
    try:
        if await version_of(connection, place, known=known) == known:
            return
        async with alone(place):
            done = await version_of(connection, place, known=known)  # another member may have been quicker
            if done == 0:
                await make(connection, steps)
            for step in steps[done:] if done else ():
                await upgrade(connection, place, step)
    except asyncpg.PostgresError as error:
        raise translated(error, str(place)) from error


async def brought_up_to_date(url: str, *, dry_run: bool) -> tuple[str, int]:
    """Do as `prepare` does, on a connection of its own; nothing, if it is only to be found out what there is to do.

    Returns:
        the place as messages name it, and the version its schema had.

    Raises:
        RingbackError: it cannot be done; the message says why.
    """
    place = Place(url=url, prepares=False)  # a pooler may stand before it
    connection = await connect(place)
    try:
        before = await version_of(connection, place, known=len(migrations(FRAGMENTS)))
        if not dry_run:
            await prepare(connection, place)
    except (*LOST, asyncpg.PostgresError) as error:
        raise translated(error, str(place)) from error
    finally:
        connection.terminate()
    return str(place), before


async def identity(connection: asyncpg.Connection) -> str:
    """What tells this database from every other, however it is reached."""
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO keys (name, value) VALUES ('identity', $1) ON CONFLICT DO NOTHING", secrets.token_bytes(16)
        )
        value: bytes = await connection.fetchval("SELECT value FROM keys WHERE name = 'identity'")
    return value.hex()


async def version_of(connection: asyncpg.Connection, place: Place, *, known: int) -> int:
    """The schema's version, 0 for a database that has none yet.

    Raises:
        StoreTooNew: a newer release has made it.
        StoreError: the database is somebody else's.
    """
    async with connection.transaction():
        return await _version(connection, place, known)


async def _version(connection: asyncpg.Connection, place: Place, known: int) -> int:
    tables = {row[0] for row in await connection.fetch(TABLES)}
    if "ringback_schema" not in tables:
        if "workloads" in tables:
            raise StoreError(f"{place} is a database of another program: name one of Ringback's own")
        return 0
    version: int = await connection.fetchval("SELECT version FROM ringback_schema")
    if version > known:
        raise StoreTooNew(
            f"{place} was written by a newer release (schema {version}; this one knows up to {known}): "
            "upgrade ringback, or name another store. Servers of this release that are running go on"
        )
    return version
