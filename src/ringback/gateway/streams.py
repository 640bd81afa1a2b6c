"""What happens to a workload, as it happens: server-sent events, and its log as text.

Reads no further ahead than the reader takes, so a slow one costs a socket and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.clock import isoformat
from ringback.core.errors import (
    InvalidHeader,
    InvalidParameter,
    MethodNotAllowed,
    RingbackError,
    Unavailable,
    UnknownApi,
)
from ringback.core.journal import Happening, LeftOut, LogText, Moved, Said, Story
from ringback.core.spec import Api
from ringback.core.workload import Output, Progress
from ringback.gateway import incoming
from ringback.gateway.incoming import Receive, Scope, Send
from ringback.store.contract import Store

_ROOM: Final = 16
"""Entries read at once; each is at most a quarter of a megabyte."""

_RECONNECT: Final = b"retry: 1000\n\n"
_HEARTBEAT: Final = b":\n\n"
_LIVE_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_EVENTS: Final = "text/event-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_DIGITS: Final = 18
_LAST: Final = {"type": "http.response.body", "body": b"", "more_body": False}

Pieces = AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What readers may cost."""

    most_readers: int = 1_000
    """How many one gateway serves at once."""
    heartbeat_seconds: float = 15.0
    """A comment goes out when nothing else has for so long: proxies cut what is silent."""
    stall_seconds: float = 60.0
    """A reader that takes nothing for so long is let go; it may come again and miss nothing."""


class Streams:
    """`GET /{api}/{id}/events` and `GET /{api}/{id}/logs`."""

    def __init__(self, store: Store, apis: Mapping[str, Api], bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._store = store
        self._apis = apis
        self._readers = 0
        self._closing = asyncio.Event()

    @property
    def routes(self) -> list[Route]:
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return [
            Route("/{api}/{workload_id}/events", self._events, methods=methods),
            Route("/{api}/{workload_id}/logs", self._logs, methods=methods),
        ]

    def close(self) -> None:
        """End every stream: readers come again, here or elsewhere, and go on where they were."""
        self._closing.set()

    async def _events(self, request: Request) -> Response:
        api, workload_id = self._named(request)
        query = incoming.parameters_of(request.scope, frozenset({"after"}))
        after = _place(request.headers.get("last-event-id"), query.get("after"))
        first = await self._store.happenings(api, workload_id, after=after, room=_ROOM, timeout_seconds=0)
        if first.is_over and not first.happenings:
            return Response(status_code=204)  # whoever comes again after the end is told to stay away (HTML, 9.2.3)
        return self._stream(request, self._as_events(api, workload_id, first, after), _EVENTS)

    async def _logs(self, request: Request) -> Response:
        api, workload_id = self._named(request)
        query = incoming.parameters_of(request.scope, frozenset({"attempt", "follow"}))
        follows, attempt = _follow(query.get("follow")), _attempt(query.get("attempt"))
        first = await self._store.happenings(api, workload_id, after=0, room=_ROOM, timeout_seconds=0)
        wait = self._bounds.heartbeat_seconds if follows else 0.0
        return self._stream(request, self._as_text(api, workload_id, first, attempt, wait), _TEXT)

    def _named(self, request: Request) -> tuple[str, str]:
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(f"{request.url.path} can only be read", allowed=("GET", "HEAD"))
        segment = request.path_params["api"]
        if segment not in self._apis:
            raise UnknownApi(f"no API answers at /{segment[:80]}")
        return self._apis[segment].name, request.path_params["workload_id"]

    # ── What is sent ────────────────────────────────────────────────────────────────────────────

    async def _as_events(self, api: str, workload_id: str, found: Story, after: int) -> Pieces:
        yield _RECONNECT
        while True:
            if found.happenings:
                after = found.happenings[-1].id
                yield b"".join(map(as_event, found.happenings))
            if found.is_over:
                return
            found = await self._store.happenings(
                api, workload_id, after=after, room=_ROOM, timeout_seconds=self._bounds.heartbeat_seconds
            )
            if not (found.happenings or found.is_over):
                yield _HEARTBEAT

    async def _as_text(self, api: str, workload_id: str, found: Story, attempt: int | None, wait: float) -> Pieces:
        text, after = LogText(attempt or 1), 0
        while True:
            yield "".join(
                text.add(each.attempt, each.what)
                for each in found.happenings
                if isinstance(each.what, Said) and attempt in {None, each.attempt}
            ).encode()
            if found.is_over or not (found.happenings or wait):
                return
            after = found.happenings[-1].id if found.happenings else after
            found = await self._store.happenings(api, workload_id, after=after, room=_ROOM, timeout_seconds=wait)

    # ── How it is sent ──────────────────────────────────────────────────────────────────────────

    def _stream(self, request: Request, pieces: Pieces, media_type: str) -> Response:
        if request.method == "HEAD":
            return Response(media_type=media_type, headers=_LIVE_HEADERS)
        most = self._bounds.most_readers
        if self._readers >= most:
            raise Unavailable(f"{most} readers follow workloads already; come again soon", retry_after_seconds=5)
        return _Stream(self, pieces, media_type)

    async def pour(self, pieces: Pieces, receive: Receive, send: Send) -> None:
        """Send the pieces one by one, until they end, the reader leaves, or the server closes."""
        self._readers += 1
        pouring = asyncio.create_task(_pour(pieces, self._patiently(send)))
        others = [asyncio.create_task(incoming.left(receive)), asyncio.create_task(self._closing.wait())]
        try:
            await asyncio.wait({pouring, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._readers -= 1
            for task in (pouring, *others):
                task.cancel()
            await asyncio.gather(pouring, *others, return_exceptions=True)
        if not pouring.cancelled():
            pouring.result()  # what went wrong is the gateway's to tell, and a reader that has stalled is cut off
        elif self._closing.is_set():
            await self._patiently(send)(_LAST)

    def _patiently(self, send: Send) -> Send:
        async def sending(message: MutableMapping[str, Any]) -> None:
            async with asyncio.timeout(self._bounds.stall_seconds):
                await send(message)

        return sending


class _Stream(Response):
    """An answer whose end is not known when it begins."""

    def __init__(self, streams: Streams, pieces: Pieces, media_type: str) -> None:
        super().__init__(media_type=media_type, headers=_LIVE_HEADERS)
        del self.headers["content-length"]
        self._streams = streams
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._streams.pour(self._pieces, receive, send)


async def _pour(pieces: Pieces, send: Send) -> None:
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except RingbackError:
            pass  # erased meanwhile, or the store has closed: whoever asks again is told which
    await send(_LAST)


# ── In words ────────────────────────────────────────────────────────────────────────────────────


def as_event(happening: Happening) -> bytes:
    """One server-sent event (HTML, 9.2.6); its data is one line of JSON."""
    name, data = _data(happening.what)
    at = None if happening.at is None else isoformat(happening.at)
    tail = orjson.dumps({"attempt": happening.attempt, "at": at})
    return b"event: %s\nid: %d\ndata: %s,%s\n\n" % (name, happening.id, data, tail[1:])


def _data(what: object) -> tuple[bytes, bytes]:
    """The event's name, and its data but for the closing brace."""
    told: dict[str, Any]
    match what:
        case Output(index=index, value=value):
            # JSON text of the predictor's: what stands there as a line's end can only be white space.
            line = value.replace(b"\n", b" ").replace(b"\r", b" ")
            return b"output", b'{"index":%d,"output":%s' % (index, line)
        case LeftOut(index=index, output_bytes=size):
            name, told = b"output", {"index": index, "output": None, "output_bytes": size}
        case Said(line=number, text=text):
            name, told = b"log", {"line": number, "text": text}
        case Progress(fraction=fraction, message=message):
            name, told = b"progress", {"fraction": fraction, "message": message}
        case Moved(status=status, error=error):
            name, told = b"status", {"status": status.value}
            if error is not None:
                told["error"] = {"type": error.type, "message": error.message}
    return name, orjson.dumps(told)[:-1]


def _place(last_id: str | None, parameter: str | None) -> int:
    """The id after which to begin; the header, which a reconnecting reader sends, goes first."""
    for text, refusal in (
        (last_id, InvalidHeader("Last-Event-ID is no id of this server's; leave it out to begin at the beginning")),
        (parameter, InvalidParameter("after is no id of this server's; leave it out to begin at the beginning")),
    ):
        if text:
            if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
                raise refusal
            return int(text)
    return 0


def _follow(text: str | None) -> bool:
    if text not in {None, "true", "false"}:
        raise InvalidParameter(f"follow={str(text)[:40]!r} is neither true nor false")
    return text == "true"


def _attempt(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= _DIGITS and int(text) > 0):
        raise InvalidParameter(f"attempt={text[:40]!r} is no number of an attempt; the first is 1")
    return int(text)
