"""`python -m benchmarks.queue`: whether a long queue costs anything, and what a tenant's flood costs another.

A thousand workloads wait, then a million: the same load goes in and the same number of webhooks comes out. Then one
tenant has a hundred thousand waiting, and another submits single ones.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.__main__ import percentile, send
from benchmarks.processes import NotThere, family, free_port, resident_mb, running, wait_until_answers
from benchmarks.systems import Running
from benchmarks.traffic import PAYLOAD, Figures
from ringback.core.clock import SystemClock
from ringback.core.queueing import NO_WISH, Wish
from ringback.core.workload import Submission
from ringback.store.sqlite import SqliteStore, open_sqlite

_API: Final = "noop"
_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
_AT_ONCE: Final = 500
_PATIENCE_SECONDS: Final = 10.0
_RUN_SECONDS: Final = 0.05
_SINGLES: Final = 100

_PREDICTOR: Final = """
import time


class PythonPredictor:
    def __init__(self, config):
        self.seconds = config.get("seconds", 0)

    def predict(self, payload):
        if self.seconds:
            time.sleep(self.seconds)
        return payload
"""


@contextlib.contextmanager
def served(folder: Path, store: Path, receiver_port: int | None, run_seconds: float = 0.0) -> Iterator[Running]:
    """`ringback serve` over a store that is filled already; tells how long it was until it took the first one in."""
    api: dict[str, object] = {
        "name": _API,
        "kind": "AsyncAPI",
        "predictor": {"type": "python", "path": "predictor.py", "config": {"seconds": run_seconds}},
        "autoscaling": {"max_replica_concurrency": 10_000_000},
    }
    if receiver_port is not None:
        api["webhook"] = {"url": f"http://127.0.0.1:{receiver_port}/", "secret": _SECRET}
    (folder / "predictor.py").write_text(_PREDICTOR)
    (folder / "ringback.yaml").write_text(json.dumps([api]))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ringback = str(Path(sys.executable).with_name("ringback"))
    began = time.perf_counter()
    with running([ringback, "serve", "--port", str(port), "--store", f"sqlite:///{store}"], folder=folder) as process:
        _submit_one(f"{url}/{_API}")
        first = time.perf_counter() - began
        wait_until_answers(f"{url}/readyz", process, folder)
        yield Running(url=f"{url}/{_API}", pids=(process.pid,), first_accepted_seconds=first)


def _submit_one(url: str, tenant: str | None = None) -> str:
    headers = {"Content-Type": "application/json"} | ({} if tenant is None else {"Ringback-Tenant": tenant})
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(urllib.request.Request(url, PAYLOAD, headers), timeout=5) as answer,
        ):
            return str(json.load(answer)["id"])
        time.sleep(0.002)
    raise NotThere(f"{url} accepted nothing within {_PATIENCE_SECONDS:g} s")


def _seconds_to_read(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - began


async def fill(store: Path, count: int, wish: Wish) -> None:
    """Have so many workloads wait."""
    opened = await open_sqlite(store, clock=SystemClock())
    for _ in range(0, count, _AT_ONCE):
        await _submit_some(opened, min(_AT_ONCE, count), wish)
    await opened.close()


async def _submit_some(store: SqliteStore, count: int, wish: Wish) -> None:
    await asyncio.gather(
        *(
            store.submit(Submission(api=_API, payload=PAYLOAD, content_type="application/json", wish=wish))
            for _ in range(count)
        )
    )


# ── How much a long queue costs ─────────────────────────────────────────────────────────────────


def long_queue(waiting: int, workloads: int) -> float:
    """The rate at which webhooks come out while as many workloads go in, so many waiting all the while.

    One round for each start: between two the receiver would be gone while the server goes on, and be left alone then.
    """
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder, receiver_port = Path(name), free_port()
        store = folder / "ringback.db"
        uvloop.run(fill(store, waiting, NO_WISH))
        with served(folder, store, receiver_port) as up:
            load: Figures = send(up, receiver_port, workloads, rate=None)
            base = up.url.rsplit("/", 1)[0]
            metrics, apis = _seconds_to_read(f"{base}/metrics"), _seconds_to_read(f"{base}/-/apis")
            server = resident_mb(list(up.pids))
            everything = resident_mb([each for pid in up.pids for each in family(pid)])
    rate = load.arrived / load.seconds
    print(
        f"{waiting:>9,} waiting: {rate:,.0f} workloads/s, first accepted after {up.first_accepted_seconds:.2f} s, "
        f"server {server:.0f} MB, with its replica {everything:.0f} MB, "
        f"/metrics in {metrics * 1_000:.0f} ms, /-/apis in {apis * 1_000:.0f} ms",
        flush=True,
    )
    return rate


# ── What a flood costs others ───────────────────────────────────────────────────────────────────


def flood(waiting: int) -> None:
    """Another tenant's single ones, one after the other, beside a tenant's flood; each run takes `_RUN_SECONDS`."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        store = folder / "ringback.db"
        uvloop.run(fill(store, waiting, Wish(tenant="flood")))
        waits: list[float] = []
        with served(folder, store, None, run_seconds=_RUN_SECONDS) as up:
            base = up.url.rsplit("/", 1)[0]
            for _ in range(_SINGLES):
                workload_id = _submit_one(up.url, tenant="single")
                _seconds_to_read(f"{up.url}/{workload_id}?wait=30")
                with urllib.request.urlopen(f"{base}/-/workloads/{workload_id}", timeout=10) as answer:
                    waits.append(json.load(answer)["timing"]["waited_seconds"])
    print(
        f"beside a flood of {waiting:,} by another tenant, single workloads of {_RUN_SECONDS * 1_000:.0f} ms waited "
        f"p50 {percentile(waits, 0.5) * 1_000:.0f} ms, at most {max(waits) * 1_000:.0f} ms",
        flush=True,
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="*", default=[1_000, 1_000_000], help="workloads that wait")
    parser.add_argument("--workloads", type=int, default=20_000, help="that go in and come out in each round")
    parser.add_argument("--flood", type=int, default=100_000, help="workloads one tenant has waiting; 0: left out")
    options = parser.parse_args(arguments)
    rates = [long_queue(waiting, options.workloads) for waiting in options.waiting]
    if len(rates) > 1:
        print(f"the last at {rates[-1] / rates[0]:.2f} of the rate of the first")
    if options.flood:
        flood(options.flood)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
