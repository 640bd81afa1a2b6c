"""Opening a database: recognise it, bring its schema up to date, refuse what is not ours.

Safe from many members at once: whoever comes second waits, and finds it done. Leaves what it refuses as it was.
"""

from __future__ import annotations

import secrets
from typing import Final

import asyncpg

from ringback.core.errors import StoreError, StoreTooNew
from ringback.store.postgres.connecting import Place
from ringback.store.postgres.faults import translated
from ringback.store.postgres.statements import FRAGMENTS
from ringback.store.statements import migrations

_OLDEST: Final = 130_000
"""PostgreSQL 13: `pg_current_xact_id` and `xid8`."""
TABLES: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"
"""Not to_regclass, which answers from a cache that another's commit may not have reached."""
_LOCK: Final = 0x52_42_43_4B
""""RBCK": the advisory lock under which one member at a time looks after the schema."""


async def prepare(connection: asyncpg.Connection, place: Place) -> None:
    """Make the schema, or bring an older one up to date.

    Raises:
        StoreTooNew: a newer release has made it.
        StoreError: the database is somebody else's, or too old, or cannot be written.
    """
    version: int = connection.get_server_version().major * 10_000
    if version < _OLDEST:
        raise StoreError(f"{place} is PostgreSQL {version // 10_000}; 13 or later is needed")
    try:
        async with connection.transaction():
            done = await _version(connection, place)
        if done < len(migrations(FRAGMENTS)):
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                await _migrate(connection, place)
    except asyncpg.PostgresError as error:
        raise translated(error, str(place)) from error


async def identity(connection: asyncpg.Connection) -> str:
    """What tells this database from every other, however it is reached."""
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO keys (name, value) VALUES ('identity', $1) ON CONFLICT DO NOTHING", secrets.token_bytes(16)
        )
        value: bytes = await connection.fetchval("SELECT value FROM keys WHERE name = 'identity'")
    return value.hex()


async def _migrate(connection: asyncpg.Connection, place: Place) -> None:
    steps = migrations(FRAGMENTS)
    done = await _version(connection, place)  # another member may have been quicker
    if done == 0:
        await connection.execute("CREATE TABLE ringback_schema (version BIGINT NOT NULL)")
        await connection.execute("INSERT INTO ringback_schema (version) VALUES (0)")
    for step in steps[done:]:
        for statement in step.statements:
            await connection.execute(statement)
        await connection.execute("UPDATE ringback_schema SET version = $1", step.number)


async def _version(connection: asyncpg.Connection, place: Place) -> int:
    """The schema's version, 0 for a database that has none yet."""
    tables = {row[0] for row in await connection.fetch(TABLES)}
    if "ringback_schema" not in tables:
        if "workloads" in tables:
            raise StoreError(f"{place} is a database of another program: name one of Ringback's own")
        return 0
    version: int = await connection.fetchval("SELECT version FROM ringback_schema")
    known = len(migrations(FRAGMENTS))
    if version > known:
        raise StoreTooNew(
            f"{place} was written by a newer release (schema {version}; this one knows up to {known}): "
            "upgrade ringback, or name another store"
        )
    return version
