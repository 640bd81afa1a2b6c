"""uvicorn's HTTP connection, and what inboxes need of it besides: header names as written, and the socket.

Asks one thing more of a plain request: whether its path is an inbox's.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringback.core.inbox import CAPTURE_PATH
from ringback.inspector import WIRE

_PREFIX: Final = f"{CAPTURE_PATH}/".encode()
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""With this, closing drops what is unsent and answers RST (socket(7), SO_LINGER)."""


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


class InspectedConnection(HttpToolsProtocol):
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
