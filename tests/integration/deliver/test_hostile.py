"""Receivers that do what no receiver must: each attempt ends in time, says why, and costs nothing for good."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.core.clock import SystemClock
from ringback.core.delivery import AttemptClass, Delivery
from ringback.core.spec import Endpoint, Event
from ringback.deliver.answer import Answer, Exchange, NoAnswer
from ringback.deliver.request import Target
from ringback.deliver.sender import Dialling, Line
from support.receiver import Script, endless, hanging, receiving, resetting, saying

DEADLINE_SECONDS = 0.3
AMPLE_SECONDS = 10.0
"""For those that end sooner by themselves, however slow the machine."""
ENDED_BY_THE_DEADLINE = {"says nothing", "drips within its head", "drips after its head"}
SLACK_SECONDS = 0.5
ROUNDS = 15
MEGABYTE = 1_048_576

HEAD = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(b"x" * 50_000_000)


def dripping(before: bytes, drop: bytes) -> Script:
    """Say something, then one drop after the other for as long as anybody listens."""

    async def run(writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.to_thread(os.sched_yield)
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.02)

    return run


def flooding(raw: bytes, after: bytes = b"") -> Script:
    """The same bytes over and over, as fast as they are taken."""

    async def run(writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        while not writer.is_closing():
            writer.write(raw)
            await writer.drain()

    return run


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

HOSTILE: dict[str, tuple[Script, int | AttemptClass]] = {
    "says nothing": (hanging, AttemptClass.READ_TIMEOUT),
    "drips before its head": (dripping(b"", b"H"), AttemptClass.RESET),
    "drips within its head": (dripping(HEAD + b"X: ", b"y"), AttemptClass.READ_TIMEOUT),
    "drips after its head": (dripping(HEAD + b"Content-Length: 10000\r\n\r\n", b"y"), 200),
    "never ends its body": (endless, 200),
    "sends a bomb": (saying(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB), 200),
    "sends a bomb in a bomb": (
        saying(
            HEAD + b"Content-Encoding: gzip, gzip\r\nConnection: close\r\n\r\n" + gzip.compress(BOMB), then_close=True
        ),
        200,
    ),
    "closes before its head": (saying(b"", then_close=True), AttemptClass.RESET),
    "closes within its head": (saying(HEAD + b"X: y", then_close=True), AttemptClass.RESET),
    "closes within its body": (saying(HEAD + b"Content-Length: 500\r\n\r\ncut", then_close=True), 200),
    "resets after the request": (resetting, AttemptClass.RESET),
    "has a header of 100 KB": (saying(HEAD + b"X: " + b"y" * 100_000), AttemptClass.CAP),
    "has 10,000 headers": (saying(HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(10_000))), AttemptClass.CAP),
    "never stops to continue": (flooding(b"HTTP/1.1 100 Continue\r\n\r\n"), AttemptClass.CAP),
    "never ends its trailer": (flooding(b"y" * 65_536, CHUNKED + b"0\r\nX: "), 200),
    "never ends its trailers": (flooding(b"X: y\r\n" * 10_000, CHUNKED + b"0\r\n"), 200),
    "never begins its piece": (flooding(b"y" * 65_536, CHUNKED + b"5;z="), 200),
    "never ends its status": (flooding(b"y" * 65_536, b"HTTP/1.1 200 "), AttemptClass.CAP),
    "speaks another protocol": (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), AttemptClass.RESET),
    "changes its protocol": (saying(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nelse"), 101),
    "has no status": (saying(b"HTTP/1.1 what ever\r\n\r\n"), AttemptClass.RESET),
    "redirects to the metadata": (
        saying(b"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"),
        307,
    ),
    "is of 1996": (saying(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", then_close=True), 200),
    "counts wrong": (saying(HEAD + b"Content-Length: 1\r\n\r\nmuch more than one"), 200),
}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def attempt(script: Script, deadline_seconds: float) -> tuple[Exchange, float]:
    async with receiving() as receiver:
        receiver.otherwise = script
        target = Target(Endpoint(key="hook", url=receiver.url, timeout_seconds=deadline_seconds))
        clock = SystemClock()
        delivery = Delivery(
            seq=1,
            endpoint="hook",
            message_id="msg_1",
            event=Event.COMPLETED,
            api="iris",
            workload_id="w1",
            body=b"{}",
            tries=0,
            trace_id=None,
            created_at=clock.now(),
        )
        line = Line(target, Dialling())
        began = clock.elapsed()
        exchange = await line.send(target.request(delivery, clock.now()))
        seconds = (clock.elapsed() - began) / 1e6
        line.close()
    return exchange, seconds


@pytest.mark.parametrize("name", HOSTILE)
async def test_the_attempt_ends_in_time_and_says_why(name: str) -> None:
    script, expected = HOSTILE[name]
    if name in ENDED_BY_THE_DEADLINE:
        exchange, seconds = await attempt(script, DEADLINE_SECONDS)
        assert seconds < DEADLINE_SECONDS + SLACK_SECONDS
    else:
        exchange, seconds = await attempt(script, AMPLE_SECONDS)
        assert seconds < AMPLE_SECONDS
    if isinstance(expected, int):
        assert isinstance(exchange.result, Answer)
        assert exchange.result.status == expected
        assert exchange.result.sentence()
        assert len(exchange.result.excerpt) <= 400
    else:
        assert isinstance(exchange.result, NoAnswer)
        assert exchange.result.outcome is expected
        assert exchange.result.detail


async def test_none_of_them_costs_memory_for_good(say: Callable[[str], None]) -> None:
    quick = [script for name, (script, _) in HOSTILE.items() if name not in ENDED_BY_THE_DEADLINE]
    for script in quick:
        await attempt(script, AMPLE_SECONDS)
    gc.collect()
    before = resident_bytes()
    for _ in range(ROUNDS):
        for script in quick:
            await attempt(script, AMPLE_SECONDS)
    gc.collect()
    grown = (resident_bytes() - before) / MEGABYTE
    say(f"{ROUNDS * len(quick)} hostile answers: resident memory grew by {grown:.1f} MB")
    assert grown < 5
