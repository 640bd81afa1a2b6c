"""Lets the verbs, which read as plain functions, await a driver: each runs in a greenlet of the loop's own thread.

What a verb touches besides the database, the meeting, the outlet, the ids, stays on the loop and needs no lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


async def run(function: Callable[[], T]) -> T:
    """What `function` returns, which may call `wait` wherever it likes."""
    inner = greenlet(function)
    told: Any = inner.switch()
    while not inner.dead:
        try:
            answer = await told
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits inside
            told = inner.throw(error)
        else:
            told = inner.switch(answer)
    returned: T = told
    return returned


def wait(what: Awaitable[T]) -> T:
    """The awaited value, from inside a function that is under `run`."""
    outer = getcurrent().parent
    assert outer is not None
    answer: T = outer.switch(what)
    return answer
