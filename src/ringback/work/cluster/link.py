"""The line between a server and a replica's host: pieces over TCP, with the replica's wire and what goes beside it.

A piece is one byte of kind, four of length, then the body, at most `MOST_BYTES`. The wire travels as it is, in whatever
pieces it came; a file travels before the frame that names it. A reader believes nothing.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final

from ringback.work.child.wire import MAX_FRAME_BYTES, Kind, WireError

MOST_BYTES: Final = 256 * 1024
SPECIAL_MOST_BYTES: Final = 64 * 1024
"""Of a frame that is read on the way: those name files, and are short."""

_LONGEST_LINE_BYTES: Final = 64 * 1024
_HEAD: Final = struct.Struct(">BI")
_NUMBER: Final = struct.Struct(">I")
_ENDS: Final = frozenset({Kind.DONE, Kind.FAILED})


class Piece(IntEnum):
    """What a piece carries.

    Host to server: HELLO first, PRINTED, LOG, ENDED. Server to host: KILL. Both ways: WIRE and FILE.
    """

    HELLO = 1
    WIRE = 2
    FILE = 3
    PRINTED = 4
    LOG = 5
    ENDED = 6
    KILL = 7


async def read_piece(reader: asyncio.StreamReader) -> tuple[Piece, bytes] | None:
    """The next piece; None at the end of the line, however it came.

    Raises:
        WireError: it is none.
    """
    try:
        kind, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if length > MOST_BYTES:
            raise WireError(f"a piece of {length} bytes; at most {MOST_BYTES} are allowed")
        if kind not in set(Piece):
            raise WireError(f"unknown kind of piece {kind}")
        return Piece(kind), await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None


class Line:
    """One end of a line: pieces go out whole, one after the other, as fast as the other end takes them."""

    __slots__ = ("_writer", "reader")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, kind: Piece, body: bytes = b"") -> None:
        """Send it, in several pieces if it is long; nothing happens when the line is down."""
        try:
            for at in range(0, max(1, len(body)), MOST_BYTES):
                part = body[at : at + MOST_BYTES]
                self._writer.write(_HEAD.pack(kind, len(part)) + part)
                await self._writer.drain()
        except OSError:
            return  # the reader finds it out

    async def send_object(self, kind: Piece, value: object) -> None:
        """Send it as JSON, in one piece."""
        await self.send(kind, json.dumps(value).encode())

    async def send_file(self, path: Path) -> None:
        """Send what a file holds.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            while part := await asyncio.to_thread(file.read, MOST_BYTES):
                await self.send(Piece.FILE, part)

    def close(self) -> None:
        """Idempotent."""
        self._writer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Part of a stream of frames: bytes to pass on, or one frame to be seen first."""

    data: bytes = b""
    """As they came."""
    kind: Kind | None = None
    body: bytes = b""
    ended: int | None = None
    """The number of a workload that is told to have ended, in what is passed on next."""


class Sifter:
    """Finds in a stream of frames those of certain kinds, without holding the others."""

    __slots__ = ("_buffer", "_left", "kinds")

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = set(kinds)
        """Those that are held until they are whole, and shown. May be changed between two frames."""
        self._buffer = bytearray()
        self._left = 0

    def feed(self, data: bytes) -> Iterator[Passing]:
        """What there is to do now that `data` has come, in order.

        Raises:
            WireError: this is no stream of frames.
        """
        self._buffer += data
        passed = 0  # so much at the beginning of the buffer is to be passed on
        while True:
            part = min(self._left, len(self._buffer) - passed)
            self._left -= part
            passed += part
            if len(self._buffer) - passed < _HEAD.size:
                break
            kind, length = self._head_at(passed)
            end = passed + _HEAD.size + length
            if kind in self.kinds:
                if len(self._buffer) < end:
                    break
                if passed:
                    yield Passing(data=bytes(self._buffer[:passed]))
                yield Passing(kind=Kind(kind), body=bytes(self._buffer[passed + _HEAD.size : end]))
                del self._buffer[:end]
                passed = 0
            elif kind in _ENDS and len(self._buffer) < passed + _HEAD.size + _NUMBER.size:
                break
            else:
                if kind in _ENDS:
                    yield Passing(ended=int(_NUMBER.unpack_from(self._buffer, passed + _HEAD.size)[0]))
                self._left = _HEAD.size + length
        if passed:
            yield Passing(data=bytes(self._buffer[:passed]))
            del self._buffer[:passed]

    def _head_at(self, at: int) -> tuple[int, int]:
        kind, length = _HEAD.unpack_from(self._buffer, at)
        most = SPECIAL_MOST_BYTES if kind in self.kinds else MAX_FRAME_BYTES
        if length > most:
            raise WireError(f"a frame of {length} bytes; at most {most} are allowed")
        if kind in _ENDS and length < _NUMBER.size:
            raise WireError("a frame without its number")
        return kind, length


class WholeLines:
    """Makes of a stream of text pieces that end where a line does: between two of them somebody else may write."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = bytearray()
        """What has come of a line whose end has not."""

    def feed(self, data: bytes) -> bytes:
        """The lines that are whole now that `data` has come; one that is too long for a piece, as it is."""
        self.rest += data
        end = self.rest.rfind(b"\n") + 1
        if not end and len(self.rest) >= _LONGEST_LINE_BYTES:
            end = len(self.rest)
        whole = bytes(self.rest[:end])
        del self.rest[:end]
        return whole


class Incoming:
    """A file that comes in pieces, until the frame that names it has come too."""

    __slots__ = ("_file", "_folder", "_path")

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._file: BinaryIO | None = None

    async def take(self, part: bytes) -> None:
        """More of it.

        Raises:
            WireError: no file is expected here.
            OSError: it cannot be written.
        """
        if self._folder is None:
            raise WireError("a file where none is expected")
        if self._file is None:
            self._path = self._folder / "incoming"
            self._file = self._path.open("wb")
        await asyncio.to_thread(self._file.write, part)

    async def name(self, name: str) -> Path:
        """It is complete and has this name now; one that never came is empty.

        Raises:
            OSError: it cannot be written.
        """
        if self._file is None:
            await self.take(b"")
        assert self._file is not None
        assert self._path is not None
        await asyncio.to_thread(self._file.close)
        self._file = None
        return self._path.rename(self._path.with_name(name))

    def drop(self) -> None:
        """There will be no more."""
        if self._file is not None:
            self._file.close()
            self._file = None
