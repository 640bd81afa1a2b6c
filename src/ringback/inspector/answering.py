"""Plays a step of an inbox's script to a sender: answers, or misbehaves in one of the ways that receivers do.

Every way ends: with the sender, with its own limit, or with the server. None of it is imitated: a reset is an RST on
the socket, a drip is bytes with pauses between them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import perf_counter_ns
from types import TracebackType
from typing import Final, Self

from ringback.core.inbox import Answered, Forwarded, header_lines
from ringback.core.script import LONGEST_SECONDS, Act, Step
from ringback.inspector.wire import Receive, Send, Wire

MOST_HELD: Final = 500
"""Senders kept waiting at one time, over all inboxes; one more is let go at once."""

_PIECE: Final = b"x" * 4_096
_PIECE_SECONDS: Final = 0.02
_ENDLESS_BYTES: Final = 32 * 2**20
_DRIP_SECONDS: Final = 0.25
_FLUSH_SECONDS: Final = 0.1
"""For the head of an answer to be read before a reset throws away what has not been."""
_LEAVE_SECONDS: Final = 2.0
_NO_BODY: Final = frozenset({204, 304})
_LEFT: Final = "the sender left"
_STOPPED: Final = "the server was stopped"
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "set-cookie",
    }
)
SAFE_HEADERS: Final = (
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
"""What every answer of an inbox carries: whatever its script says, a browser runs nothing of it on this origin."""
_SAFE_NAMES: Final = frozenset(name.decode() for name, _ in SAFE_HEADERS)

Headers = Sequence[tuple[bytes, bytes]]
Forward = Callable[[], Awaitable[Forwarded | None]]
"""Sends the captured request on; None when the inbox has nowhere to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of one captured request, still on the line."""

    number: int
    """Of its capture."""
    receive: Receive
    send: Send
    wire: Wire | None
    forward: Forward
    must_close: bool = False
    """Whether its connection is of no use for another request."""


@dataclass(slots=True, kw_only=True)
class Answering:
    """Plays steps. `close` lets everybody go who is being kept waiting."""

    held: int = 0
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self) -> None:
        self._closing.set()

    async def play(self, step: Step, caller: Caller) -> Answered | None:
        """Do to the caller what the step says.

        Returns:
            What is to be written down of it; None when it was answered at once, as the capture says already.
        """
        if step.act is Act.ANSWER and not step.delay_seconds:
            await _answer(step, caller)
            return None
        began = perf_counter_ns()
        if self._closing.is_set():
            _end(caller)
            outcome = Answered(act=step.act, detail=_STOPPED)
        elif self.held >= MOST_HELD:
            _end(caller)
            outcome = Answered(act=step.act, detail=f"let go at once: {self.held} senders are being kept waiting")
        else:
            self.held += 1
            try:
                async with _Line(caller, self._closing) as line:
                    outcome = await _in_time(step, line)
            finally:
                self.held -= 1
        return replace(outcome, duration_us=(perf_counter_ns() - began) // 1_000)


class _Line:
    """A caller who is kept waiting: pauses end early when it leaves."""

    def __init__(self, caller: Caller, closing: asyncio.Event) -> None:
        self.caller = caller
        self._closing = asyncio.ensure_future(closing.wait())
        self._leaving = asyncio.ensure_future(self._watch())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for task in (self._leaving, self._closing):
            task.cancel()
        await asyncio.gather(self._leaving, self._closing, return_exceptions=True)

    @property
    def is_over(self) -> bool:
        return self._leaving.done() or self._closing.done()

    @property
    def words(self) -> str | None:
        """How it ended, if that was not our doing."""
        if self._leaving.done():
            return _LEFT
        return _STOPPED if self._closing.done() else None

    async def pause(self, seconds: float) -> bool:
        """Wait; whether the caller is still there."""
        await asyncio.wait({self._leaving, self._closing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return not self.is_over

    async def hang_up(self, *, with_reset: bool = False) -> None:
        """End the connection, and wait until it is."""
        _end(self.caller, with_reset=with_reset)
        if self.caller.wire is not None:
            await asyncio.wait({self._leaving}, timeout=_LEAVE_SECONDS)

    async def _watch(self) -> None:
        while (await self.caller.receive())["type"] != "http.disconnect":
            pass


async def _in_time(step: Step, line: _Line) -> Answered:
    if step.delay_seconds and not await line.pause(step.delay_seconds):
        await line.hang_up()
        return Answered(act=step.act, detail=f"{line.words} before it was answered")
    return await _slowly(step, line)


async def _slowly(step: Step, line: _Line) -> Answered:
    match step.act:
        case Act.ANSWER:
            await _answer(step, line.caller)
            return Answered(act=step.act, status=step.status)
        case Act.RELAY:
            return await _relay(line)
        case Act.HANG | Act.HANG_AFTER_HEADERS:
            return await _hang(step, line)
        case Act.RESET | Act.RESET_AFTER_HEADERS:
            return await _reset(step, line)
        case Act.DRIP:
            return await _drip(step, line)
        case Act.ENDLESS:
            return await _babble(step, line)


# ── Ways to answer ──────────────────────────────────────────────────────────────────────────────


async def _answer(step: Step, caller: Caller) -> None:
    body, kind = _body_of(step, caller.number)
    await _send_whole(caller, step.status, _headers_of(step, kind), body)


async def _send_whole(caller: Caller, status: int, headers: Headers, body: bytes) -> None:
    told = list(headers)
    if status in _NO_BODY:
        body = b""
    else:
        told.append((b"content-length", b"%d" % len(body)))
    if caller.must_close:
        told.append((b"connection", b"close"))
    await caller.send({"type": "http.response.start", "status": status, "headers": told})
    await caller.send({"type": "http.response.body", "body": body})


async def _begin(step: Step, caller: Caller) -> None:
    """The head of an answer that promises a body."""
    body, kind = _body_of(step, caller.number)
    headers = [*_headers_of(step, kind), (b"content-length", b"%d" % max(len(body), 1_000))]
    await caller.send({"type": "http.response.start", "status": step.status, "headers": headers})


async def _hang(step: Step, line: _Line) -> Answered:
    """Nothing, or the head of an answer and then nothing."""
    if step.act is Act.HANG_AFTER_HEADERS:
        await _begin(step, line.caller)
    await line.pause(LONGEST_SECONDS)
    detail = line.words or f"it stayed for {LONGEST_SECONDS:g} s, and was let go"
    await line.hang_up()
    return Answered(act=step.act, status=step.status if step.act.has_status else None, detail=detail)


async def _reset(step: Step, line: _Line) -> Answered:
    """An RST, at once or after the head of an answer."""
    if step.act is Act.RESET_AFTER_HEADERS:
        await _begin(step, line.caller)
        await line.pause(_FLUSH_SECONDS)
    detail = None if line.caller.wire else "this server cannot reset connections; it ended without an answer"
    await line.hang_up(with_reset=True)
    return Answered(act=step.act, status=step.status if step.act.has_status else None, detail=detail)


async def _drip(step: Step, line: _Line) -> Answered:
    """The body, so many bytes a second, until it is out or time is."""
    body, kind = _body_of(step, line.caller.number)
    headers = [*_headers_of(step, kind), (b"content-length", b"%d" % len(body))]
    await line.caller.send({"type": "http.response.start", "status": step.status, "headers": headers})
    loop = asyncio.get_running_loop()
    began = loop.time()
    at = 0
    while at < len(body):
        if loop.time() - began > LONGEST_SECONDS or not await line.pause(_DRIP_SECONDS):
            await line.hang_up()
            detail = f"{line.words or 'time was up'} after {at} of {len(body)} bytes"
            return Answered(act=step.act, status=step.status, detail=detail)
        upto = min(len(body), max(at + 1, int((loop.time() - began) * step.bytes_per_second)))
        await line.caller.send({"type": "http.response.body", "body": body[at:upto], "more_body": upto < len(body)})
        at = upto
    return Answered(act=step.act, status=step.status)


async def _babble(step: Step, line: _Line) -> Answered:
    """A body without an end, until the sender has had enough of it, or we have."""
    body, kind = _body_of(step, line.caller.number)
    piece = (body * (1 + len(_PIECE) // max(1, len(body))))[: len(_PIECE)] if step.body else _PIECE
    await line.caller.send(
        {"type": "http.response.start", "status": step.status, "headers": list(_headers_of(step, kind))}
    )
    sent = 0
    while sent < _ENDLESS_BYTES and await line.pause(_PIECE_SECONDS):
        await line.caller.send({"type": "http.response.body", "body": piece, "more_body": True})
        sent += len(piece)
    detail = f"{line.words or 'it went on listening, and was let go'} after {sent} bytes"
    await line.hang_up()
    return Answered(act=step.act, status=step.status, detail=detail)


async def _relay(line: _Line) -> Answered:
    """What the forward URL answers, or 502 and why it did not."""
    forwarded = await line.caller.forward()
    if forwarded is None or forwarded.status is None:
        why = "the inbox has no forward URL" if forwarded is None else forwarded.error or "it did not answer"
        body = json.dumps({"error": why}).encode()
        headers = [(b"content-type", b"application/json"), *SAFE_HEADERS]
        await _send_whole(line.caller, 502, headers, body)
        return Answered(act=Act.RELAY, status=502, detail=why)
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in header_lines(forwarded.head)
        if name.lower() not in _HOP_BY_HOP | _SAFE_NAMES
    ]
    await _send_whole(line.caller, forwarded.status, [*headers, *SAFE_HEADERS], forwarded.body)
    return Answered(act=Act.RELAY, status=forwarded.status)


def _end(caller: Caller, *, with_reset: bool = False) -> None:
    if caller.wire is None:
        return
    if with_reset:
        caller.wire.reset()
    else:
        caller.wire.close()


@lru_cache(maxsize=256)
def _headers_of(step: Step, kind: str) -> tuple[tuple[bytes, bytes], ...]:
    written = {name.lower() for name, _ in step.headers}
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in step.headers]
    if "content-type" not in written and step.status not in _NO_BODY:
        headers.append((b"content-type", kind.encode()))
    return (*((name, value) for name, value in headers if name.decode() not in _SAFE_NAMES), *SAFE_HEADERS)


def _body_of(step: Step, number: int) -> tuple[bytes, str]:
    """The body and its content type."""
    return (b'{"captured": %d}\n' % number, "application/json") if step.body is None else _body_from(step.body)


@lru_cache(maxsize=64)
def _body_from(text: str) -> tuple[bytes, str]:
    """A script's body and its content type."""
    body = text.encode("utf-8", "replace")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return body, "text/plain; charset=utf-8"
    return body, "application/json"
