"""One member's place at the database: a connection that writes, and some that read.

How full an API is, is read once in each transaction that asks, under a lock that keeps other members' submits to
that API out until the commit: so the limit holds however many gateways there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar, cast

import asyncpg

from ringback.core.clock import Clock
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, StoreAway, StoreError
from ringback.store.locks import MemberLocks
from ringback.store.postgres.bridge import run
from ringback.store.postgres.commits import GroupCommit
from ringback.store.postgres.connecting import Place, Statements, execute, watch_over
from ringback.store.postgres.fates import OpenFates
from ringback.store.postgres.faults import LOST, translated
from ringback.store.postgres.outage import PAUSE_SECONDS, Outage
from ringback.store.postgres.sets import KEEP_OUT
from ringback.store.postgres.statements import all_statements
from ringback.store.postgres.together import Together
from ringback.store.postgres.together import Transaction as WithTallies
from ringback.store.postgres.transactions import Transactions
from ringback.store.postgres.words import Words
from ringback.store.postgres.writers import Writers
from ringback.store.verbs.rows import Row
from ringback.store.verbs.session import Session
from ringback.store.verbs.tallies import Tallies
from ringback.store.verbs.transaction import Connection, Cursor, Kin, Transaction

T = TypeVar("T")

_READERS: Final = 4
_CONNECT_SECONDS: Final = 5.0
"""For one of them: somebody waits for it, and tries again."""


class PostgresSession(Session):
    """A `store.verbs` session on PostgreSQL."""

    commits: Writers

    def __init__(
        self,
        place: Place,
        writer: asyncpg.Connection,
        *,
        clock: Clock,
        lease_seconds: float,
        emit: Emit,
        locks: MemberLocks,
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop, clock=clock, lease_seconds=lease_seconds, sql=all_statements())
        self.place = place
        self.locks = locks
        self.words = Words(self.member, self.meeting)
        self._open_fates = OpenFates(adrift=self.go_adrift)
        self.outage = Outage(emit, loop.time)
        self.commits = Writers(self._group_commit(writer, emit), {kin: self._group_commit(None, emit) for kin in Kin})
        self.readers: asyncpg.Pool | None = None
        self._loop = loop

    def _group_commit(self, connection: asyncpg.Connection | None, emit: Emit) -> GroupCommit:
        return GroupCommit(
            self.place,
            Transactions(self.place, connection, self._open_fates, self.outage),
            emit=emit,
            words=self.words,
            together=Together(self.sql, Tallies(self.sql, self.member)),
        )

    async def open_readers(self) -> None:
        """Have connections to read with."""
        self.readers = await asyncpg.create_pool(
            self.place.url,
            min_size=0,
            max_size=_READERS,
            init=watch_over,
            timeout=_CONNECT_SECONDS,
            statement_cache_size=256 if self.place.prepares else 0,
            server_settings=self.place.session_settings,
        )

    def unfinished(self, tx: Transaction, api: str, tenant: str) -> int:
        if not self.tallies_of(tx).knows(api, tenant):
            tx.execute(KEEP_OUT, {"key": f"submits of {tenant} to {api}"})
        return super().unfinished(tx, api, tenant)

    def tallies_of(self, tx: Transaction) -> Tallies:
        return cast("WithTallies", tx).tallies

    def hold_lines(self, tx: Transaction, lines: Sequence[tuple[str, str]]) -> None:
        cast("WithTallies", tx).keep_out([f"line of {order_key} at {endpoint}" for endpoint, order_key in lines])
        for line in lines:
            tx.hold(("line", *line))

    async def read(self, statement: str, **parameters: object) -> list[Row]:
        async def reading(connection: asyncpg.Connection) -> list[Row]:
            if self.place.prepares:
                return (await execute(connection, self.sql[statement], parameters)).fetchall()
            async with connection.transaction(readonly=True):  # a pooler may hand on the connection in between
                return (await execute(connection, self.sql[statement], parameters)).fetchall()

        return await self._reading(reading)

    async def scan(self, reading: Callable[[Connection], T]) -> T:
        async def scanning(connection: asyncpg.Connection) -> T:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await run(lambda: reading(Statements(connection)))

        return await self._reading(scanning)

    def seq_of(self, inserted: Cursor) -> int:
        [(seq,)] = inserted.fetchall()
        return int(seq)

    def teller_of(self, tx: Transaction, seq: int, ended: Cursor) -> Row | None:  # noqa: ARG002 - it is told at once
        return next(iter(ended), None)

    def is_gone(self, tx: Transaction, member: str) -> bool:  # noqa: ARG002 - the lock file tells
        return self.locks.is_gone(member)

    def forget(self, member: str) -> None:
        self.locks.forget(member)

    def refusal(self) -> RingbackError:
        return StoreError(f"{self.place} is closed")

    async def _reading(self, act: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Read on a connection of the pool; on another if it turns out to be lost, for as long as one may wait."""
        assert self.readers is not None
        until: float | None = None
        while True:
            try:
                async with self.readers.acquire() as connection:
                    brought = await act(cast("asyncpg.Connection", connection))
            except (*LOST, asyncpg.PostgresError) as error:
                if self.readers.is_closing():
                    raise self.refusal() from error
                fault = translated(error, str(self.place))
                if not isinstance(fault, StoreAway):
                    raise fault from error
                if until is None:
                    until = self._loop.time() + self.outage.patience_seconds
                    continue
                self.outage.is_met(fault)
                if self._loop.time() >= until:
                    raise fault from error
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self.outage.is_over()
                return brought
