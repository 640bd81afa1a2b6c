"""A file looked into without joining: nothing is written, servers that run are not disturbed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from ringback.core.errors import StoreError
from ringback.store.findings import Finding, Weight, given_twice, must_be_current
from ringback.store.sqlite import opening
from ringback.store.sqlite.faults import is_damaged, translated
from ringback.store.verbs.transaction import Connection

T = TypeVar("T")

_MOST_WORDS = 5


class SqliteLook:
    """One file."""

    def __init__(self, path: Path) -> None:
        """See that it can be read by this release.

        Raises:
            StoreError: there is none, or it is of another release; the message says what to do.
        """
        must_be_current(opening.standing(path), path)
        self._path = path.absolute()

    def __str__(self) -> str:
        return f"sqlite:///{self._path}"

    @property
    def sql(self) -> Mapping[str, str]:
        """The statements by their names."""
        return opening.all_statements()

    async def scan(self, reading: Callable[[Connection], T]) -> T:
        """Read from one snapshot. Blocking: the command has nothing else to do."""
        try:
            with closing(opening.read_only(self._path)) as connection:
                connection.execute("PRAGMA busy_timeout = 10000")
                connection.execute("BEGIN")
                return reading(connection)
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    async def damage(self) -> list[Finding]:
        """What is wrong beneath the rows: pages and indexes, and numbers that would be given twice."""
        try:
            return await self.scan(lambda tables: [*_broken(tables), *_renumbered(tables)])
        except StoreError as error:
            if not is_damaged(error.__cause__):
                raise
            return [_damaged([str(error)])]

    async def close(self) -> None:
        """Nothing is open between two scans."""


def _broken(tables: Connection) -> list[Finding]:
    words = [str(word) for (word,) in tables.execute("PRAGMA integrity_check(100)")]
    return [] if words == ["ok"] else [_damaged(words)]


def _damaged(words: list[str]) -> Finding:
    shown = "; ".join(words[:_MOST_WORDS])
    return Finding(
        name="damaged",
        weight=Weight.PROBLEM,
        count=len(words),
        words=f"{len(words)} faults in the file itself (PRAGMA integrity_check): {shown}",
        cure="stop all servers and copy the file away; restore the latest backup, or try `sqlite3 FILE .recover` on "
        "the copy, and look at the disk",
    )


def _renumbered(tables: Connection) -> list[Finding]:
    last = dict(tables.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    found = []
    for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name"):
        [(highest,)] = tables.execute(f"SELECT coalesce(max(seq), 0) FROM {name}").fetchall()  # noqa: S608 - a table
        given = last.get(name, 0)
        if highest > given:
            cure = f"UPDATE sqlite_sequence SET seq = {highest} WHERE name = '{name}'"  # noqa: S608 - to be read
            found.append(given_twice(name, given, highest, cure))
    return found
