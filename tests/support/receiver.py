"""A webhook receiver on loopback that does what it is told: answer, fail, hang, reset, babble.

Raw asyncio, so that a test can also send what no HTTP library would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which connection it came on, counted from 1."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, *headers: str, body: bytes = b"") -> Script:
    """Answer with a status, headers and a body, and keep the connection."""

    async def run(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return run


def saying(raw: bytes, *, then_close: bool = False) -> Script:
    """Send these bytes, whatever they are."""

    async def run(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if then_close:
            writer.close()

    return run


async def hanging(writer: asyncio.StreamWriter) -> None:
    """Say nothing, ever."""
    await asyncio.Event().wait()


async def resetting(writer: asyncio.StreamWriter) -> None:
    """Break the connection without a word."""
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    """Answer 200 with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x" * 4_096)
            await writer.drain()


@dataclass(slots=True)
class Receiver:
    """Answers each request by the next script, and by `otherwise` when there is none left."""

    scripts: list[Script] = field(default_factory=list)
    otherwise: Script = field(default_factory=lambda: saying(OK))
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    on_request: Callable[[], None] = lambda: None
    """Called with each request that has been read, before it is answered."""
    _arrival: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def wait_for(self, count: int, *, within: float = 10.0) -> list[Received]:
        """The requests once there are `count`; fails telling what has come."""
        try:
            async with asyncio.timeout(within), self._arrival:
                await self._arrival.wait_for(lambda: len(self.requests) >= count)
        except TimeoutError:
            raise AssertionError(f"{len(self.requests)} of {count} requests came: {self.requests}") from None
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                async with self._arrival:
                    self.requests.append(Received(line, headers, body, number))
                    self._arrival.notify_all()
                self.on_request()
                await (self.scripts.pop(0) if self.scripts else self.otherwise)(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def receiving(*scripts: Script, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver for the length of the block."""
    receiver = Receiver(scripts=list(scripts))
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
