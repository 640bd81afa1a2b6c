"""The inspector under a flood: 2,000 captures a second for ten seconds, with its page open in a browser.

`python -m benchmarks.inspector`. Three processes: the server, the senders, and Chromium where there is one
(`--group browser`). Says what was lost, how long anybody waited, and what it cost. Then what it costs those who do
not use it: the same submits to a server with it and to one without, by turns, in CPU time of the server's process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import httptools
import uvloop

from benchmarks.processes import cpu_seconds, family, free_port, resident_mb, running, wait_until_answers

_PREDICTOR: Final = "class PythonPredictor:\n    def __init__(self, config): ...\n    def predict(self, payload): ...\n"
_FILE: Final = [{"name": "idle", "kind": "AsyncAPI", "predictor": {"type": "python", "path": "predictor.py"}}]
_BODY: Final = json.dumps({"id": "01a2141b", "status": "completed", "result": {"label": "setosa", "n": [1, 2] * 40}})
_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
_ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
_IDLE_ROUNDS: Final = 6
_IDLE_SUBMITS: Final = 2_000
_IDLE_RATE: Final = 1_000
_WATCH: Final = """() => { window.long = []; new PerformanceObserver((list) => {
    for (const each of list.getEntries()) window.long.push(each.duration); }).observe({ type: 'longtask' }); }"""


class Sender(asyncio.Protocol):
    """One connection: a request at a time, and how long its answer took."""

    def __init__(self, waits: list[float]) -> None:
        self._waits = waits
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._sent = 0.0
        self.free = asyncio.Event()
        self.statuses: dict[int, int] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.free.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._waits.append(perf_counter() - self._sent)
        self.free.set()

    def send(self, request: bytes) -> None:
        self.free.clear()
        self._sent = perf_counter()
        self._transport.write(request)


async def flood(url: str, rate: int, seconds: float, connections: int) -> dict[str, Any]:
    """Send at a steady rate, whatever the answers do, as far as the connections go."""
    host, port = url.split("/")[2].split(":")
    path = "/" + url.split("/", 3)[3]
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    senders = [(await loop.create_connection(lambda: Sender(waits), host, int(port)))[1] for _ in range(connections)]
    total = int(rate * seconds)
    began = perf_counter()
    body = _BODY.encode()

    async def run(place: int) -> None:
        sender = senders[place]
        for number in range(place, total, connections):
            due = began + number / rate
            if (wait := due - perf_counter()) > 0:
                await asyncio.sleep(wait)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
                f"webhook-id: msg_{number:08d}\r\nwebhook-timestamp: {int(time.time())}\r\n"
                f"webhook-signature: v1,{'A' * 43}=\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            sender.send(head.encode() + body)
            await sender.free.wait()

    await asyncio.gather(*map(run, range(connections)))
    took = perf_counter() - began
    waits.sort()
    statuses: dict[int, int] = {}
    for sender in senders:
        for status, count in sender.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return {
        "sent": total,
        "took": took,
        "statuses": statuses,
        "p50_ms": waits[len(waits) // 2] * 1_000,
        "p99_ms": waits[int(len(waits) * 0.99)] * 1_000,
        "max_ms": waits[-1] * 1_000,
    }


@contextlib.contextmanager
def page_open(url: str, tasks: list[float], shown: list[str]) -> Iterator[bool]:
    """A browser that looks at the inbox; its long tasks, in milliseconds, are left in `tasks`."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of another group of packages
    except ImportError:
        yield False
        return
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        yield False
        return
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        page = browser.new_page()
        page.goto(url)
        page.get_by_text("live", exact=True).wait_for()
        page.evaluate(_WATCH)
        yield True
        page.wait_for_timeout(2_000)
        tasks += page.evaluate("() => window.long")
        shown.append(page.locator("[data-count=captured]").inner_text())
        browser.close()


class Memory:
    """The most memory some processes have had while it was watched."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._done = threading.Event()
        self.most_mb = 0.0
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self.most_mb = max(self.most_mb, resident_mb(self._pids))


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=30) as answer:
        return json.loads(answer.read())


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspector")
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--keep", type=int, default=20_000)
    parser.add_argument("--secret", action="store_true", help="judge each capture that the page shows")
    parser.add_argument("--no-page", action="store_true", help="open no page")
    parser.add_argument("--only", choices=("flood", "idle"), help="the flood, or what it costs while nobody captures")
    parser.add_argument("--flood", metavar="URL", help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    if told.flood:
        print(json.dumps(uvloop.run(flood(told.flood, told.rate, told.seconds, told.connections))))
        return 0
    if told.only != "idle":
        with serving() as (base, pid):
            measure(base, pid, told)
    if told.only != "flood":
        with serving("--inspector") as there, serving("--no-inspector") as not_there:
            weigh(there, not_there)
    return 0


@contextlib.contextmanager
def serving(*options: str) -> Iterator[tuple[str, int]]:
    """A server with an idle API, in a folder of its own: its URL and its process."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "predictor.py").write_text(_PREDICTOR)
        (folder / "ringback.yaml").write_text(json.dumps(_FILE))
        command = [str(Path(sys.executable).with_name("ringback")), "serve", "--port", str(port), *options]
        base = f"http://127.0.0.1:{port}"
        with running(command, folder=folder) as process:
            wait_until_answers(f"{base}/readyz", process, folder)
            yield base, process.pid


def weigh(there: tuple[str, int], not_there: tuple[str, int]) -> None:
    """Print what a workload costs two servers that differ in the inspector alone: submitted, run, finished."""
    costs: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(_IDLE_ROUNDS):
        for name, (base, pid) in (("with", there), ("without", not_there)):
            before = cpu_seconds([pid])
            flooded(f"{base}/idle", _IDLE_RATE, _IDLE_SUBMITS / _IDLE_RATE, 16)
            costs[name].append((cpu_seconds([pid]) - before) / _IDLE_SUBMITS * 1e6)
    own, bare = (statistics.median(costs[name][1:]) for name in ("with", "without"))  # each first round warms up
    print(f"a workload      {own:.0f} µs of CPU with the inspector, {bare:.0f} µs without: {own / bare:.2f} times")


def flooded(url: str, rate: int, seconds: float, connections: int) -> dict[str, Any]:
    """Send so many requests from another process; the figures."""
    command = [sys.executable, "-m", "benchmarks.inspector", "--flood", url, "--rate", str(rate)]
    command += ["--seconds", str(seconds), "--connections", str(connections)]
    figures: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return figures


def measure(base: str, pid: int, told: argparse.Namespace) -> None:
    wanted = {"keep": told.keep, **({"secret": _SECRET} if told.secret else {})}
    box = ask(f"{base}/-/inspector", wanted)
    pids = family(pid)
    before = resident_mb(pids)
    tasks: list[float] = []
    shown: list[str] = []
    page = contextlib.nullcontext(False) if told.no_page else page_open(f"{base}/-/inspector/{box['id']}", tasks, shown)
    with page as has_page, Memory(pids) as memory:
        spent = cpu_seconds(pids)
        figures = flooded(box["url"], told.rate, told.seconds, told.connections)
        spent = cpu_seconds(pids) - spent
    after = ask(f"{base}/-/inspector/{box['id']}?limit=1")["inbox"]
    print(
        f"sent            {figures['sent']:,} in {figures['took']:.1f} s ({figures['sent'] / figures['took']:,.0f}/s)"
    )
    print(f"answered        {figures['statuses']}")
    print(f"captured        {after['captured']:,}, kept {after['kept']:,} of {told.keep:,} at most")
    p50, p99, most = (figures[f"{name}_ms"] for name in ("p50", "p99", "max"))
    print(f"answer          p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {most:.0f} ms")
    percent = spent / figures["took"] * 100
    print(f"server          {percent:.0f} % of a core; {before:.0f} MB before, {memory.most_mb:.0f} MB at most")
    if has_page:
        print(f"page            longest task {max(tasks, default=0):.0f} ms, {len(tasks)} over 50 ms; shows {shown[0]}")
    else:
        print("page            none: Playwright or Chromium is not installed (make test)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
