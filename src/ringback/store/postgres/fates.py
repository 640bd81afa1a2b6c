"""What has become of commits that went unanswered: asked of the database, by the number the transaction had there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import asyncpg

COMMITTED: Final = "committed"
ABORTED: Final = "aborted"
_IN_PROGRESS: Final = "in progress"

_LOOK_SECONDS: Final = 0.05


async def fate_of(number: int, connection: asyncpg.Connection, *, patience_seconds: float) -> str:
    """`committed`, `aborted`, or why that is not known; one that is `in progress` is given time.

    Raises:
        asyncpg.PostgresError: it is not known, and never will be.
        OSError, asyncpg.InterfaceError: the connection was lost.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    while True:
        async with connection.transaction():
            fate = await connection.fetchval("SELECT pg_xact_status(CAST(CAST($1::bigint AS TEXT) AS xid8))", number)
        if fate != _IN_PROGRESS or loop.time() > deadline:
            return fate or "too long ago"
        await asyncio.sleep(_LOOK_SECONDS)


class OpenFates:
    """Commits whose callers had to be told that they have failed, although they may have happened.

    One that has leaves behind what this member holds and knows nothing of: a workload that it does not run, a webhook
    that it does not send. So it has to start over.
    """

    def __init__(self, *, adrift: Callable[[], None]) -> None:
        """Begin with none; `adrift` is called when one of them turns out to have happened, or may have for ever."""
        self._adrift = adrift
        self._numbers: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def add(self, number: int) -> None:
        """Nobody knows of this transaction yet."""
        self._numbers.add(number)

    async def settle(self, connection: asyncpg.Connection) -> None:
        """Find out what can be found out now.

        Raises:
            OSError, asyncpg.InterfaceError: the connection was lost.
        """
        for number in sorted(self._numbers):
            try:
                fate = await fate_of(number, connection, patience_seconds=0.0)
            except asyncpg.PostgresError as refused:  # a server that knows nothing of it: another has taken over
                fate = str(refused)
            if fate == _IN_PROGRESS:
                continue
            self._numbers.discard(number)
            if fate != ABORTED:
                self._adrift()
