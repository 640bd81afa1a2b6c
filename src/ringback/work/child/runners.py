"""Three ways to run workloads: one after the other on the main thread, on threads, or as tasks of one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any, TypeVar

from .calling import Call, canceled
from .capture import Capture
from .channel import Channel
from .wire import Kind, Work, numbered_frame, read_work, with_file

T = TypeVar("T")


def run_one_by_one(channel: Channel, call: Call, capture: Capture) -> None:
    """On the main thread, where libraries that mind such things want to be; in the order of arrival."""
    with Awaiting(channel) as run_async:
        while (work := _next(channel)) is not None:
            if channel.is_dropped(work.number):
                channel.send(canceled(work))
            elif channel.is_wanted_back(work.number):
                channel.send(numbered_frame(Kind.RETURNED, work.number))
            else:
                capture.begin(work)
                answer = call.run(work, run_async)
                said = capture.end(work)
                channel.send(said + answer if said else answer)
            channel.forget(work.number)


def run_on_threads(channel: Channel, call: Call, capture: Capture, concurrency: int) -> None:
    """Up to `concurrency` at once; the parent never sends more."""
    channel.looks_ahead = False

    def run_async(number: int, awaited: Awaitable[Any]) -> Any:
        return asyncio.run(_heeded(channel, number, awaited))

    def run(work: Work) -> None:
        with capture.speaking(work):
            answer = call.run(work, run_async)
        channel.send(capture.last(work) + answer)
        channel.forget(work.number)

    with ThreadPoolExecutor(concurrency, thread_name_prefix="predict") as threads:
        while (work := _next(channel)) is not None:
            threads.submit(run, work)
        _vanish()


def run_as_tasks(channel: Channel, call: Call, capture: Capture) -> None:
    """All of them on one event loop; a thread of its own reads, so that the loop never waits for the socket."""
    channel.looks_ahead = False

    async def run(work: Work) -> None:
        with capture.speaking(work):
            answer = await _heeded(channel, work.number, call.run_task(work))
        channel.send(capture.last(work) + answer)
        channel.forget(work.number)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        def begin(work: Work) -> None:
            task = loop.create_task(run(work))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def read() -> None:
            while (work := _next(channel)) is not None:
                loop.call_soon_threadsafe(begin, work)
            _vanish()

        Thread(target=read, name="read", daemon=True).start()
        await asyncio.Event().wait()

    with asyncio.Runner() as runner:
        runner.run(serve())


class Awaiting:
    """One event loop for all coroutines of a replica, so that what they open stays usable; it hears of cancels."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._runner = asyncio.Runner()
        self._hears = False

    def __enter__(self) -> Awaiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def __call__(self, number: int, awaited: Awaitable[Any]) -> Any:
        """What a workload awaits, once it is there."""
        if not self._hears:
            self._hears = True
            self._runner.get_loop().add_reader(self._channel.fileno(), self._hear)
        return self._runner.run(_heeded(self._channel, number, awaited))

    def _hear(self) -> None:
        if not self._channel.look():
            self._runner.get_loop().remove_reader(self._channel.fileno())


async def _heeded(channel: Channel, number: int, awaited: Awaitable[T]) -> T:
    """Await, and be cancelled when the workload is to end."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def cancel() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: it is over
            loop.call_soon_threadsafe(task.cancel)

    with channel.heeding(number, cancel):
        return await awaited


def _next(channel: Channel) -> Work | None:
    said: bytes | None = None
    while (received := channel.receive()) is not None:
        kind, body = received
        if kind is Kind.WORK:
            work = read_work(body)
            return work if said is None else with_file(work, said)
        if kind is Kind.FILE:
            said = body
    return None


def _vanish() -> None:
    # The parent has gone: nobody is left to tell, and threads of the user's may never end.
    os._exit(0)
