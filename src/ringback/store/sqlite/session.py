"""One member's open SQLite file: a connection that writes, one that reads, one that scans, and a locked file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from ringback.core.clock import Clock
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, StoreError
from ringback.store.locks import MemberLocks
from ringback.store.sqlite import opening
from ringback.store.sqlite.commits import Around, GroupCommit
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.sets import Sets
from ringback.store.verbs.rows import Row
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection, Cursor, Transaction

T = TypeVar("T")


class SqliteSession(Session):
    """A `store.verbs` session on SQLite."""

    def __init__(self, path: Path, *, clock: Clock, lease_seconds: float, emit: Emit, max_pages: int | None) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop, clock=clock, lease_seconds=lease_seconds, sql=opening.all_statements())
        self.path = path
        self.locks = MemberLocks(path)
        self.others_wrote = False
        self._loop = loop
        self._writer = opening.connect(path, max_pages=max_pages)
        self._reader = opening.read_only(path)
        self._scanner = opening.read_only(path)
        self._scanning = ThreadPoolExecutor(1, thread_name_prefix="ringback-scan")
        self._version = -1
        around = Around(
            began=self._began,
            ending=partial(self.tallies.write, self._writer.execute),
            rolled_back=self.tallies.undo,
        )
        sets = Sets(self.sql, self.member)
        self.commits: GroupCommit = GroupCommit(self._writer, path, emit=emit, around=around, sets=sets)

    async def read(self, statement: str, **parameters: object) -> list[Row]:
        try:
            return self._reader.execute(self.sql[statement], parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    async def scan(self, reading: Callable[[Connection], T]) -> T:
        def run() -> T:
            self._scanner.execute("BEGIN")
            try:
                return reading(self._scanner)
            finally:
                self._scanner.execute("COMMIT")

        try:
            return await self._loop.run_in_executor(self._scanning, run)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        except RuntimeError as error:  # the executor has been shut down
            raise StoreError(f"{self.path} is closed") from error

    def hold_lines(self, tx: Transaction, lines: Sequence[tuple[str, str]]) -> None:
        """Nothing: one member writes at a time anyway."""

    def seq_of(self, inserted: Cursor) -> int:
        assert isinstance(inserted, sqlite3.Cursor)
        assert inserted.lastrowid is not None
        return inserted.lastrowid

    def teller_of(self, tx: Transaction, seq: int, ended: Cursor) -> Row | None:
        if not ended.rowcount:
            return None
        found: list[Row] = tx.execute(self.sql["teller"], {"seq": seq}).fetchall()
        return found[0]

    def is_gone(self, tx: Transaction, member: str) -> bool:  # noqa: ARG002 - the lock file tells
        return self.locks.is_gone(member)

    def forget(self, member: str) -> None:
        self.locks.forget(member)

    def look_for_others(self) -> None:
        """Find out, between two transactions, whether another member has written since the last look."""
        if not self.commits.is_committing:
            self._compare_version()

    def close_connections(self) -> None:
        """Blocking: the last connection to close copies the log into the database."""
        self._scanning.shutdown()
        for connection in (self._scanner, self._reader, self._writer):
            connection.close()

    def refusal(self) -> RingbackError:
        return StoreError(f"{self.path} is closed")

    def _began(self) -> None:
        self._compare_version()

    def _compare_version(self) -> None:
        [(version,)] = self._writer.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version = version
            self.tallies.forget()
            self.others_wrote = True
