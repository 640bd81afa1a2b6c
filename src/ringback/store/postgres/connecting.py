"""Connections to the database, and what a member knows of where it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import asyncpg

from ringback.core.databases import shown_database
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, StoreBusy, StoreError
from ringback.store.postgres.bridge import wait
from ringback.store.postgres.faults import LOST, refused
from ringback.store.postgres.outage import PAUSE_SECONDS, Outage
from ringback.store.postgres.statements import positional as _positional

_CONNECT_SECONDS: Final = 10.0
_PATIENCE: Final = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 5_000}
"""Seconds and a count, the last in milliseconds: together, a connection without a sign of life ends after 5 s. To make
another costs little, and what was under way on it is found out."""

_SESSION: Final = {
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "15s",
}

positional = lru_cache(maxsize=1_024)(_positional)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the database is."""

    url: str
    """postgresql://…, as the driver takes it."""
    prepares: bool = True
    """Whether a connection is one's own, so that what is prepared on it or listened for stays: not behind a pooler that
    hands it on between transactions."""

    @property
    def session_settings(self) -> dict[str, str]:
        """What the server is told of each connection: to give those up that are left in the middle, by a lost host.

        Otherwise what such a one has locked would stay so until the server's own host gives up, after hours, and hold
        up whoever wants to take over. A pooler refuses settings it does not know, and sees to its connections itself.
        """
        return {"application_name": "ringback", **(_SESSION if self.prepares else {})}

    def __str__(self) -> str:
        """The place without its password."""
        return shown_database(self.url)


async def connect(place: Place) -> asyncpg.Connection:
    """One connection.

    Raises:
        RingbackError: there is none to be had; the message says why.
    """
    try:
        connection = await asyncpg.connect(
            place.url,
            timeout=_CONNECT_SECONDS,
            statement_cache_size=256 if place.prepares else 0,
            server_settings=place.session_settings,
        )
    except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
        raise refused(error, str(place)) from error
    except ValueError as error:
        raise StoreError(f"{place} is no usable address of a database: {error}") from error
    await watch_over(connection)
    return connection


async def watch_over(connection: Any) -> None:
    """Have the kernel give a connection up whose other end says nothing, when its host or the network is gone.

    Without it a word that nobody acknowledges is repeated for a quarter of an hour (tcp(7), tcp_retries2), and one who
    only listens never notices.
    """
    transport = connection._transport  # noqa: SLF001 - the driver has no option for it
    wire = None if transport is None else transport.get_extra_info("socket")
    if wire is None or wire.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PATIENCE.items():
        if hasattr(socket, name):  # not every system has all
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def connect_at_last(place: Place, outage: Outage) -> asyncpg.Connection:
    """One connection, asked for again and again for as long as the server is away."""
    while True:
        try:
            connection = await connect(place)
        except RingbackError as error:
            outage.is_met(error)
        else:
            outage.is_over()
            return connection
        await asyncio.sleep(PAUSE_SECONDS)


async def connect_when_up(place: Place, patience_seconds: float, emit: Emit) -> asyncpg.Connection:
    """One connection, for one who comes: waits for a server that is away, and says so; not for one that refuses.

    Raises:
        RingbackError: the server refuses, or there was none to be had for so long.
    """
    try:
        return await connect(place)
    except StoreBusy as away:
        if patience_seconds <= 0:
            raise
        emit("store.awaited", detail=str(away), patience_seconds=round(patience_seconds))
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_seconds
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            return await connect(place)
        except StoreBusy:
            if loop.time() >= until:
                raise


class Brought:
    """What one statement has brought: a `store.verbs.session.Cursor`."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchall(self) -> list[Any]:
        return self._rows

    def __iter__(self) -> Any:
        return iter(self._rows)


async def execute(connection: asyncpg.Connection, sql: str, parameters: Mapping[str, object]) -> Brought:
    """Run one statement with parameters by name."""
    statement = positional(sql)
    # Not `prepare`: that would ask the server anew each time, where these two know what they have prepared.
    if statement.brings_rows:
        rows = await connection.fetch(statement.text, *statement.arguments(parameters))
        return Brought(rows, len(rows))
    status = await connection.execute(statement.text, *statement.arguments(parameters))
    count = status.rpartition(" ")[2]
    return Brought([], int(count) if count.isdigit() else -1)


class Statements:
    """A `store.verbs.session.Connection`, for functions that run under `bridge.run`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> Brought:
        return wait(execute(self._connection, sql, parameters or {}))
