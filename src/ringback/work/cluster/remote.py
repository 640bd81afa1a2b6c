"""A replica's process on another host, as the server sees it: a socket and a pipe, like those of one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from ringback.core.errors import Unavailable
from ringback.work.child import wire
from ringback.work.child.wire import Kind, WireError
from ringback.work.cluster.link import Incoming, Line, Passing, Piece, Sifter, read_piece
from ringback.work.printed import Hearing
from ringback.work.process import End

_READ_BYTES: Final = 128 * 1024
_SOCKET_BYTES: Final = 256 * 1024
_KILL_SECONDS: Final = 5.0
"""A host that has not said within it that the replica has ended is ended itself."""
_STANDARD_ERROR: Final = 2


class RemoteProcess:
    """Carries a replica's wire between the socket that the server holds and the line to the replica's host."""

    __slots__ = (
        "_ended",
        "_fetch",
        "_folder",
        "_hearing",
        "_is_killed",
        "_killing",
        "_let_go",
        "_line",
        "_running",
        "_theirs",
        "end",
        "pid",
    )

    def __init__(self, fetch: Callable[[], Awaitable[Line]], let_go: Callable[[], None], folder: Path | None) -> None:
        """Begin to wait for the host.

        Args:
            fetch: comes to the line once the host has called; raises `Unavailable` when it never will.
            let_go: ends the host, whatever it does.
            folder: where results that are files belong.

        Raises:
            Unavailable: the system has no room for another socket.
        """
        self.pid = 0
        try:
            self.end, self._theirs = socket.socketpair()
        except OSError as error:
            raise Unavailable(f"no line to a replica could be opened: {error}") from error
        for each in (self.end, self._theirs):
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self._fetch = fetch
        self._let_go = let_go
        self._folder = folder
        self._hearing: _Hearing | None = None
        self._line: Line | None = None
        self._ended: End | None = None
        self._is_killed = False
        self._killing: asyncio.Future[None] | None = None
        self._running = asyncio.create_task(self._run(), name="ringback-remote-replica")

    def overhear(self, *, is_busy: Callable[[], bool], heard: Callable[[bytes], None]) -> Hearing:  # noqa: ARG002 - the host looks
        self._hearing = _Hearing(heard)
        return self._hearing

    def kill(self) -> None:
        if self._is_killed or self._running.done():
            return
        self._is_killed = True
        if self._line is None:
            self._running.cancel()
        else:
            asyncio.get_running_loop().call_later(_KILL_SECONDS, self._running.cancel)
            self._killing = asyncio.ensure_future(self._line.send(Piece.KILL))

    def ended(self) -> End | None:
        return self._ended if self._running.done() else None

    # ── The line ────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        how = "was let go before its host had answered"
        try:
            self._line = await self._fetch()
            how = "was lost with its host, or with the line to it"
            await self._carry(self._line)
        except asyncio.CancelledError:  # by `kill` alone
            pass
        except Unavailable as error:
            self._ended = End(how=str(error), never_began=True)
        finally:
            self._ended = self._ended or End(how=how)
            if self._line is not None:
                self._line.close()
            self._theirs.close()
            self._let_go()

    async def _carry(self, line: Line) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=self._theirs)
        up = asyncio.create_task(self._to_host(reader, line))
        try:
            await self._from_host(line, writer)
        finally:
            up.cancel()
            writer.close()
            with contextlib.suppress(asyncio.CancelledError, OSError, WireError):
                await up

    async def _to_host(self, reader: asyncio.StreamReader, line: Line) -> None:
        sifter, ordinal = Sifter(Kind.FILE), 0
        while data := await reader.read(_READ_BYTES):
            for passing in sifter.feed(data):
                if passing.kind is Kind.FILE:
                    told = wire.read_object(passing.body)
                    ordinal += 1
                    with contextlib.suppress(OSError):  # it is read as empty there, and predict says so
                        await line.send_file(Path(told["path"]))
                    frame = wire.object_frame(Kind.FILE, {"ordinal": ordinal, "in_memory": told["in_memory"]})
                    await line.send(Piece.WIRE, frame)
                elif passing.ended is None:
                    await line.send(Piece.WIRE, passing.data)

    async def _from_host(self, line: Line, writer: asyncio.StreamWriter) -> None:
        """Until the host says how the replica has ended, or says no more."""
        sifter, incoming = Sifter(Kind.STORED), Incoming(self._folder)
        try:
            while self._ended is None and (piece := await read_piece(line.reader)) is not None:
                if piece[0] is Piece.WIRE:
                    await self._pass_on(sifter.feed(piece[1]), incoming, writer)
                elif piece[0] is Piece.FILE:
                    await incoming.take(piece[1])
                elif piece[0] is Piece.PRINTED:
                    await self._overheard(piece[1])
                else:
                    self._hear(*piece)
        except WireError as error:
            self._ended = End(how=f"sent what is no answer ({error})")
        except OSError as error:
            self._ended = End(how=f"sent a file that could not be kept: {error}")
        finally:
            incoming.drop()

    async def _pass_on(self, passings: Iterator[Passing], incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        for passing in passings:
            if passing.kind is Kind.STORED:
                await self._land(incoming, passing.body)
                writer.write(wire.frame(Kind.STORED, passing.body))
            else:
                writer.write(passing.data)
        await writer.drain()

    def _hear(self, kind: Piece, body: bytes) -> None:
        """What goes beside the wire."""
        match kind:
            case Piece.LOG:
                with contextlib.suppress(OSError):  # nobody reads it fast enough: a log must not hold up work
                    os.write(_STANDARD_ERROR, body)
            case Piece.ENDED:
                self._ended = _end_of(wire.read_object(body))
            case _:
                raise WireError(f"a {kind.name} piece from a host")

    async def _overheard(self, text: bytes) -> None:
        if self._hearing is not None:
            await self._hearing.take(text)

    async def _land(self, incoming: Incoming, body: bytes) -> None:
        name = wire.read_object(wire.read_numbered(body)[1]).get("name")
        if not isinstance(name, str) or "/" in name:
            raise WireError("a result in a file that it was not asked to make")
        await incoming.name(name)


class _Hearing:
    """Passes on what the host has overheard; the line waits while nobody listens."""

    __slots__ = ("_heard", "_is_over", "_listens")

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._listens = asyncio.Event()
        self._listens.set()
        self._is_over = False

    @property
    def is_deaf(self) -> bool:
        return not self._listens.is_set()

    @is_deaf.setter
    def is_deaf(self, is_deaf: bool) -> None:
        (self._listens.clear if is_deaf else self._listens.set)()

    def watch(self) -> None:
        """The host looks."""

    def said(self) -> None:
        """The host looks."""

    def last(self) -> None:
        self._is_over = True
        self._listens.set()

    async def take(self, text: bytes) -> None:
        await self._listens.wait()
        if not self._is_over:
            self._heard(text)


def _end_of(told: dict[str, object]) -> End:
    how, code = told.get("how"), told.get("code")
    return End(
        how=how if isinstance(how, str) else "ended",
        code=code if isinstance(code, int) else None,
        out_of_memory=told.get("out_of_memory") is True,
    )
