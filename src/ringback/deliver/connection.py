"""One HTTP/1.1 connection to a receiver: a request at a time, the answer read no further than it must be.

The receiver is not trusted: whatever it sends is bounded in size, and the deadline is the caller's.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Any, Final, cast

import httptools

from ringback.core.delivery import AttemptClass
from ringback.deliver.answer import Answer, NoAnswer
from ringback.deliver.inflating import Undo, undoing

BODY_LIMIT_BYTES: Final = 16 * 1024
_HEAD_LIMIT_BYTES: Final = 64 * 1024
_WHOLE_LIMIT_BYTES: Final = 256 * 1024
"""Head, body, and what stands around the body's pieces and after them."""
_EXCERPT_BYTES: Final = 400
_SHOWN_HEAD_BYTES: Final = 2_048
_NOTED: Final = frozenset({b"retry-after", b"location", b"content-encoding"})


class Connection(asyncio.Protocol):
    """A connected socket and the parser of what comes back.

    `is_open` tells whether another request may be sent on it.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.address: str | None = None
        self.peer_host: str | None = None
        self.first_byte_ns = 0
        """When the answer to the latest request began, by `perf_counter_ns`; 0 if it did not."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer | NoAnswer] | None = None
        self._undo: Undo | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._begin()

    def exchange(self, request: bytes) -> asyncio.Future[Answer | NoAnswer]:
        """Send a request; the future is done with its answer, or with why there is none.

        Whoever stops waiting must `close`.
        """
        assert self._transport is not None
        self._begin()
        self._waiter = self._loop.create_future()
        self._transport.write(request)
        return self._waiter

    @property
    def has_heard(self) -> bool:
        """Whether any byte of an answer has come."""
        return self._heard > 0

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    # ── asyncio ─────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            host, port = peer[:2]
            self.peer_host = host
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.close()  # it speaks unasked
            return
        if not self._heard:
            self.first_byte_ns = perf_counter_ns()
        self._heard += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(NoAnswer(outcome=AttemptClass.RESET, detail=f"answered what is not HTTP/1.1 ({error})"))
            return
        except httptools.HttpParserUpgrade:
            self._answer(keep=False)  # from here on it means to speak another protocol
            return
        if not self._has_head and self._heard > _HEAD_LIMIT_BYTES:
            detail = f"answered with more than {_HEAD_LIMIT_BYTES} bytes of headers"
            self._end(NoAnswer(outcome=AttemptClass.CAP, detail=detail))
        elif self._heard > _WHOLE_LIMIT_BYTES:
            self._answer(keep=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._waiter is None:
            return
        if self._has_head:
            self._answer(keep=False)  # a body that ends with the connection
        else:
            why = f" ({exc})" if exc is not None and str(exc) else ""
            self._end(NoAnswer(outcome=AttemptClass.RESET, detail=f"the connection broke before an answer{why}"))

    # ── httptools ───────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._waiter is None:
            self.close()  # a second answer, in one piece with the first: its rest would pass for the next request's

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if self._head_bytes < _SHOWN_HEAD_BYTES:
            self._head_bytes += len(name) + len(value) + 4
            self._head.append(b"%b: %b" % (name, b"(left out)" if lower == b"set-cookie" else value))
        if lower in _NOTED:
            self._noted[lower] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._has_head = self._parser.get_status_code() >= 200
        self._keeps_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if self._undo is None:
            self._undo = undoing(self._noted.get(b"content-encoding", ""))
        piece = self._undo(body, BODY_LIMIT_BYTES + 1 - self._body_bytes)
        # Both are counted: what came over the wire, and what it stands for.
        self._body_bytes += max(len(body), len(piece))
        if len(self._excerpt) < _EXCERPT_BYTES:
            self._excerpt += piece[: _EXCERPT_BYTES - len(self._excerpt)]
        if self._body_bytes > BODY_LIMIT_BYTES:
            self._answer(keep=False)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._answer(keep=self._keeps_alive)
        else:
            self._head.clear()
            self._head_bytes = 0
            self._noted.clear()  # 100 Continue and its like: the answer is still to come

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    def _begin(self) -> None:
        self._heard = 0
        self._has_head = False
        self._keeps_alive = False
        self._noted: dict[bytes, str] = {}
        self._head: list[bytes] = []
        self._head_bytes = 0
        self.first_byte_ns = 0
        self._excerpt = b""
        self._body_bytes = 0
        self._undo = None

    def _answer(self, *, keep: bool) -> None:
        answer = Answer(
            status=self._parser.get_status_code(),
            retry_after=self._noted.get(b"retry-after"),
            location=self._noted.get(b"location"),
            excerpt=self._excerpt,
            head=b"\r\n".join(self._head)[:_SHOWN_HEAD_BYTES],
        )
        assert self._transport is not None
        # An answer that came before the request was read leaves the rest of it in the way of the next one.
        self._end(answer, keep=keep and self._transport.get_write_buffer_size() == 0)

    def _end(self, result: Answer | NoAnswer, *, keep: bool = False) -> None:
        waiter, self._waiter = self._waiter, None
        if not keep:
            self.close()
        if waiter is not None and not waiter.done():
            waiter.set_result(result)
