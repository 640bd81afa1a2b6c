"""Deliveries alone: a ready backlog sent as fast as it goes, and healthy endpoints beside one that hangs.

`python -m benchmarks.delivery`. Two processes: the receivers, and this one, which fills a store, sends what is in
it, and reads the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import orjson
import uvloop

from benchmarks.processes import resident_mb
from ringback.cli.traffic import Hook
from ringback.core.clock import SystemClock
from ringback.core.emit import Emit, silent
from ringback.core.spec import Endpoint
from ringback.core.workload import Completed, Submission
from ringback.deliver import Dialling, Dispatcher
from ringback.runtime.tuning import tune
from ringback.store.sqlite import SqliteStore, open_sqlite

SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
RESULT: Final = b'{"label":"setosa","probabilities":{"setosa":0.9684,"versicolor":0.0316,"virginica":0.0}}'
API: Final = "bench"

_FILL: Final = 2_000
_HANG_BACKLOG: Final = 10_000
_HEALTHY: Final = 50
_RATE: Final = 500.0
_DEADLINE_SECONDS: Final = 15.0
_LEASE_SECONDS: Final = 3_600.0
"""Nobody renews it here, and without one nothing is sent."""


# ── The receivers ───────────────────────────────────────────────────────────────────────────────


class Silent(Hook):
    """Takes webhooks, and never answers."""

    def on_message_complete(self) -> None:
        pass


async def receive(count: int) -> None:
    """Listen on `count` ports and on one that hangs, tell them, and tell on request what has arrived."""
    loop = asyncio.get_running_loop()
    arrived: dict[str, float] = {}

    def note(workload_id: str) -> None:
        arrived.setdefault(workload_id, time.time())

    servers = [await loop.create_server(partial(kind, note), "127.0.0.1", 0) for kind in [Hook] * count + [Silent]]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(orjson.dumps(arrived).decode(), flush=True)


class Receivers:
    """The receivers' process, from outside."""

    def __init__(self, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.delivery", "--receive", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        *self.ports, self.hanging = json.loads(self._process.stdout.readline())

    def arrived(self) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told: dict[str, float] = json.loads(self._process.stdout.readline())
        return told

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


# ── The dispatcher ──────────────────────────────────────────────────────────────────────────────


def endpoint(key: str, port: int) -> Endpoint:
    return Endpoint(
        key=key, url=f"http://127.0.0.1:{port}/", secret=SECRET, timeout_seconds=_DEADLINE_SECONDS, concurrency=8
    )


class Settled:
    """Hears of deliveries that the store has as settled."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.all = asyncio.Event()

    def __call__(self, fact: str, /, **details: object) -> None:  # noqa: ARG002 - the protocol's
        if fact == "delivery.settled":
            self._left -= 1
            if not self._left:
                self.all.set()


@contextlib.asynccontextmanager
async def dispatching(store: SqliteStore, endpoints: Sequence[Endpoint], emit: Emit = silent) -> AsyncIterator[None]:
    tune()
    dispatcher = Dispatcher(
        store, {each.key: each for each in endpoints}, emit, chance=random.random, dialling=Dialling()
    )
    await dispatcher.start()
    try:
        yield
    finally:
        await dispatcher.stop(0.0)


async def finish(store: SqliteStore, count: int, hooks: Sequence[Endpoint]) -> None:
    """End `count` workloads, each with a delivery to one of the endpoints in turn."""
    await asyncio.gather(
        *(store.submit(Submission(api=API, payload=b"{}", content_type="application/json")) for _ in range(count))
    )
    claimed, _ = await store.claim(API, count)
    done = Completed(result=RESULT)
    await asyncio.gather(
        *(store.finish(each.held, done, [hooks[number % len(hooks)]]) for number, each in enumerate(claimed))
    )


# ── A ready backlog ─────────────────────────────────────────────────────────────────────────────


async def fill(path: Path, count: int, hooks: Sequence[Endpoint]) -> None:
    store = await open_sqlite(path, clock=SystemClock(), lease_seconds=_LEASE_SECONDS)
    for begun in range(0, count, _FILL):
        await finish(store, min(_FILL, count - begun), hooks)
    await store.close()


async def drain(path: Path, count: int, hooks: Sequence[Endpoint]) -> dict[str, float]:
    """Send all there is, until the store has the last of it; seconds and megabytes."""
    before = resident_mb([own_pid()])
    began, began_at = perf_counter(), time.time()
    store = await open_sqlite(path, clock=SystemClock(), lease_seconds=_LEASE_SECONDS)
    most = before
    settled = Settled(count)
    async with dispatching(store, hooks, settled):
        while not settled.all.is_set():
            most = max(most, resident_mb([own_pid()]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(settled.all.wait(), 0.25)
    seconds = perf_counter() - began
    pending = sum(each.pending for each in (await store.backlogs()).values())
    assert not pending, f"{pending} are still to be sent"
    await store.close()
    return {"seconds": seconds, "began_at": began_at, "before_mb": before, "most_mb": most}


def own_pid() -> int:
    return int(Path("/proc/self").resolve().name)


def backlog(count: int, endpoints: int) -> None:
    receivers = Receivers(endpoints)
    hooks = [endpoint(f"e{number}", port) for number, port in enumerate(receivers.ports)]
    try:
        with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
            path = Path(folder) / "ringback.db"
            uvloop.run(fill(path, count, hooks))
            figures = uvloop.run(drain(path, count, hooks))
        arrived = receivers.arrived()
    finally:
        receivers.close()
    rate = count / figures["seconds"]
    first = min(arrived.values()) - figures["began_at"]
    print(
        f"backlog of {count:,} to {endpoints} endpoints: {rate:,.0f} deliveries/s, {count - len(arrived)} lost, "
        f"first after {first:.2f} s, RSS {figures['before_mb']:.0f} MB before and {figures['most_mb']:.0f} MB at most"
    )


# ── One that hangs ──────────────────────────────────────────────────────────────────────────────


async def steady(path: Path, seconds: float, healthy: Sequence[Endpoint], hanging: Endpoint | None) -> dict[str, float]:
    """A steady rate to the healthy endpoints; the moment each workload ended, by its id."""
    store = await open_sqlite(path, clock=SystemClock(), lease_seconds=_LEASE_SECONDS)
    ended: dict[str, float] = {}
    if hanging is not None:
        for _ in range(_HANG_BACKLOG // _FILL):
            await finish(store, _FILL, [hanging])
    async with dispatching(store, [*healthy, *([hanging] if hanging is not None else [])]):
        began = perf_counter()
        for number in range(round(seconds * _RATE)):
            await asyncio.sleep(max(0.0, began + number / _RATE - perf_counter()))
            await store.submit(Submission(api=API, payload=b"{}", content_type="application/json"))
            [claimed], _ = await store.claim(API, 1)
            ended[claimed.held.id] = time.time()
            await store.finish(claimed.held, Completed(result=RESULT), [healthy[number % len(healthy)]])
        await asyncio.sleep(0.5)
    await store.close()
    return ended


def isolation(seconds: float) -> None:
    p99, rates = [], []
    for with_bad in (False, True):
        receivers = Receivers(_HEALTHY)
        healthy = [endpoint(f"e{number}", port) for number, port in enumerate(receivers.ports)]
        bad = endpoint("hangs", receivers.hanging) if with_bad else None
        try:
            with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
                ended = uvloop.run(steady(Path(folder) / "ringback.db", seconds, healthy, bad))
            arrived = receivers.arrived()
        finally:
            receivers.close()
        waits = sorted((arrived[each] - at) * 1_000 for each, at in ended.items() if each in arrived)
        span = max(ended.values()) - min(ended.values())
        p99.append(waits[int(len(waits) * 0.99)])
        rates.append(len(waits) / span)
        beside = " beside one that hangs" if with_bad else ""
        print(
            f"{_HEALTHY} healthy endpoints{beside}: {rates[-1]:,.0f} deliveries/s, {len(ended) - len(waits)} lost, "
            f"from end to arrival p50 {waits[len(waits) // 2]:.2f} ms, p99 {p99[-1]:.2f} ms"
        )
    print(f"beside it: p99 {p99[1] / p99[0]:.2f} times, rate {rates[1] / rates[0] * 100:.1f} %")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--receive", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--backlog", type=int, default=100_000, help="deliveries that stand ready")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each steady run")
    options = parser.parse_args(arguments)
    if options.receive is not None:
        uvloop.run(receive(options.receive))
        return 0
    backlog(options.backlog, 20)
    isolation(options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
