"""Three ways to run workloads: one after the other on the main thread, on threads, or as tasks of one event loop."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

from .calling import Call, new_runner
from .capture import Capture
from .channel import Channel
from .wire import Kind, Work, read_work, with_file


def run_one_by_one(channel: Channel, call: Call, capture: Capture) -> None:
    """On the main thread, where libraries that mind such things want to be; in the order of arrival."""
    with new_runner() as runner:
        while (work := _next(channel)) is not None:
            if not channel.cancelled(work.number):
                capture.begin(work)
                answer = call.run(work, runner.run)  # type: ignore[arg-type]
                said = capture.end(work)
                channel.send(said + answer if said else answer)
            channel.forget(work.number)


def run_on_threads(channel: Channel, call: Call, capture: Capture, concurrency: int) -> None:
    """Up to `concurrency` at once; the parent never sends more."""
    channel.looks_ahead = False

    def run(work: Work) -> None:
        with capture.speaking(work):
            answer = call.run(work, asyncio.run)  # type: ignore[arg-type]
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
            answer = await call.run_task(work)
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

    with new_runner() as runner:
        runner.run(serve())


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
