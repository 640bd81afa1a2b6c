"""A proxy between a member and PostgreSQL that can lose answers, and be as deaf as a pooler between transactions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_NOTIFICATION = b"A"  # NotificationResponse (postgresql.org/docs/current/protocol-message-formats.html)


@dataclass(slots=True)
class Proxy:
    """Listens on loopback and passes bytes on, unless told otherwise."""

    database: str
    socket: str
    """The server's own socket."""
    port: int = 0
    is_deaf: bool = False
    """Whether notifications are kept back."""
    lost_answers: int = 0
    """How many times the answer to a COMMIT has been lost, with its connection."""
    lose_next: int = 0
    """How many answers to a COMMIT are still to be lost."""
    cut_next: int = 0
    """How many connections are still to be cut the moment a COMMIT has gone through, while the server is at it."""
    is_away: bool = False
    """Whether whoever comes is sent away, as by a server that is not there."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def go_away(self) -> None:
        """End every connection, and take no other until `is_away` is false again."""
        self.is_away = True
        for task in self._tasks:
            task.cancel()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.database}?sslmode=disable"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.is_away:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        above_reader, above = await asyncio.open_unix_connection(self.socket)
        loses = asyncio.Event()
        up = asyncio.create_task(self._ask(reader, above, loses, writer))
        try:
            await self._answer(above_reader, writer, loses)
        finally:
            up.cancel()
            for each in (writer, above):
                each.transport.abort()
            self._tasks.discard(task)

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        above: asyncio.StreamWriter,
        loses: asyncio.Event,
        client: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.lose_next and b"COMMIT" in data:
                    self.lose_next -= 1
                    loses.set()
                above.write(data)
                await above.drain()
                if self.cut_next and b"COMMIT" in data:
                    self.cut_next -= 1
                    client.transport.abort()

    async def _answer(self, above: asyncio.StreamReader, writer: asyncio.StreamWriter, loses: asyncio.Event) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await above.readexactly(5)
                body = await above.readexactly(int.from_bytes(head[1:], "big") - 4)
                if loses.is_set():
                    self.lost_answers += 1
                    return
                if self.is_deaf and head[:1] == _NOTIFICATION:
                    continue
                writer.write(head + body)
                await writer.drain()


@contextlib.asynccontextmanager
async def proxied(url: str, *, is_deaf: bool = False) -> AsyncIterator[Proxy]:
    """A proxy before the database of that URL, for the length of the block."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query)["host"][0]
    proxy = Proxy(database=parts.path.lstrip("/"), socket=f"{folder}/.s.PGSQL.5432", is_deaf=is_deaf)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in proxy._tasks:
            task.cancel()
        await asyncio.sleep(0.01)  # transports that were aborted close at the loop's next turns
