"""Waiting for facts: the one place in the tests where time passes. Every wait ends, and says what it saw."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

Seen = TypeVar("Seen")

_POLL_SECONDS = 0.01


def pause(seconds: float) -> None:
    """Let the system under test run for a while. Only for what has no fact to wait for, such as a random moment."""
    threading.Event().wait(seconds)


def until(look: Callable[[], Seen], *, within: float, wanted: str) -> Seen:
    """What `look` returned once it was true; fails the test with the last thing seen when it never is."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {within:g} s: {wanted}; last seen: {seen!r}")
        pause(_POLL_SECONDS)


async def turned(look: Callable[[], Awaitable[object]], *, wanted: str, turns: int = 100_000) -> None:
    """Let the loop turn until `look` says yes; for what happens in this process."""
    for _ in range(turns):
        if await look():
            return
        await asyncio.sleep(0)
    pytest.fail(f"not within {turns} turns of the loop: {wanted}")


async def eventually(look: Callable[[], object], *, within: float = 10.0) -> None:
    """Let the loop run until `look`, or what it returns when awaited, is true."""
    async with asyncio.timeout(within):
        while True:
            seen = look()
            if inspect.isawaitable(seen):
                seen = await seen
            if seen:
                return
            await asyncio.to_thread(os.sched_yield)
