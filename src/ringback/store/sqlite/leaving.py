"""A file whose store moves to another database: kept from everybody meanwhile, read table by table, noted as gone.

Blocking; belongs to one command.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ringback.core.clock import Clock
from ringback.core.errors import StoreError, StoreInUse, StoreMoved
from ringback.store.locks import MemberLocks
from ringback.store.moving import LEFT_BEHIND, MOVED, MOVING, OF_THE_PLACE, Move, Table
from ringback.store.sqlite import opening
from ringback.store.sqlite.faults import translated
from ringback.store.statements import migrations

_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """How much is held in memory at once: so many rows, or so many bytes and one row more."""

    rows: int = 2_000
    size_bytes: int = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A store that is kept from everybody for a move."""

    move: Move
    is_new: bool
    """Whether it was free before."""
    is_over: bool = False
    """Whether all of it has arrived before."""


class SqliteSource:
    """One file, open for a move."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        """Open the file, bringing an older one up to date.

        Raises:
            StoreError: there is no store of ours, or it cannot be opened; the message says why.
        """
        if not path.is_file():
            raise StoreError(f"{path} is not there: name the file that is to be moved, as --from sqlite:///path/to/it")
        self._path = opening.prepare(path)
        self._clock = clock
        self._locks = MemberLocks(self._path)
        self._connection = opening.connect(self._path)

    def __str__(self) -> str:
        return f"sqlite:///{self._path}"

    def close(self) -> None:
        self._connection.close()

    # ── Nobody else ─────────────────────────────────────────────────────────────────────────────

    def hold(self, target: str) -> Hold:
        """Note that the store moves: from now on nobody can join here.

        Args:
            target: where to, as messages name it.

        Returns:
            the move, the same one when it is repeated.

        Raises:
            StoreInUse: servers run on it.
            StoreMoved: it moves, or has moved, to another place.
        """
        with self._writing():
            for name in (MOVING, MOVED):
                note = self._key(name)
                if note is not None:
                    move = Move.read(note)
                    if move.target != target:
                        way = "has moved" if name == MOVED else "is on its way"
                        raise StoreMoved(f"{self} {way} to {move.target}, not to {target}; `--undo` takes it back")
                    known = len(migrations(opening.FRAGMENTS))  # a newer release may have come between two tries
                    return Hold(move=replace(move, schema=known), is_new=False, is_over=name == MOVED)
            self._must_be_at_rest()
            move = Move(
                id=os.urandom(8).hex(),
                source=str(self),
                target=target,
                schema=len(migrations(opening.FRAGMENTS)),
                store=(self._key("blobs") or b"").hex(),
            )
            self._connection.execute(
                "INSERT INTO keys (name, value) VALUES (:name, :value)", {"name": MOVING, "value": move.written()}
            )
        return Hold(move=move, is_new=True)

    def let_go(self) -> None:
        """Note that all has arrived; whoever comes here is told where to."""
        with self._writing():
            self._connection.execute("UPDATE keys SET name = :moved WHERE name = :moving", _NAMES)

    def take_back(self) -> bool:
        """Let the store be served from here again; False when it had not moved."""
        with self._writing():
            gone = self._connection.execute("DELETE FROM keys WHERE name IN (:moved, :moving)", _NAMES)
            return gone.rowcount > 0

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────

    def tables(self) -> list[Table]:
        """All that moves."""
        names = [name for (name,) in self._connection.execute(f"{_TABLES} ORDER BY name") if name not in LEFT_BEHIND]
        return [self._table(name) for name in names]

    def portions(self, table: Table, after: list[Any] | None, most: Portion) -> Iterator[list[tuple[Any, ...]]]:
        """The table's rows in the order of its key, from behind `after` on."""
        key = ", ".join(table.key)
        places = {f"k{number}": value for number, value in enumerate(after or ())}
        behind = f"({key}) > ({', '.join(f':{name}' for name in places)})" if places else "1 = 1"
        cursor = self._connection.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {behind} AND {_staying(table)} ORDER BY {key}",  # noqa: S608 - names from the schema
            places,
        )
        portion: list[tuple[Any, ...]] = []
        size = 0
        for row in cursor:
            portion.append(row)
            size += sum(len(value) for value in row if isinstance(value, (bytes, str)))
            if len(portion) >= most.rows or size >= most.size_bytes:
                yield portion
                portion, size = [], 0
        if portion:
            yield portion

    def count(self, table: Table) -> int:
        """How many rows move."""
        return self._number(f"SELECT count(*) FROM {table.name} WHERE {_staying(table)}")  # noqa: S608 - as above

    def count_blobs(self) -> int:
        """How many payloads and results are kept beside the store."""
        return self._number("SELECT count(*) FROM blobs")

    def last_numbers(self) -> dict[str, int]:
        """The highest number each table has ever given to a row: none is given again."""
        return dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    def _table(self, name: str) -> Table:
        columns = self._connection.execute(f"PRAGMA table_info({name})").fetchall()
        key = sorted((place, column) for _, column, *_, place in columns if place)
        return Table(name=name, columns=tuple(column[1] for column in columns), key=tuple(column for _, column in key))

    def _must_be_at_rest(self) -> None:
        alive = [
            member
            for member, until in self._connection.execute("SELECT id, lease_until FROM members")
            if self._lives(member, until)
        ]
        if alive:
            raise StoreInUse(
                f"{len(alive)} server{'s run' if len(alive) > 1 else ' runs'} on {self}: stop "
                f"{'them' if len(alive) > 1 else 'it'} first, then repeat the command"
            )

    def _lives(self, member: str, lease_until: int) -> bool:
        told = self._locks.lives(member)
        if told is not None:
            return told
        origins = dict(self._connection.execute("SELECT epoch, origin FROM timelines"))
        origin = origins.get(self._clock.epoch)
        return origin is not None and bool(lease_until > origin + self._clock.elapsed())  # else: before this boot

    def _key(self, name: str) -> bytes | None:
        found = self._connection.execute("SELECT value FROM keys WHERE name = :name", {"name": name}).fetchall()
        return bytes(found[0][0]) if found else None

    def _number(self, statement: str) -> int:
        [(value,)] = self._connection.execute(statement).fetchall()
        return int(value)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise translated(error, self._path) from error
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


_NAMES: Final = {"moved": MOVED, "moving": MOVING}


def _staying(table: Table) -> str:
    """The condition for rows that move: what belongs to the old place stays there."""
    if table.name != "keys":
        return "1 = 1"
    return f"name NOT IN ({', '.join(repr(name) for name in sorted(OF_THE_PLACE))})"
