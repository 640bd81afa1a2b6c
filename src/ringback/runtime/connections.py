"""uvicorn's HTTP connection with an answer's head and body in one write, and what inboxes need of it besides: header
names as written, and the socket.

The latter asks one thing more of a plain request: whether its path is an inbox's.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringback.core.inbox import CAPTURE_PATH
from ringback.inspector import WIRE

_PREFIX: Final = f"{CAPTURE_PATH}/".encode()
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""With this, closing drops what is unsent and answers RST (socket(7), SO_LINGER)."""


_HEAD: Final = b"HTTP/1.1 "
"""What uvicorn begins each answer with."""
_MOST_JOINED_BYTES: Final = 64 * 1024


class WholeAnswers:
    """A transport that keeps an answer's head until its body comes, at the latest until the loop's next turn.

    uvicorn writes the two apart: that is two calls of the kernel, and whoever receives them is woken twice.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if not head:
            if data.startswith(_HEAD):
                self._head = data
                self._loop.call_soon(self._let_go)
            else:
                self._transport.write(data)
        elif len(data) > _MOST_JOINED_BYTES:
            self._transport.write(head)
            self._transport.write(data)
        else:
            self._transport.write(head + data)

    def close(self) -> None:
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """A connection that writes whole answers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(cast("asyncio.Transport", WholeAnswers(transport)))


class Wire:
    """An `inspector.Wire` on one of uvicorn's transports."""

    __slots__ = ("_transport", "names")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.names: list[bytes] = []

    def reset(self) -> None:
        connected = self._transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()


class InspectedConnection(Connection):
    """A connection that leaves a `Wire` with the requests that go to an inbox.

    uvicorn writes header names in lower case, as ASGI wants it; how they were written is kept beside.
    """

    _names: list[bytes] | None = None

    # What uvicorn does in these two is written out, not called: every request pays for each call of each header.

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._names = None
        if self.url.startswith(_PREFIX):
            wire = Wire(self.transport)
            self._names = wire.names
            self.scope["extensions"] = {WIRE: {"wire": wire}}

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((lower, value))
        if self._names is not None:
            self._names.append(name)
