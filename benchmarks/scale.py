"""`python -m benchmarks.scale`: what a long queue costs on PostgreSQL, and what a second server brings.

A thousand workloads wait, then a million: claims and ends are timed, many of them, with nobody tidying up behind them.
Then one server, and two on one database, run workloads whose predict takes all the time there is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import uvloop

from benchmarks.__main__ import send
from benchmarks.postgres import database
from benchmarks.processes import NotThere, free_port, running, wait_until_answers
from benchmarks.systems import Running
from ringback.cli.traffic import PAYLOAD, percentile
from ringback.core.clock import SystemClock
from ringback.core.workload import Completed, Submission
from ringback.store.postgres import PostgresStore, open_postgres

_API: Final = "work"
_ROOM: Final = 64
_RUN_SECONDS: Final = 0.05
_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
_COLUMNS: Final = "api, status, due_at, submitted_at, content_type, headers, payload, place"
_COPIES: Final = f"""
    INSERT INTO workloads (id, {_COLUMNS})
    SELECT id || '-' || number, {_COLUMNS} FROM workloads, generate_series(1, $1::int) AS number
"""

_PREDICTOR: Final = f"""
import time


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        time.sleep({_RUN_SECONDS})
        return payload
"""


# ── A long queue ────────────────────────────────────────────────────────────────────────────────


async def claims(waiting: int, claimed: int) -> list[float]:
    """Seconds that each claim of `_ROOM` took, its workloads ended in between, until so many were claimed."""
    with database() as at:
        store = await open_postgres(at.url, clock=SystemClock())
        try:
            await _fill(store, at.url, waiting + claimed)
            return await _claim_and_end(store, claimed)
        finally:
            await store.close()


async def _fill(store: PostgresStore, url: str, count: int) -> None:
    """One workload as it is submitted, and copies of it. Nobody has looked at the table, nor tidies it up."""
    await store.submit(Submission(api=_API, payload=PAYLOAD, content_type="application/json"))
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE workloads SET (autovacuum_enabled = off)")
    await connection.execute(_COPIES, count - 1)
    await connection.execute("UPDATE tallies SET unfinished = $1", count)
    await connection.close()


async def _claim_and_end(store: PostgresStore, count: int) -> list[float]:
    took: list[float] = []
    for _ in range(0, count, _ROOM):
        began = time.perf_counter()
        taken, _ = await store.claim(_API, _ROOM)
        took.append(time.perf_counter() - began)
        await asyncio.gather(*(store.finish(each.held, Completed(result=PAYLOAD), []) for each in taken))
    return took


def long_queue(waiting: int, claimed: int) -> float:
    """The median of a claim, in seconds."""
    took = uvloop.run(claims(waiting, claimed))
    tenth = max(1, len(took) // 10)
    first, last = percentile(took[:tenth], 0.5), percentile(took[-tenth:], 0.5)
    print(
        f"{waiting:>9,} waiting: a claim of {_ROOM} takes {first * 1_000:.1f} ms at first, {last * 1_000:.1f} ms after "
        f"{claimed:,} claimed and ended without a vacuum",
        flush=True,
    )
    return percentile(took, 0.5)


# ── A second server ─────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def servers(folder: Path, url: str, count: int, receiver_port: int) -> Iterator[Running]:
    """So many whole servers on one database, one replica each; submits go to the first."""
    api = {
        "name": _API,
        "kind": "AsyncAPI",
        "predictor": {"type": "python", "path": "predictor.py"},
        "autoscaling": {"min_replicas": 1, "max_replicas": 1, "max_replica_concurrency": 100_000},
        "webhook": {"url": f"http://127.0.0.1:{receiver_port}/", "secret": _SECRET},
    }
    (folder / "predictor.py").write_text(_PREDICTOR)
    (folder / "ringback.yaml").write_text(json.dumps([api]))
    ringback = str(Path(sys.executable).with_name("ringback"))
    with contextlib.ExitStack() as stack:
        ports, pids = [], []
        for _ in range(count):
            port = free_port()
            command = [ringback, "serve", "--port", str(port), "--store", url]
            process = stack.enter_context(running(command, folder=folder))
            wait_until_answers(f"http://127.0.0.1:{port}/readyz", process, folder)
            ports.append(port)
            pids.append(process.pid)
        yield Running(url=f"http://127.0.0.1:{ports[0]}/{_API}", pids=tuple(pids))


def rate_of(count: int, workloads: int) -> float:
    """Workloads a second, from the first submit to the last webhook."""
    receiver_port = free_port()
    with (
        database() as at,
        tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder,
        servers(Path(folder), at.url, count, receiver_port) as up,
    ):
        load = send(up, receiver_port, workloads, rate=None)
    if load.arrived < workloads:
        raise NotThere(f"{workloads - load.arrived} of {workloads} did not ring back")
    return load.arrived / load.seconds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="*", default=[1_000, 1_000_000], help="workloads that wait")
    parser.add_argument("--claimed", type=int, default=200_000, help="that are claimed while those wait")
    parser.add_argument("--workloads", type=int, default=600, help="run by one server, and by two; 0: left out")
    options = parser.parse_args(arguments)
    try:
        medians = [long_queue(waiting, options.claimed) for waiting in options.waiting]
        if len(medians) > 1:
            print(f"the last takes {medians[-1] / medians[0]:.2f} times as long as the first")
        if options.workloads:
            one, two = rate_of(1, options.workloads), rate_of(2, options.workloads)
            print(
                f"workloads of {_RUN_SECONDS * 1_000:.0f} ms: one server {one:.1f} a second, two {two:.1f}: "
                f"{two / one:.2f} times as many"
            )
    except NotThere as missing:
        print(f"left out: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
