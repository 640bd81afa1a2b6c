"""`python -m benchmarks.queue`: whether a long queue costs anything, and what a tenant's flood costs another.

A thousand workloads wait, or a million, in turns: the same load goes in and the same number of webhooks comes out. Then
one tenant has a hundred thousand waiting, and another submits single ones.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from benchmarks.__main__ import send
from benchmarks.processes import NotThere, cpu_seconds, free_port, resident_mb, running, wait_until_answers
from benchmarks.systems import Running
from ringback.cli.traffic import PAYLOAD, Figures, percentile
from ringback.core.clock import SystemClock
from ringback.core.queueing import NO_WISH, Wish
from ringback.core.workload import Submission
from ringback.store.sqlite import SqliteStore, open_sqlite

_API: Final = "noop"
_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
_AT_ONCE: Final = 500
_PATIENCE_SECONDS: Final = 60.0
_RUNS_SECONDS: Final = (0.05, 0.0)
_STORE: Final = "ringback.db"
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
def served(
    folder: Path, store: Path, receiver_port: int | None, *, run_seconds: float = 0.0, tenant: str | None = None
) -> Iterator[Running]:
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
        _submit_one(f"{url}/{_API}", tenant)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one start of the server over a filled store has shown."""

    per_second: float
    cpu_us: float
    """Of the server's own process, for each workload that came out."""
    first_accepted_seconds: float
    server_mb: float
    metrics_ms: float
    apis_ms: float


def long_queues(waiting: Sequence[int], workloads: int, rounds: int) -> None:
    """Rates at which webhooks come out while as many workloads go in, so many waiting all the while.

    Machines drift, so the lengths take turns, in an order that is turned round each time, and medians are compared.
    """
    found: dict[int, list[Round]] = {count: [] for count in waiting}
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        filled = {count: Path(name) / str(count) for count in waiting}
        for count, folder in filled.items():
            folder.mkdir()
            uvloop.run(fill(folder / _STORE, count, NO_WISH))
        for number in range(rounds):
            for count in waiting if number % 2 == 0 else reversed(waiting):
                found[count].append(_one_round(filled[count], workloads))
                print(
                    f"{count:>9,} waiting: {found[count][-1].per_second:,.0f} workloads/s", file=sys.stderr, flush=True
                )
    for count in waiting:
        print(f"{count:>9,} waiting: {_in_words(found[count])}", flush=True)
    shortest, longest = found[min(waiting)], found[max(waiting)]
    if shortest is not longest:
        rate = _middle(longest, "per_second") / _middle(shortest, "per_second")
        cpu = _middle(longest, "cpu_us") / _middle(shortest, "cpu_us")
        print(f"the longest queue at {rate:.2f} of the rate of the shortest, with {cpu:.2f} of its CPU a workload")


def _one_round(filled: Path, workloads: int) -> Round:
    """On a copy of the store, on disk: without the receiver, the server goes on and empties it."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder, receiver_port = Path(name), free_port()
        shutil.copytree(filled, folder, dirs_exist_ok=True)
        os.sync()
        with served(folder, folder / _STORE, receiver_port) as up:
            before = cpu_seconds(up.pids)
            load: Figures = send(up, receiver_port, workloads, rate=None, takes_any=True)
            cpu = cpu_seconds(up.pids) - before
            base = up.url.rsplit("/", 1)[0]
            metrics, apis = _seconds_to_read(f"{base}/metrics"), _seconds_to_read(f"{base}/-/apis")
            assert up.first_accepted_seconds is not None
            return Round(
                per_second=load.arrived / load.seconds,
                cpu_us=cpu / load.arrived * 1_000_000,
                first_accepted_seconds=up.first_accepted_seconds,
                server_mb=resident_mb(list(up.pids)),
                metrics_ms=metrics * 1_000,
                apis_ms=apis * 1_000,
            )


def _middle(rounds: Sequence[Round], figure: str) -> float:
    return median(float(getattr(each, figure)) for each in rounds)


def _in_words(rounds: Sequence[Round]) -> str:
    rates = [each.per_second for each in rounds]
    return (
        f"{median(rates):,.0f} workloads/s ({min(rates):,.0f} to {max(rates):,.0f}), "
        f"{_middle(rounds, 'cpu_us'):.0f} µs of CPU each, "
        f"first accepted after {_middle(rounds, 'first_accepted_seconds'):.2f} s, "
        f"server {_middle(rounds, 'server_mb'):.0f} MB, "
        f"/metrics in {_middle(rounds, 'metrics_ms'):.0f} ms, /-/apis in {_middle(rounds, 'apis_ms'):.0f} ms"
    )


# ── What a flood costs others ───────────────────────────────────────────────────────────────────


def flood(waiting: int, run_seconds: float) -> None:
    """Another tenant's single ones, one after the other, beside a tenant's flood; how long, and behind how many."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        store = folder / _STORE
        uvloop.run(fill(store, waiting, Wish(tenant="flood")))
        waits: list[float] = []
        ids: list[str] = []
        with served(folder, store, None, run_seconds=run_seconds, tenant="flood") as up:
            base = up.url.rsplit("/", 1)[0]
            for _ in range(_SINGLES):
                ids.append(_submit_one(up.url, tenant="single"))
                _seconds_to_read(f"{up.url}/{ids[-1]}?wait=30")
                with urllib.request.urlopen(f"{base}/-/workloads/{ids[-1]}", timeout=10) as answer:
                    waits.append(json.load(answer)["timing"]["waited_seconds"])
        before = _begun_before(store, ids)
    print(
        f"beside a flood of {waiting:,} by another tenant, single workloads of {run_seconds * 1_000:g} ms waited "
        f"p50 {percentile(waits, 0.5) * 1_000:.1f} ms, p99 {percentile(waits, 0.99) * 1_000:.1f} ms, "
        f"at most {max(waits) * 1_000:.1f} ms; {max(before)} others at most were taken from the queue meanwhile",
        flush=True,
    )


def _begun_before(store: Path, ids: Sequence[str]) -> list[int]:
    """For each workload, how many others were taken from the queue between its submit and its own turn.

    Those that were in a replica's hand already when it came are not among them.
    """
    with contextlib.closing(sqlite3.connect(store)) as reader:
        return [
            reader.execute(
                "SELECT count(*) FROM workloads AS mine JOIN workloads AS others"
                " ON others.started_at > mine.submitted_at AND others.started_at < mine.started_at"
                " WHERE mine.id = ?",
                (each,),
            ).fetchone()[0]
            for each in ids
        ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="*", default=[1_000, 1_000_000], help="workloads that wait")
    parser.add_argument("--workloads", type=int, default=20_000, help="that go in and come out in each round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each length, in turns; the median counts")
    parser.add_argument("--flood", type=int, default=100_000, help="workloads one tenant has waiting; 0: left out")
    options = parser.parse_args(arguments)
    if options.waiting:
        long_queues(options.waiting, options.workloads, options.rounds)
    for run_seconds in _RUNS_SECONDS if options.flood else ():
        flood(options.flood, run_seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
