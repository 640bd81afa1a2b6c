"""The dashboard's first view over a crowded store: `python -m benchmarks.dashboard [WORKLOADS]`, a million by default.

Most have ended and rung; ten thousand wait, a thousand webhooks are parked. The pages are fetched over loopback, as a
browser fetches them.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ringback.core.clock import SECOND, SystemClock
from ringback.core.workload import Submission
from ringback.store.sqlite import open_sqlite

PORT: Final = 18_086
WAITING: Final = 10_000
PARKED: Final = 1_000
LOOKS: Final = 20
WARM_SECONDS: Final = 5.0
"""By then a server has its pages ready."""
PAGES: Final = {
    "/": "the first page",
    "/-/ui/workloads": "workloads",
    "/-/ui/workloads?status=failed": "workloads that have failed",
    "/-/ui/deliveries": "deliveries",
    "/-/ui/endpoints": "endpoints",
}

_FILE: Final = """
- name: crowd
  kind: AsyncAPI
  predictor: {type: python, path: predictor.py}
  autoscaling: {max_replica_concurrency: 100000}
  webhook: {url: "http://127.0.0.1:9/"}
"""
_PREDICTOR: Final = """
import time


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        time.sleep(600)
"""


def main() -> None:
    """Fill a store, serve it, look at it, and print how long each page took."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ringback.yaml").write_text(_FILE)
        (folder / "predictor.py").write_text(_PREDICTOR)
        database = folder / "ringback.db"
        asyncio.run(_begin(database))
        _fill(database, number)
        with _serving(folder, database):
            at_once = _look("/") * 1_000
        with _serving(folder, database):
            time.sleep(WARM_SECONDS)
            print(f"{number:,} workloads, {database.stat().st_size / 2**20:,.0f} MiB")
            print(f"the first page, asked for the moment the server answers: {at_once:.0f} ms")
            print(f"{'page':30} {'first ms':>9} {'median ms':>10} {'worst ms':>9}")
            for path, words in PAGES.items():
                took = [_look(path) * 1_000 for _ in range(LOOKS)]
                rest = sorted(took[1:])
                print(f"{words:30} {took[0]:9.1f} {rest[len(rest) // 2]:10.1f} {rest[-1]:9.1f}")


async def _begin(database: Path) -> None:
    """Make the store, with some that wait."""
    store = await open_sqlite(database, clock=SystemClock())
    await asyncio.gather(
        *(store.submit(Submission(api="crowd", payload=b"{}", content_type="application/json")) for _ in range(WAITING))
    )
    await store.close()


def _fill(database: Path, number: int) -> None:
    """Add those that have ended, straight into the tables: a million submits would take minutes."""
    now = SystemClock().now()
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO workloads (api, id, status, attempt, due_at, submitted_at, started_at, finished_at, "
            "error_type, error_message, content_type, headers, payload, result) "
            "VALUES ('crowd', ?, ?, 1, 0, ?, ?, ?, ?, ?, 'application/json', x'7b7d', x'7b7d', ?)",
            (
                (
                    f"old-{index:08}",
                    "failed" if index % 50 == 0 else "completed",
                    now - SECOND,
                    now - SECOND,
                    now,
                    "ValueError" if index % 50 == 0 else None,
                    "odd" if index % 50 == 0 else None,
                    None if index % 50 == 0 else b'{"label":"setosa"}',
                )
                for index in range(number - WAITING)
            ),
        )
        connection.execute(
            "INSERT INTO deliveries (workload, endpoint, url, message_id, event, state, tries, due_at, created_at, "
            "settled_at, reason, body) "
            "SELECT seq, 'crowd', 'http://127.0.0.1:9/', 'msg_' || id, status, "
            "CASE WHEN seq % ? = 0 THEN 'parked' ELSE 'delivered' END, 1, 0, submitted_at, finished_at, "
            "CASE WHEN seq % ? = 0 THEN 'all 10 attempts failed' END, x'7b7d' "
            "FROM workloads WHERE status <> 'in_queue'",
            (max(1, number // PARKED), max(1, number // PARKED)),
        )


@contextlib.contextmanager
def _serving(folder: Path, database: Path) -> Iterator[None]:
    command = [str(Path(sys.executable).with_name("ringback")), "serve", str(folder / "ringback.yaml")]
    process = subprocess.Popen(
        [*command, "--port", str(PORT), "--store", f"sqlite:///{database}", "--grace", "1s"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                _ask("/healthz")
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)


def _look(path: str) -> float:
    start = time.perf_counter()
    _ask(path)
    return time.perf_counter() - start


def _ask(path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {body[:200]!r}")
        return body


if __name__ == "__main__":
    main()
