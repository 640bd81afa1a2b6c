"""From an ASGI request to an `Arrival`: every byte that is kept is the sender's own.

What ASGI has changed is undone: header names are written as they came, when the server says how.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final

from ringback.core.clock import Clock
from ringback.core.inbox import Arrival
from ringback.inspector.wire import Receive, Scope, Wire

SMALL_BYTES: Final = 64 * 1024
"""Bodies that may be in memory whole whatever an inbox keeps of them."""

_MESSAGE_ID: Final = b"webhook-id"
_LONGEST_MESSAGE_ID: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of a body is kept, and how much is read at all."""

    kept_bytes: int
    read_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body as far as it came."""

    kept: bytes
    came_bytes: int
    is_whole: bool
    """False: the sender left before its end."""
    is_read: bool
    """False: it was so long that the rest was left unread."""


async def arrival_of(
    scope: Scope, receive: Receive, wire: Wire | None, *, path: str, bounds: Bounds, clock: Clock
) -> tuple[Arrival, Body]:
    """The request, read to its end or to its bounds.

    Args:
        scope: ASGI's.
        receive: ASGI's.
        wire: the connection, if there is one to ask.
        path: the part of the request's path that names the inbox.
        bounds: for the body.
        clock: tells when it came.
    """
    received_at, began = clock.now(), perf_counter_ns()
    body = await _body(receive, bounds)
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    names = [name for name, _ in pairs] if wire is None else wire.names
    values = dict(pairs)
    size = max(body.came_bytes, 0 if body.is_whole and body.is_read else announced(scope))
    host, port = scope["client"] or ("", 0)
    arrival = Arrival(
        received_at=received_at,
        read_us=(perf_counter_ns() - began) // 1_000,
        method=scope["method"],
        target=_target(scope, path),
        http_version=scope["http_version"],
        peer=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        head=b"".join([b"%b: %b\r\n" % (name, value) for name, (_, value) in zip(names, pairs, strict=True)]),
        body=body.kept,
        size_bytes=size,
        is_cut=len(body.kept) < size or not (body.is_whole and body.is_read),
        message_id=_message_id(values.get(_MESSAGE_ID)),
    )
    return arrival, body


async def _body(receive: Receive, bounds: Bounds) -> Body:
    kept: list[bytes] = []
    came, room = 0, bounds.kept_bytes
    while came <= bounds.read_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Body(kept=b"".join(kept), came_bytes=came, is_whole=False, is_read=True)
        piece: bytes = message.get("body", b"")
        came += len(piece)
        if room > 0 and piece:
            kept.append(piece[:room])
            room -= len(kept[-1])
        if not message.get("more_body", False):
            return Body(kept=b"".join(kept), came_bytes=came, is_whole=True, is_read=True)
    return Body(kept=b"".join(kept), came_bytes=came, is_whole=True, is_read=False)


def _target(scope: Scope, path: str) -> str:
    """What stood behind the inbox's id, percent-encoded as it came."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    rest = raw.removeprefix(path.encode())
    return (rest + b"?" + query if query else rest).decode("latin-1")


def announced(scope: Scope) -> int:
    """The body's size as its head tells it (RFC 9112, section 6.3); -1 when it does not."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value[:18]) if value.isdigit() else -1
        if name == b"transfer-encoding":
            return -1
    return 0


def _message_id(raw: bytes | None) -> str | None:
    if raw is None or not 0 < len(raw) <= _LONGEST_MESSAGE_ID:
        return None
    return raw.decode("latin-1")
