"""Many payloads as the body of one request: a line for each, gathered into pieces, never all of them in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, TypeGuard

from ringback.core.errors import InvalidPayload

_PIECE_BYTES: Final = 64 * 1024

Payloads = Iterable[Any] | Path | IO[bytes]
"""Values to be written as JSON, or one JSON text a line: in a file by its path, or open for bytes."""


def must_be_many(payloads: object) -> None:
    """Refuse what is one payload, though it can be iterated over.

    Raises:
        TypeError: it is.
    """
    if isinstance(payloads, str | bytes | bytearray | Mapping):
        kind = type(payloads).__name__
        raise TypeError(f"submit_many takes many payloads, not one {kind}: a list, a pathlib.Path, or a file of NDJSON")


def pieces_of(payloads: Payloads) -> Iterator[bytes]:
    """The body of a batch."""
    if isinstance(payloads, Path):
        with payloads.open("rb") as file:
            yield from _read_pieces(file)
    elif _is_file(payloads):
        yield from _read_pieces(payloads)
    else:
        pieces = _Pieces()
        for payload in payloads:
            if piece := pieces.add(payload):
                yield piece
        yield pieces.rest()


async def pieces_async(payloads: Payloads | AsyncIterable[Any]) -> AsyncIterator[bytes]:
    """As `pieces_of`, for a caller that awaits; payloads may be awaited, too."""
    if isinstance(payloads, AsyncIterable):
        pieces = _Pieces()
        async for payload in payloads:
            if piece := pieces.add(payload):
                yield piece
        yield pieces.rest()
    elif isinstance(payloads, Path) or _is_file(payloads):
        reading = pieces_of(payloads)
        while (piece := await asyncio.to_thread(next, reading, b"")) != b"":
            yield piece
    else:  # the caller's own code stays in the caller's own thread
        for piece in pieces_of(payloads):
            yield piece


def line_of(number: int, payload: Any) -> bytes:
    """A payload as a line of NDJSON; bytes are JSON already.

    Raises:
        InvalidPayload: it cannot be one; it is named by its number.
    """
    if isinstance(payload, bytes | bytearray):
        line = bytes(payload).strip()
        if not line or b"\n" in line or b"\r" in line:
            raise InvalidPayload(f"payload {number} is bytes, so it must be JSON text in one line")
        return line + b"\n"
    try:
        return json.dumps(payload, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"payload {number} cannot be written as JSON: {error}") from None


class _Pieces:
    """Lines gathered until they are worth a write."""

    def __init__(self) -> None:
        self._gathered = bytearray()
        self._number = 0

    def add(self, payload: Any) -> bytes | None:
        """What is to be written now, if it is time."""
        self._number += 1
        self._gathered += line_of(self._number, payload)
        return self.rest() if len(self._gathered) >= _PIECE_BYTES else None

    def rest(self) -> bytes:
        piece = bytes(self._gathered)
        self._gathered.clear()
        return piece


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        if not isinstance(piece, bytes):
            raise InvalidPayload("the file is open for text; open it for bytes, with mode 'rb'")
        yield piece


def _is_file(payloads: Payloads) -> TypeGuard[IO[bytes]]:
    return hasattr(payloads, "read")
