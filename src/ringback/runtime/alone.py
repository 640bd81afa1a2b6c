"""A server for the length of a block, in a thread: no APIs, an inspector, a store that is gone with it.

What `ringback listen` falls back on where no server runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from ringback.core.clock import SystemClock
from ringback.core.settings import read_settings
from ringback.runtime.facts import Facts
from ringback.runtime.house import House, Plan
from ringback.runtime.http import http_server, listen, url_of
from ringback.runtime.metrics import Metrics
from ringback.runtime.serve import plan_of
from ringback.runtime.specfile import SpecFile

_START_SECONDS = 30.0


@contextlib.contextmanager
def inspector_alone(port: int) -> Iterator[str]:
    """The URL of an inspector on loopback, which ends with the block.

    Raises:
        RingbackError: the port cannot be had.
    """
    with TemporaryDirectory(prefix="ringback-listen-") as folder, listen("127.0.0.1", port) as listener:
        own_url = url_of(listener)
        nothing = SpecFile(file=Path(folder) / "ringback.yaml", apis=(), warnings=())
        settings = read_settings({"inspector": "on", "grace": "1s"}, {})
        plan = replace(plan_of(nothing, settings, SystemClock()), public_url=own_url, own_url=own_url)
        up: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        def run() -> None:
            try:
                uvloop.run(_serve(plan, listener, up))
            except BaseException as error:
                if up.done():
                    raise
                up.set_exception(error)

        thread = threading.Thread(target=run, name="ringback-listen")
        thread.start()
        try:
            up.result(_START_SECONDS)
            yield own_url
        finally:
            if up.done() and up.exception() is None:
                loop, stop = up.result()
                with contextlib.suppress(RuntimeError):  # it has ended already
                    loop.call_soon_threadsafe(stop.set)
            thread.join(_START_SECONDS)


async def _serve(
    plan: Plan, listener: socket.socket, up: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
) -> None:
    facts, stop = Facts(), asyncio.Event()
    house = await House.open(plan, facts, Metrics(facts))
    await house.start()
    http = http_server(house.app, is_inspected=True)
    answering = asyncio.create_task(http.serve(sockets=[listener]))
    up.set_result((asyncio.get_running_loop(), stop))
    await house.live(stop)
    await house.drain()
    http.should_exit = True
    await answering
    await house.close()
