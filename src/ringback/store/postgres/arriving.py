"""A database that a store moves into: kept from everybody until all has arrived, filled portion by portion.

Each portion and the note of it are one transaction, so a move that is killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from ringback.core.emit import silent
from ringback.core.errors import StoreError, StoreInUse
from ringback.store.moving import ARRIVED, FILLING, LEFT_BEHIND, OF_THE_PLACE, Arrivals, Move, Table
from ringback.store.postgres import opening
from ringback.store.postgres.connecting import Place, connect_when_up
from ringback.store.postgres.faults import LOST, translated
from ringback.store.postgres.statements import all_statements

_PATIENCE_SECONDS: Final = 20.0
_SCHEMA_TABLE: Final = "ringback_schema"
_SETTINGS: Final = frozenset({"keys", "timelines", "revisions", _SCHEMA_TABLE})
"""What a server that was tried out leaves behind; the store that moves in brings its own."""


class PostgresTarget:
    """One database, open for a move."""

    def __init__(self, place: Place, connection: asyncpg.Connection) -> None:
        self._place = place
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> PostgresTarget:
        """Connect; nothing is changed yet.

        Raises:
            RingbackError: it cannot be reached; the message says why.
        """
        place = Place(url=url, prepares=False)  # a pooler may stand before it
        return cls(place, await connect_when_up(place, _PATIENCE_SECONDS, silent))

    def __str__(self) -> str:
        return str(self._place)

    async def close(self) -> None:
        await self._connection.close(timeout=5.0)

    def abandon(self) -> None:
        """Drop the connection as a killed process would."""
        self._connection.terminate()

    async def take_in(self, move: Move) -> Arrivals | None:
        """Have the schema, and keep everybody else out until `complete`.

        Returns:
            how far this move has come before; None when it has come to its end.

        Raises:
            StoreError: there is something else in it, another move's included; nothing has been changed.
            StoreInUse: servers run on it.
        """
        async with self._transaction():
            await self._must_be_ours()
        await opening.prepare(self._connection, self._place)
        async with self._transaction():
            # Whoever joins reads `keys` first: so they come before this, and are seen, or after, and see the note.
            await self._connection.execute("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE")
            if (note := await self._key(ARRIVED)) is not None and Arrivals.read(note).move.id == move.id:
                return None
            if (note := await self._key(FILLING)) is not None:
                known = Arrivals.read(note)
                if known.move == move:
                    return known
                if known.move.store != move.store:
                    raise StoreError(
                        f"{self} holds a part of {known.move.source}, which is on its way there: finish that move, or "
                        "name another database"
                    )
                await self._empty()  # an earlier move of this very store, given up: nobody has served from it
            else:
                await self._must_be_empty()
            arrivals = Arrivals(move=move)
            await self._connection.execute("DELETE FROM timelines")
            await self._connection.execute("DELETE FROM revisions")
            await self._connection.execute("DELETE FROM keys WHERE name <> 'identity'")
            await self._connection.execute(
                "INSERT INTO keys (name, value) VALUES ($1, $2)", FILLING, arrivals.written()
            )
            return arrivals

    async def put(self, arrivals: Arrivals, table: Table, rows: list[tuple[Any, ...]]) -> Arrivals:
        """Have a portion.

        Returns:
            how far the move has come now.

        Raises:
            StoreError: another command is at work on the same move, or a row cannot be kept here.
        """
        async with self._transaction():
            after = arrivals.with_rows(table, rows)
            await self._note(arrivals, FILLING, after)
            await self._connection.copy_records_to_table(table.name, records=rows, columns=list(table.columns))
        return after

    async def complete(self, arrivals: Arrivals, counts: Mapping[str, int], last_numbers: Mapping[str, int]) -> None:
        """See that everything has arrived, and let servers in.

        Args:
            arrivals: how far the move has come.
            counts: how many rows each table has to have.
            last_numbers: the highest number that each table has given to a row.

        Raises:
            StoreError: rows are missing; nobody is let in.
        """
        async with self._transaction():
            for name, count in counts.items():
                have = await self._count(name)
                if have != count:
                    raise StoreError(f"{self} has {have} rows of {name} and should have {count}: nobody is let in")
            for name, number in last_numbers.items():
                await self._connection.execute(
                    "SELECT setval(pg_get_serial_sequence($1, 'seq'), greatest($2::bigint, 1), $2 > 0)", name, number
                )
            # Those who held webhooks when they were killed have stayed behind.
            await self._connection.execute(all_statements()["release_dead"])
            await self._note(arrivals, ARRIVED, arrivals)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        try:
            async with self._connection.transaction():
                yield
        except (*LOST, asyncpg.PostgresError) as error:
            raise translated(error, str(self)) from error

    async def _tables(self) -> list[str]:
        return sorted(row[0] for row in await self._connection.fetch(opening.TABLES))

    async def _must_be_ours(self) -> None:
        tables = await self._tables()
        if tables and _SCHEMA_TABLE not in tables:
            raise StoreError(f"{self} has other tables in it ({_listed(tables)}): name a database of Ringback's own")

    async def _must_be_empty(self) -> None:
        if members := await self._count("members"):
            raise StoreInUse(
                f"servers run on {self}, or have been killed there ({members}): stop them, or name an empty database"
            )
        full = [name for name in await self._tables() if name not in _SETTINGS and await self._count(name)]
        if full:
            raise StoreError(
                f"{self} is a store in use: it has rows in {_listed(full)}; name an empty database. Two stores cannot "
                "become one"
            )

    async def _empty(self) -> None:
        for name in await self._tables():
            if name not in {"keys", _SCHEMA_TABLE}:
                await self._connection.execute(f"TRUNCATE TABLE {name}")

    async def _count(self, table: str) -> int:
        statement = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name from the schema
        if table == "keys":
            count: int = await self._connection.fetchval(f"{statement} WHERE name <> ALL($1)", sorted(OF_THE_PLACE))
        else:
            count = await self._connection.fetchval(statement)
        return count

    async def _key(self, name: str) -> bytes | None:
        value: bytes | None = await self._connection.fetchval("SELECT value FROM keys WHERE name = $1", name)
        return value

    async def _note(self, before: Arrivals, name: str, after: Arrivals) -> None:
        noted = await self._connection.execute(
            "UPDATE keys SET name = $1, value = $2 WHERE name = $3 AND value = $4",
            name,
            after.written(),
            FILLING,
            before.written(),
        )
        if noted != "UPDATE 1":
            raise StoreError(f"another command is at work on the same move into {self}: let it come to its end")


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = [name for name in names if name not in LEFT_BEHIND][:most]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
