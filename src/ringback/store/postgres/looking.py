"""A database looked into without joining: nothing is written, servers that run are not disturbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TypeVar

import asyncpg

from ringback.store.findings import Finding, Weight, given_twice, must_be_current
from ringback.store.postgres import opening
from ringback.store.postgres.bridge import run
from ringback.store.postgres.connecting import Brought, Place, Statements, connect
from ringback.store.postgres.faults import LOST, translated
from ringback.store.postgres.statements import FRAGMENTS, all_statements
from ringback.store.statements import migrations
from ringback.store.verbs.transaction import Connection

T = TypeVar("T")

_HALF_MADE: Final = """
    SELECT CAST(relname AS TEXT) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relnamespace = to_regnamespace(current_schema())
    ORDER BY relname
"""
_NUMBERED: Final = """
    SELECT CAST(relname AS TEXT), pg_get_serial_sequence(CAST(attrelid AS regclass)::text, 'seq')
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'seq' AND attidentity <> '' AND relnamespace = to_regnamespace(current_schema())
    ORDER BY relname
"""


class PostgresLook:
    """One database."""

    def __init__(self, place: Place, connection: asyncpg.Connection) -> None:
        self._place = place
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> PostgresLook:
        """Connect, and see that it can be read by this release.

        Raises:
            RingbackError: it cannot be reached, or is of another release; the message says what to do.
        """
        place = Place(url=url, prepares=False)  # a pooler may stand before it
        connection = await connect(place)
        known = len(migrations(FRAGMENTS))
        try:
            must_be_current(await opening.version_of(connection, place, known=known), place)
        except BaseException:
            connection.terminate()
            raise
        return cls(place, connection)

    def __str__(self) -> str:
        return str(self._place)

    @property
    def sql(self) -> Mapping[str, str]:
        """The statements by their names."""
        return all_statements()

    async def scan(self, reading: Callable[[Connection], T]) -> T:
        """Read from one snapshot. What `reading` raises of itself goes through as it is."""
        transaction = self._connection.transaction(isolation="repeatable_read", readonly=True)
        try:
            await transaction.start()
        except (*LOST, asyncpg.PostgresError) as error:
            raise translated(error, str(self._place)) from error
        try:
            return await run(lambda: reading(_Tables(self._place, Statements(self._connection))))
        finally:
            with suppress(*LOST, asyncpg.PostgresError):  # nothing was written, and the reading says what happened
                await transaction.rollback()

    async def damage(self) -> list[Finding]:
        """What is wrong beneath the rows: indexes, and numbers that would be given twice."""
        return await self.scan(lambda tables: [*_half_made(tables), *_renumbered(tables)])

    async def close(self) -> None:
        self._connection.terminate()


class _Tables:
    """A `store.verbs.session.Connection` whose refusals are of our own tree, so that they pass for nobody else's."""

    __slots__ = ("_place", "_statements")

    def __init__(self, place: Place, statements: Statements) -> None:
        self._place = place
        self._statements = statements

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> Brought:
        try:
            return self._statements.execute(sql, parameters)
        except (*LOST, asyncpg.PostgresError) as error:
            raise translated(error, str(self._place)) from error


def _half_made(tables: Connection) -> list[Finding]:
    return [
        Finding(
            name="index",
            weight=Weight.PROBLEM,
            count=1,
            words=f"the index {name} is not valid: it was being made when something was killed",
            cure=f"REINDEX INDEX CONCURRENTLY {name}",
        )
        for (name,) in tables.execute(_HALF_MADE)
    ]


def _renumbered(tables: Connection) -> list[Finding]:
    found = []
    for table, sequence in tables.execute(_NUMBERED):
        [(last, is_called)] = tables.execute(f"SELECT last_value, is_called FROM {sequence}").fetchall()  # noqa: S608 - as below
        [(highest,)] = tables.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchall()  # noqa: S608 - a table
        given = last if is_called else last - 1
        if highest > given:
            found.append(given_twice(table, given, highest, f"SELECT setval('{sequence}', {highest})"))
    return found
