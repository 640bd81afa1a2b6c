"""What every verb of the backend works with: connections, statements, the clock, this member's name.

The verbs themselves stand in `workloads`, `deliveries`, `members` and `readers`, each over this.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ringback.core.clock import SECOND, Clock, Instant
from ringback.core.delivery import Pause
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, StoreError
from ringback.core.ids import Ids
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import opening, rows
from ringback.store.sqlite.commits import GroupCommit, Transaction
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.locks import MemberLocks
from ringback.store.sqlite.meeting import Meeting
from ringback.store.sqlite.rows import Row

T = TypeVar("T")


class Session:
    """One member's open database.

    `counts` holds unfinished workloads by API as the transaction under way leaves them; an API that is missing is
    counted again when it is asked for.
    """

    def __init__(self, path: Path, *, clock: Clock, lease_seconds: float, emit: Emit, max_pages: int | None) -> None:
        loop = asyncio.get_running_loop()
        self.path = path
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.ids = Ids(clock)
        self.member = self.ids.new()
        self.sql = opening.all_statements()
        self.locks = MemberLocks(path)
        self.meeting = Meeting(loop)
        self.counts: dict[str, int] = {}
        self.pauses: dict[str, Pause] = {}
        self.public_url = ""
        self.link_key = b""  # found on joining
        self.origin = 0  # of the timeline; found on joining
        self.others_wrote = False
        self._loop = loop
        self._writer = opening.connect(path, max_pages=max_pages)
        self._reader = opening.read_only(path)
        self._scanner = opening.read_only(path)
        self._scanning = ThreadPoolExecutor(1, thread_name_prefix="ringback-scan")
        self._version = -1
        self.commits = GroupCommit(self._writer, path, emit=emit, began=self._began, rolled_back=self.counts.clear)

    def steady(self) -> Instant:
        """Now, on the timeline that all members share and nobody sets: what is due when is judged by it."""
        return Instant(self.origin + self.clock.elapsed())

    def seconds_until(self, due_at: int) -> float:
        """How long until a moment of the timeline."""
        return (due_at - self.steady()) / SECOND

    def in_days_time(self, due_at: int) -> Instant:
        """A moment of the timeline as the time of day it will be."""
        return Instant(self.clock.now() + due_at - self.steady())

    def unfinished(self, tx: Transaction, api: str) -> int:
        """How many of the API's workloads have not ended."""
        known = self.counts.get(api)
        if known is None:
            [(known,)] = tx.execute(self.sql["count_unfinished"], {"api": api}).fetchall()
            self.counts[api] = known
        return known

    def count(self, api: str, change: int) -> None:
        """Keep `counts` in step with a change the transaction has made."""
        if api in self.counts:
            self.counts[api] += change

    def read(self, statement: str, **parameters: object) -> list[Row]:
        """Rows of a short read, as last committed."""
        try:
            return self._reader.execute(self.sql[statement], parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    async def scan(self, reading: Callable[[sqlite3.Connection], T]) -> T:
        """A read that may take long, off the loop and from one snapshot."""

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

    def recall_replicas(self) -> None:
        """Read again what the other living members tell of their replicas."""
        self.meeting.retell_replicas(
            (
                (member, api, ReplicaState(ready=ready, starting=starting, problem=problem))
                for member, api, ready, starting, problem in self.read("reports")
            ),
            but=self.member,
        )

    def recall_pauses(self) -> None:
        """Read again which endpoints are at rest, and wake those whose rest has begun or ended."""
        before, self.pauses = self.pauses, {row[0]: rows.pause(row) for row in self.read("pauses")}
        for endpoint in before.keys() ^ self.pauses.keys():
            self.meeting.due.call(endpoint)

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
            self.counts.clear()
            self.others_wrote = True
