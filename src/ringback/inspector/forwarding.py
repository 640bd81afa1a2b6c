"""Captured requests sent on to a URL, or once more to their own inbox, and what comes back.

Whoever can look at the server chooses the URL, so it may lead to what the operator has named and nowhere else; each
address is judged as it is dialled. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from socket import SOCK_STREAM, gaierror
from time import perf_counter_ns
from typing import Any, Final

import httpcore2

from ringback.core.clock import Clock, Instant
from ringback.core.errors import ForbiddenTarget
from ringback.core.inbox import CAPTURE_PATH, Arrival, Forwarded, header_lines, inbox_path
from ringback.core.netguard import Guard
from ringback.core.urls import webhook_url

HOPS_HEADER: Final = "Ringback-Inspector-Hops"
"""How often a request has been sent on by an inspector; one that comes back with it is not sent on again."""
SHOWN_BODY_BYTES: Final = 16 * 1024
"""What is kept of an answer's body."""

_TIMEOUT_SECONDS: Final = 15.0
_BODY_LIMIT_BYTES: Final = 2**20
_HEAD_LIMIT_BYTES: Final = 16 * 1024
_CONNECTIONS: Final = 16
_LONGEST_URL: Final = 2_000
_LEFT_OUT: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        HOPS_HEADER.lower(),
    }
)


def forward_url(text: str) -> str:
    """A URL that captures can be sent on to.

    Raises:
        ForbiddenTarget: it is none.
    """
    if len(text) > _LONGEST_URL:
        raise ForbiddenTarget(f"{text[:100]!r}… is longer than {_LONGEST_URL} characters")
    try:
        url = webhook_url(text)
    except ValueError as error:
        raise ForbiddenTarget(f"{text[:100]!r} {error}") from None
    if "@" in url.netloc:
        raise ForbiddenTarget(f"{text[:100]!r} names a user; leave the credentials out")
    return text


def hops_of(arrival: Arrival) -> int:
    """How often an inspector has sent this request on before it came."""
    texts = [value for name, value in header_lines(arrival.head) if name.lower() == HOPS_HEADER.lower()]
    return int(texts[0]) if texts and texts[0].isdecimal() and len(texts[0]) < 4 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be sent where."""

    url: str
    arrival: Arrival
    is_replay: bool
    is_own: bool = False
    """Whether it goes to this server itself, which needs nobody's leave."""


class Forwarder:
    """Sends captures on, a few at a time."""

    def __init__(self, guard: Guard, clock: Clock, *, own_url: str) -> None:
        """Set it up.

        Args:
            guard: judges the addresses; what it allows is all that can be reached.
            clock: tells when each was sent.
            own_url: where this server listens; replays to its own inboxes go there.
        """
        self._clock = clock
        self._own_url = own_url
        self._strict = _pool(_Guarded(guard))
        self._own = _pool(None)

    def order(self, arrival: Arrival, inbox_id: str, url: str | None, *, is_replay: bool) -> Order:
        """What sending a capture to `url` means; without one, it goes to its inbox again."""
        if url is None:
            own = self._own_url + inbox_path(inbox_id) + arrival.target
            return Order(url=own, arrival=arrival, is_replay=True, is_own=True)
        is_own = url.startswith(f"{self._own_url}{CAPTURE_PATH}/")
        return Order(url=_joined(url, arrival.target), arrival=arrival, is_replay=is_replay, is_own=is_own)

    async def send(self, order: Order) -> tuple[Forwarded, bytes]:
        """Send it; what came of it, and the answer's body as far as 1 MiB. Never raises for what a network can do."""
        started_at, began = self._clock.now(), perf_counter_ns()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                status, head, body = await self._exchange(order)
        except TimeoutError:
            error = f"gave no whole answer within {_TIMEOUT_SECONDS:g} s"
        except (_Refused, httpcore2.ConnectError) as refused:
            error = str(refused)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as broken:
            error = f"the connection broke before an answer ({str(broken) or type(broken).__name__})"
        except (ValueError, UnicodeError, httpcore2.UnsupportedProtocol) as amiss:
            error = f"it cannot be sent: {amiss}"
        else:
            return _answered(order, started_at, began, status, head, body), body
        return (
            Forwarded(
                url=order.url,
                started_at=started_at,
                duration_us=(perf_counter_ns() - began) // 1_000,
                is_replay=order.is_replay,
                error=error,
            ),
            b"",
        )

    async def close(self) -> None:
        await self._strict.aclose()
        await self._own.aclose()

    async def _exchange(self, order: Order) -> tuple[int, bytes, bytes]:
        pool = self._own if order.is_own else self._strict
        sent = order.arrival
        body = b"" if sent.method == "HEAD" else sent.body
        headers = _headers(sent, body)
        async with pool.stream(sent.method, order.url, headers=headers, content=body or None) as answer:
            parts: list[bytes] = []
            length = 0
            async for part in answer.aiter_stream():
                parts.append(part)
                length += len(part)
                if length > _BODY_LIMIT_BYTES:
                    break
            head = b"".join(b"%b: %b\r\n" % pair for pair in answer.headers)
            return answer.status, head[:_HEAD_LIMIT_BYTES], b"".join(parts)[:_BODY_LIMIT_BYTES]


def _answered(order: Order, started_at: Instant, began: int, status: int, head: bytes, body: bytes) -> Forwarded:
    return Forwarded(
        url=order.url,
        started_at=started_at,
        duration_us=(perf_counter_ns() - began) // 1_000,
        is_replay=order.is_replay,
        status=status,
        head=head,
        body=body[:SHOWN_BODY_BYTES],
        is_cut=len(body) > SHOWN_BODY_BYTES,
    )


def _headers(arrival: Arrival, body: bytes) -> list[tuple[bytes, bytes]]:
    """As they came, but what belongs to the connection."""
    kept = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in header_lines(arrival.head)
        if name.lower() not in _LEFT_OUT
    ]
    kept.append((HOPS_HEADER.encode(), b"%d" % (hops_of(arrival) + 1)))
    if body or arrival.method in {"POST", "PUT", "PATCH"}:
        kept.append((b"Content-Length", b"%d" % len(body)))
    return kept


def _joined(url: str, target: str) -> str:
    """The URL with what stood behind the inbox's id: the rest of the path, then both queries."""
    path, _, query = target.partition("?")
    base, _, own_query = url.partition("?")
    queries = "&".join(each for each in (own_query, query) if each)
    joined = base.rstrip("/") + path if path.strip("/") else base
    return f"{joined}?{queries}" if queries else joined


# ── The socket ──────────────────────────────────────────────────────────────────────────────────


class _Refused(Exception):
    """No connection is made; the message says why."""


class _Guarded(httpcore2.AnyIOBackend):
    """Dials only addresses that the guard has seen, and no name by itself."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
        except gaierror as error:
            raise _Refused(f"the name {host} has no address: {error.strerror}") from None
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        refusal = self._guard.refusal_of_unnamed(host, addresses)
        if refusal is not None:
            raise _Refused(refusal)
        for address in addresses:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                reason = _reason(error)
        raise _Refused(f"{host}:{port} cannot be reached: {reason}")


def _pool(backend: httpcore2.AsyncNetworkBackend | None) -> httpcore2.AsyncConnectionPool:
    return httpcore2.AsyncConnectionPool(max_connections=_CONNECTIONS, keepalive_expiry=5.0, network_backend=backend)


def _reason(error: BaseException) -> str:
    """The system's words at the bottom of a library's error."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno:
            return os.strerror(at.errno).lower()
        at = at.__cause__ or at.__context__
    return str(error) or type(error).__name__
