"""A webhook receiver on loopback that does what it is told, keeps what it was sent, and can be waited for.

Runs in a thread of its own, so that plain tests and async ones use it alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Self

from ringback.core.clock import Clock
from ringback.core.verifying import verify

_MOST_HEAD_BYTES: Final = 256 * 1024
_MOST_SHOWN: Final = 20
_START_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    """With its query, as sent."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def verified(self, secret: str, *, clock: Clock | None = None) -> Any:
        """The body, parsed, once its signature has been checked.

        Args:
            secret: as `ringback.verify` takes it.
            clock: a `Server`'s, when it has been wound; the machine's by default.

        Raises:
            VerificationError: it does not hold; the message says why.
        """
        return verify(self.body, self.headers, secret, clock=clock)

    def __str__(self) -> str:
        text = self.body[:120].decode("utf-8", "replace")
        return f"{self.method} {self.path} {self.headers.get('webhook-id', '(no webhook-id)')} {text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer a request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_seconds: float = 0.0
    """Real time, not the server's wound one."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Read the request and say nothing, until the sender leaves."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection without a word."""


Step = Answer | Hang | Reset


class Receiver:
    """Listens from `with` to its end. Answers by the script, and 200 when there is nothing left of it."""

    def __init__(self) -> None:
        self.otherwise: Step = Answer()
        """What a request gets when the script is over."""
        self.port = 0
        self._script: deque[Step] = deque()
        self._received: list[Received] = []
        self._arrival = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ringback-receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens. Any path below is answered as well."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def received(self) -> list[Received]:
        """All requests so far, in the order in which they were read."""
        with self._arrival:
            return list(self._received)

    def script(self, *steps: Step) -> None:
        """Meet the next requests so, one step each, after what is left of an earlier script."""
        with self._arrival:
            self._script.extend(steps)

    def wait_for(
        self, count: int, where: Callable[[Received], bool] | None = None, *, within: float = 10.0
    ) -> list[Received]:
        """The requests that match, once there are `count` of them.

        Args:
            count: how many are wanted.
            where: which ones count; all by default.
            within: how long to wait for them, in real seconds.

        Raises:
            AssertionError: too few came in time; it tells what did arrive.
        """
        deadline = monotonic() + within
        with self._arrival:
            while True:
                found = [each for each in self._received if where is None or where(each)]
                if len(found) >= count:
                    return found
                left = deadline - monotonic()
                if left <= 0 or not self._arrival.wait(left):
                    raise AssertionError(self._missed(len(found), count, within))

    def clear(self) -> None:
        """Forget what has come and what was scripted."""
        with self._arrival:
            self._received.clear()
            self._script.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)
        self._loop.close()

    # ── In its thread ───────────────────────────────────────────────────────────────────────────

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_MOST_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._meet(await _read(reader), reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass  # the sender left, or speaks no HTTP
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _meet(self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request in and do as the script says; whether the connection goes on."""
        with self._arrival:
            step = self._script.popleft() if self._script else self.otherwise
            self._received.append(received)
            self._arrival.notify_all()
        match step:
            case Reset():
                writer.transport.abort()
                return False
            case Hang():
                await reader.read(1)  # returns when the sender has had enough
                return False
            case Answer():
                await asyncio.sleep(step.after_seconds)
                head = [f"HTTP/1.1 {step.status} Scripted", f"Content-Length: {len(step.body)}"]
                head += [f"{name}: {value}" for name, value in step.headers.items()]
                writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + step.body)
                await writer.drain()
        return True

    def _missed(self, found: int, count: int, within: float) -> str:
        lines = [f"  {number}. {each}" for number, each in enumerate(self._received[:_MOST_SHOWN], start=1)]
        if len(self._received) > _MOST_SHOWN:
            lines.append(f"  … and {len(self._received) - _MOST_SHOWN} more")
        told = "\n".join(lines) or "  nothing"
        return f"{found} of {count} matching requests came within {within:g} s; what arrived:\n{told}"


async def _read(reader: asyncio.StreamReader) -> Received:
    """One request with its body, sent whole or in chunks (RFC 9112, sections 6 and 7.1).

    Raises:
        ValueError: this is no HTTP.
    """
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method=method, path=path, headers=headers, body=body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return body
