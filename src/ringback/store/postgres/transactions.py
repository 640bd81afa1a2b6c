"""Transactions of one writing connection, one after the other; the connection is made anew when it is lost.

Whether a commit that went unanswered has happened is asked of the database, never guessed. Knows nothing of writes.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from ringback.store.postgres.connecting import Place, connect_at_last
from ringback.store.postgres.fates import ABORTED, COMMITTED, OpenFates, fate_of
from ringback.store.postgres.faults import LOST
from ringback.store.postgres.outage import Outage
from ringback.store.postgres.planning import BEGIN, COMMIT_AND_BEGIN, DISCARD, FOR_ALL, Plans

_TRIES: Final = 20
"""How often the server may go away again while it is asked what became of a commit."""
_FATE_SECONDS: Final = 20.0
"""How long to wait for a commit that the server is still at."""


class Transactions:
    """Owns one connection, on which at most one transaction is open."""

    def __init__(
        self, place: Place, connection: asyncpg.Connection | None, open_fates: OpenFates, outage: Outage
    ) -> None:
        """Take over a connection.

        Args:
            place: where a new one is had when this one is lost.
            connection: idle, and nobody else's; None to have one when it is first needed.
            open_fates: the member's commits of which nothing is known.
            outage: says how long to wait for a server that is away.
        """
        self._place = place
        self._held = connection
        self._open_fates = open_fates
        self._outage = outage
        self._coming: asyncio.Task[asyncpg.Connection] | None = None
        """Another connection on its way: whoever has waited for it long enough leaves it to the next."""
        self.has_begun = False
        """Whether one is open."""
        self._is_set = False
        """Whether the connection plans as writes want it, if it does for more than a transaction."""
        self._plans = Plans()

    @property
    def connection(self) -> asyncpg.Connection:
        """The connection.

        Raises:
            asyncpg.InterfaceError: there is none yet; treated as one that is lost, it is made.
        """
        if self._held is None:
            raise asyncpg.InterfaceError("there is no connection yet")
        return self._held

    @property
    def is_connected(self) -> bool:
        return self._held is not None

    async def begin(self) -> None:
        """Have one open, planned as writes want it, and what can be known of earlier commits found out.

        Raises:
            OSError, asyncpg.InterfaceError: the connection was lost.
        """
        if self.has_begun:
            return
        if self._place.prepares and not self._is_set:
            await self.connection.execute(FOR_ALL)  # not with BEGIN: a ROLLBACK would undo it
            self._is_set = True
            self._plans = Plans()
        if self._open_fates:
            await self._open_fates.settle(self.connection)
        await self.connection.execute("BEGIN" if self._place.prepares else BEGIN)
        self.has_begun = True

    async def commit(self, writes: int, *, and_begin: bool) -> None:
        """Have so many writes on disk, and the next transaction begun if that is wanted.

        Raises:
            OSError, asyncpg.InterfaceError: the connection was lost, and whether they are is not known.
            asyncpg.PostgresError: the database has refused, and they are not.
        """
        self.has_begun = False
        chained = "COMMIT AND CHAIN" if self._place.prepares else COMMIT_AND_BEGIN
        commit = chained if and_begin else "COMMIT"
        if self._place.prepares and self._plans.have_served(writes):
            commit = f"{commit}; {DISCARD}"
        await self.connection.execute(commit)
        self.has_begun = and_begin

    async def roll_back(self) -> None:
        """Have none open, and nothing of it left; on another connection if this one is lost."""
        self.has_begun = False
        try:
            await self.connection.execute("ROLLBACK")
        except (*LOST, asyncpg.PostgresError):
            await self._connect_anew()

    async def fate_of(self, number: int | None) -> str | None:
        """The connection was lost: have another, and find out what became of the transaction that was open on it.

        Args:
            number: the one it had in the database; None if it has changed nothing, and counts as aborted.

        Returns:
            `COMMITTED`, `ABORTED`, why that will never be known, or None if the server stays away. What is not known
            is among the member's open fates from now on.
        """
        fate = await self._asked_for_fate(number)
        if number is not None and fate not in {ABORTED, COMMITTED}:
            self._open_fates.add(number)
        return fate

    async def close(self) -> None:
        """Close the connection."""
        self._stop_coming()
        if self._held is not None:
            await self._held.close(timeout=5.0)

    def abandon(self) -> None:
        """Drop the connection and what is open on it, as a killed process would."""
        self._stop_coming()
        if self._held is not None:
            self._held.terminate()

    async def _asked_for_fate(self, number: int | None) -> str | None:
        for _ in range(_TRIES):
            if not await self._connect_anew():
                break
            if number is None:
                return ABORTED
            try:
                return await fate_of(number, self.connection, patience_seconds=_FATE_SECONDS)
            except LOST:
                continue  # once more
            except asyncpg.PostgresError as refused:  # a server that knows nothing of it: another has taken over
                return str(refused)
        return None

    async def _connect_anew(self) -> bool:
        """Have a connection again; False when the server stays away for too long."""
        if self._held is not None:
            self._held.terminate()
            self._held = None
        self.has_begun = self._is_set = False
        if self._coming is None:
            self._coming = asyncio.create_task(connect_at_last(self._place, self._outage), name="ringback-connection")
        await asyncio.wait({self._coming}, timeout=self._outage.patience_seconds)
        if not self._coming.done():
            return False
        self._held, self._coming = self._coming.result(), None
        return True

    def _stop_coming(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None and not coming.cancel() and not coming.cancelled():
            coming.result().terminate()
