"""A batch on its way in: one workload a line, staged as it comes, taken in as a whole or not at all.

Never holds more than a few hundred lines; the answer is as long as the batch and streams as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import orjson

from ringback.core.batch import CONTENT_TYPE, LINE_CONTENT_TYPE, Opened
from ringback.core.emit import Emit
from ringback.core.errors import (
    IdTaken,
    InvalidHeader,
    InvalidPayload,
    RingbackError,
    ShuttingDown,
    UnsupportedContentType,
)
from ringback.core.lines import Lines
from ringback.core.workload import Submission
from ringback.gateway import incoming
from ringback.gateway.answers import JSON_HEADER, Answer
from ringback.gateway.incoming import Gone, Receive
from ringback.store.contract import Batches

MOST_LINE_BYTES: Final = 256 * 1024
"""A larger payload is submitted on its own, where it can go into a blob."""

_LINES_AT_ONCE: Final = 128
_BYTES_AT_ONCE: Final = 256 * 1024
"""What one transaction takes in, so that no other has to wait for long."""

_IDS_AT_ONCE: Final = 1_000
_OF_THE_BATCH: Final = frozenset({"content-length", "content-type", "transfer-encoding", "idempotency-key"})


@dataclass(slots=True)
class _Portion:
    """Lines that have come and are not staged yet."""

    first: int = 1
    payloads: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, payload: bytes) -> None:
        self.payloads.append(payload)
        self.size += len(payload)

    @property
    def is_full(self) -> bool:
        return len(self.payloads) >= _LINES_AT_ONCE or self.size >= _BYTES_AT_ONCE


def is_wanted(headers: dict[str, str]) -> bool:
    """Whether the request is a batch.

    Raises:
        InvalidHeader: `Ringback-Batch` is neither true nor false.
        UnsupportedContentType: it is, and its body is no NDJSON.
    """
    wanted = headers.get("ringback-batch", "false").strip().lower()
    if wanted not in {"true", "false"}:
        raise InvalidHeader(f"Ringback-Batch: {wanted[:40]!r} is neither true nor false")
    if wanted == "false":
        return False
    kind, _ = incoming.media_type(incoming.content_type_of(headers))
    if kind != CONTENT_TYPE:
        raise UnsupportedContentType(f"a batch comes as {CONTENT_TYPE}, one workload a line; this is {kind}")
    return True


def line_headers(headers: dict[str, str]) -> bytes:
    """What each workload of a batch may see of the request's headers: those of its own payload, not of the batch."""
    kept = {name: value for name, value in headers.items() if name not in _OF_THE_BATCH}
    return incoming.kept_headers({"content-type": LINE_CONTENT_TYPE, **kept})


class Intake:
    """Takes batches in, and answers with their ids."""

    def __init__(self, batches: Batches, emit: Emit, draining: asyncio.Event) -> None:
        self._batches = batches
        self._emit = emit
        self._draining = draining

    async def take(self, template: Submission, receive: Receive) -> Answer:
        """One batch, whose workloads share what the template says.

        Raises:
            InvalidPayload: a line is no JSON, or there is none.
            PayloadTooLarge: a line is too long.
            IdTaken: the key stands for a batch of another content.
            Conflict: a batch with that key is being taken in.
            ShuttingDown: the server is draining.
            Gone: the client left before it was complete.
        """
        opened = await self._batches.open(template)
        if opened.is_known:
            _, digest = await self._read(None, receive)
            if not await self._batches.is_same(opened.seq, digest):
                key = template.idempotency_key
                raise IdTaken(f"the Idempotency-Key {key!r} already stands for batch {opened.id} of another content")
        else:
            await self._take_in(opened, template.api, receive)
        while await self._batches.pour(opened.seq, _LINES_AT_ONCE):
            pass
        location = (b"location", f"/-/batches/{opened.id}".encode())
        return 200, [JSON_HEADER, location], self._told(opened)

    async def _take_in(self, opened: Opened, api: str, receive: Receive) -> None:
        try:
            total, digest = await self._read(opened.seq, receive)
            await self._batches.accept(opened.seq, total, digest)
        except BaseException:
            with contextlib.suppress(RingbackError):  # whoever keeps up drops it then
                await self._batches.drop(opened.seq)
            raise
        self._emit("batch.submitted", api=api, workloads=total)

    async def _read(self, batch: int | None, receive: Receive) -> tuple[int, bytes]:
        """How many lines there are, and a digest of them; each checked, and staged for the batch if there is one."""
        lines, portion, digest = Lines(MOST_LINE_BYTES), _Portion(), sha256()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            more = message.get("more_body", False)
            found = lines.feed(message.get("body", b""))
            for number, line in found if more else (*found, *lines.end()):
                _check(number, line)
                digest.update(line + b"\n")
                portion.add(line)
                if portion.is_full:
                    portion = await self._stage(batch, portion)
        portion = await self._stage(batch, portion)
        if portion.first == 1:
            raise InvalidPayload("the batch has no line; send one JSON text a line")
        return portion.first - 1, digest.digest()

    async def _stage(self, batch: int | None, portion: _Portion) -> _Portion:
        """Stage it; the next one, empty."""
        if self._draining.is_set():
            raise ShuttingDown("the server is draining; submit the batch again in a moment", retry_after_seconds=2)
        if batch is not None and portion.payloads:
            await self._batches.stage(batch, portion.first, portion.payloads)
        return _Portion(first=portion.first + len(portion.payloads))

    async def _told(self, opened: Opened) -> AsyncIterator[bytes]:
        """The answer's body, the ids in the order of their lines."""
        yield b'{"batch":' + orjson.dumps(opened.id) + b',"ids":['
        cursor: str | None = None
        comma = b""
        while True:
            page = await self._batches.page(opened.seq, status=None, limit=_IDS_AT_ONCE, cursor=cursor)
            if page.workloads:
                yield comma + b",".join(orjson.dumps(each.id) for each in page.workloads)
                comma = b","
            cursor = page.cursor
            if cursor is None:
                break
        yield b"]}"


def _check(number: int, line: bytes) -> None:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"line {number} is not JSON: {error}; nothing of the batch was taken in") from None
