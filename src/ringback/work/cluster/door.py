"""Where hosts call a server: one port for all of them, each let in by a token that it alone was given."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Final

import ringback
from ringback.core.errors import Unavailable
from ringback.work.child import wire
from ringback.work.child.wire import WireError
from ringback.work.cluster.link import Line, Piece, read_piece

_HELLO_SECONDS: Final = 10.0
_STRANGERS_MOST: Final = 64


class Door:
    """Lets in those who are expected."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Future[Line]] = {}
        self._server: asyncio.Server | None = None
        self._strangers = 0
        self.port = 0

    async def open(self, host: str) -> None:
        """Listen on a port of the system's choice.

        Raises:
            Unavailable: it cannot be listened there.
        """
        try:
            self._server = await asyncio.start_server(self._on_call, host, 0)
        except OSError as error:
            raise Unavailable(f"{host} cannot be listened on for Ray's actors: {error}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    def expect(self) -> tuple[str, asyncio.Future[Line]]:
        """A token for one host, and its line once it has called."""
        token = secrets.token_urlsafe(32)
        line: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._expected[token] = line
        line.add_done_callback(lambda _: self._expected.pop(token, None))
        return token, line

    async def close(self) -> None:
        """Let nobody in any more."""
        if self._server is not None:
            self._server.close()
            for each in list(self._expected.values()):
                each.cancel()

    async def _on_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection: a host of ours says so at once, anybody else is left standing."""
        if self._strangers >= _STRANGERS_MOST:
            writer.close()
            return
        self._strangers += 1
        line = Line(reader, writer)
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                self._let_in(await read_piece(reader), line)
        except (WireError, TimeoutError):
            line.close()
        finally:
            self._strangers -= 1

    def _let_in(self, piece: tuple[Piece, bytes] | None, line: Line) -> None:
        if piece is None or piece[0] is not Piece.HELLO:
            raise WireError("no greeting")
        told = wire.read_object(piece[1])
        release, expected = told.get("release"), self._expected.get(str(told.get("token")))
        if expected is None or expected.done():
            raise WireError("nobody we expect")
        if release == ringback.__version__:
            expected.set_result(line)
            return
        with contextlib.suppress(asyncio.InvalidStateError):
            here = ringback.__version__
            expected.set_exception(
                Unavailable(f"its host has Ringback {release}, this server has {here}: install the same on all nodes")
            )
        line.close()
