"""A submit's body: small ones whole, large ones streamed into a blob as they come, checked and counted on the way.

Never holds more of a body than what counts as small, and a few pieces of a large one.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final, ParamSpec, Protocol

from ringback.core.blob import Blob, PayloadDigest
from ringback.core.errors import InvalidPayload
from ringback.core.jsontext import JsonCheck, NotJson
from ringback.gateway import incoming
from ringback.gateway.incoming import Gone, Receive
from ringback.store.blobs import Large

P = ParamSpec("P")

_PIECE_BYTES: Final = 1024 * 1024
_LOOK_BYTES: Final = 128 * 1024
"""The check of JSON holds the interpreter while it looks; other requests get their turn in between."""


class Taken:
    """A payload that has been put into a blob, and what it is known by."""

    __slots__ = ("blob", "digest")

    def __init__(self, blob: Blob, digest: bytes) -> None:
        self.blob = blob
        self.digest = digest


class Bodies:
    """Reads bodies up to the server's limit."""

    def __init__(self, limit_bytes: int, large: Large | None) -> None:
        self._limit = limit_bytes
        self._large = large
        self._small = limit_bytes if large is None else min(limit_bytes, large.blob_threshold_bytes)

    async def take(
        self, content_type: str, headers: dict[str, str], receive: Receive, is_wanted: Callable[[], Awaitable[None]]
    ) -> bytes | Taken:
        """The whole body, seen to be what its content type says.

        Args:
            content_type: what it says it is.
            headers: the request's.
            receive: brings it.
            is_wanted: raises if it will be refused however it reads. Asked before anything is received of a body that
                is announced as large or waits to be asked for, and before a large one that was not announced is kept.

        Raises:
            PayloadTooLarge: it is over the limit, as announced or as it came.
            InvalidPayload: it is not what its content type says.
            StoreFull: there is no room for it.
            BlobsUnavailable: it is large, and blobs cannot be reached.
            Gone: the client left before it was complete.
        """
        text = headers.get("content-length")
        announced = int(text) if text is not None and text.isdigit() else 0
        if announced > self._limit:
            raise incoming.too_large(self._limit)
        is_asked = announced > self._small or "expect" in headers
        if is_asked:
            await is_wanted()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body: bytes = message.get("body", b"")
        if message.get("more_body", False) or len(body) > self._small:
            parts, length = [body], len(body)
            while length <= self._small and message.get("more_body", False):
                message = await _next(receive)
                parts.append(message.get("body", b""))
                length += len(parts[-1])
            if length > self._small:
                if self._large is None or length > self._limit:
                    raise incoming.too_large(self._limit)
                if not is_asked:
                    await is_wanted()
                return await self._keep(content_type, announced, parts, message, receive)
            body = b"".join(parts)
        incoming.check_payload(content_type, body)
        return body

    async def discard(self, blob: Blob) -> None:
        """No row will refer to it."""
        assert self._large is not None
        await self._large.discard(blob)

    async def _keep(
        self, content_type: str, announced: int, parts: list[bytes], message: MutableMapping[str, Any], receive: Receive
    ) -> Taken:
        assert self._large is not None
        digest = PayloadDigest(content_type)
        check = _check_for(content_type) if announced <= self._large.file_threshold_bytes else _Unchecked()
        pieces = self._looked_at(self._pieces(parts, message, receive), digest, check, announced)
        blob = await self._large.blobs.write(pieces, content_type)
        return Taken(blob, digest.value())

    async def _pieces(
        self, parts: list[bytes], message: MutableMapping[str, Any], receive: Receive
    ) -> AsyncIterator[bytes]:
        """The body in pieces large enough to be worth a thread's attention."""
        gathered, total = sum(map(len, parts)), 0
        while True:
            if total + gathered > self._limit:
                raise incoming.too_large(self._limit)
            is_last = not message.get("more_body", False)
            if gathered >= _PIECE_BYTES or (is_last and gathered):
                piece = b"".join(parts)
                total += gathered
                parts, gathered = [], 0
                yield piece
            if is_last:
                return
            message = await _next(receive)
            parts.append(message.get("body", b""))
            gathered += len(parts[-1])

    async def _looked_at(
        self, pieces: AsyncIterator[bytes], digest: PayloadDigest, check: _Check, announced: int
    ) -> AsyncIterator[bytes]:
        """The same pieces. What turns out to be too large for memory is not checked: predict reads it as a file."""
        assert self._large is not None
        most, total, fault = self._large.file_threshold_bytes, 0, None
        async for piece in pieces:
            total += len(piece)
            if total > most:
                check, fault = _Unchecked(), None
            fault = await asyncio.to_thread(_look, piece, digest, _Unchecked() if fault else check) or fault
            if fault is not None and announced:
                raise fault  # it will not become too large for memory
            yield piece
        fault = fault or _fault(check.close)
        if fault is not None:
            raise fault


# ── What content types promise ──────────────────────────────────────────────────────────────────────


class _Check(Protocol):
    """Sees that a body is what its content type says. Raises `ValueError`."""

    def feed(self, piece: bytes) -> None: ...

    def close(self) -> None: ...


class _Unchecked:
    """Bytes are bytes."""

    def feed(self, piece: bytes) -> None: ...

    def close(self) -> None: ...


class _TextCheck:
    """Text in a charset."""

    def __init__(self, charset: str) -> None:
        self._charset = charset
        try:
            self._decoder = codecs.getincrementaldecoder(charset)()
        except LookupError:
            raise InvalidPayload(f"there is no charset {charset[:40]!r}") from None

    def feed(self, piece: bytes) -> None:
        self._decode(piece, final=False)

    def close(self) -> None:
        self._decode(b"", final=True)

    def _decode(self, piece: bytes, *, final: bool) -> None:
        try:
            self._decoder.decode(piece, final)
        except ValueError as error:
            raise ValueError(f"{self._charset} text: {error}") from None


def _check_for(content_type: str) -> _Check:
    kind, charset = incoming.media_type(content_type)
    if kind == "application/json" or kind.endswith("+json"):
        return JsonCheck()
    return _TextCheck(charset) if kind == "text/plain" else _Unchecked()


def _look(piece: bytes, digest: PayloadDigest, check: _Check) -> InvalidPayload | None:
    digest.feed(piece)
    view = memoryview(piece)
    for at in range(0, len(piece), _LOOK_BYTES):
        if (fault := _fault(check.feed, bytes(view[at : at + _LOOK_BYTES]))) is not None:
            return fault
    return None


def _fault(look: Callable[P, None], *args: P.args, **named: P.kwargs) -> InvalidPayload | None:
    try:
        look(*args, **named)
    except NotJson as error:
        return InvalidPayload(f"the body is not JSON: {error}")
    except ValueError as error:
        return InvalidPayload(f"the body is not {error}")
    return None


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    return message
