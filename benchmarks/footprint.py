"""`python -m benchmarks.footprint`: what one workload costs each role, and the database.

A gateway, a worker and a dispatcher, each a process of its own, on one PostgreSQL: workloads that do nothing go through
at full speed, then evenly at a low rate. What each process used and the database counted is shared out among them.
The figures of `docs/scale.md` are made of these.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.__main__ import send
from benchmarks.postgres import Database, database
from benchmarks.processes import NotThere, cpu_seconds, family, free_port, running, wait_until_answers
from benchmarks.systems import Running
from benchmarks.systems.ringback import write_api

_ROLES: Final = ("gateway", "worker", "dispatcher")
_WARM_UP: Final = 500
_RATES: Final = (100, 1_000, 5_000, 20_000)
_FULL: Final = 0.7
"""How much of a core is used when it counts as used up."""
_COUNTED_AFTER_SECONDS: Final = 2.0
"""Until backends have told their counters (postgresql.org/docs/18/monitoring-stats.html)."""
_COUNTERS: Final = """
    SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
           (SELECT wal_bytes::bigint FROM pg_stat_wal) AS wal_bytes,
           sum(n_tup_ins)::bigint AS inserted, sum(n_tup_upd)::bigint AS updated, sum(n_tup_hot_upd)::bigint AS hot,
           sum(n_tup_del)::bigint AS deleted,
           sum(pg_total_relation_size(relid))::bigint AS bytes
    FROM pg_stat_user_tables
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A process for each role."""

    up: Running
    at: Database
    roles: dict[str, int]
    """The process of each."""

    def cpu_seconds(self) -> dict[str, float]:
        """What each has used so far, its children with it; the worker's are its replica."""
        found = {role: cpu_seconds([pid]) for role, pid in self.roles.items()}
        found["replica"] = cpu_seconds(family(self.roles["worker"])[1:])
        found["database"] = cpu_seconds([each for pid in self.at.pids for each in family(pid)])
        return found


@contextlib.contextmanager
def served(folder: Path, receiver_port: int) -> Iterator[Served]:
    """The three of them on a database of their own."""
    write_api(folder, receiver_port)
    ringback = str(Path(sys.executable).with_name("ringback"))
    with database() as at, contextlib.ExitStack() as stack:
        ports, pids = {}, {}
        for role in _ROLES:
            ports[role] = free_port()
            command = [ringback, "serve", "--roles", role, "--port", str(ports[role]), "--store", at.url]
            process = stack.enter_context(running(command, folder=folder))
            wait_until_answers(f"http://127.0.0.1:{ports[role]}/readyz", process, folder)
            pids[role] = process.pid
        up = Running(url=f"http://127.0.0.1:{ports['gateway']}/noop", pids=tuple(pids.values()))
        yield Served(up=up, at=at, roles=pids)


async def counters(url: str) -> dict[str, int]:
    """What the database has counted so far."""
    await asyncio.sleep(_COUNTED_AFTER_SECONDS)
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(_COUNTERS)
        assert row is not None
        return dict(row)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one workload took."""

    cpu_us: dict[str, float]
    """Of each role, of its replica, and of the database."""
    counted: dict[str, float]
    """What the database has counted."""


def measured(system: Served, receiver_port: int, workloads: int, rate: float | None) -> Footprint:
    """Send so many, and say what each took."""
    counted = asyncio.run(counters(system.at.url))
    used, began = system.cpu_seconds(), time.perf_counter()
    load = send(system.up, receiver_port, workloads, rate=rate)
    seconds = time.perf_counter() - began
    spent = {name: (after - used[name]) / workloads * 1e6 for name, after in system.cpu_seconds().items()}
    each = {name: (after - counted[name]) / workloads for name, after in asyncio.run(counters(system.at.url)).items()}
    cpu = ", ".join(f"{name} {value:,.0f} µs" for name, value in spent.items())
    rows = f"{each['inserted']:.1f} rows inserted, {each['updated']:.1f} updated ({each['hot']:.1f} in place)"
    size = f"{each['wal_bytes'] / 1024:.1f} KiB of log, {each['bytes'] / 1024:.1f} KiB kept"
    print(f"{workloads:,} workloads, {load.arrived / load.seconds:,.0f} a second; {workloads - load.arrived} lost")
    print(f"  CPU a workload: {cpu} (in {seconds:.1f} s)")
    print(f"  database: {each['commits']:.2f} transactions, {rows}, {each['deleted']:.1f} deleted, {size}", flush=True)
    return Footprint(cpu_us=spent, counted=each)


def computed(footprint: Footprint) -> None:
    """What a rate needs, were everything as in this run: processes of a core each, used to seven tenths."""
    print("computed from that, for workloads that do nothing:")
    for rate in _RATES:
        processes = {role: math.ceil(rate * footprint.cpu_us[role] / 1e6 / _FULL) for role in _ROLES}
        needs = ", ".join(f"{count} {role}{'s' * (count != 1)}" for role, count in processes.items())
        cores = rate * footprint.cpu_us["database"] / 1e6 / _FULL
        log = rate * footprint.counted["wal_bytes"] / 1e6
        kept = rate * footprint.counted["bytes"] * 86_400 / 2**30
        print(
            f"  {rate:>6,} a second: {needs}; database {cores:.1f} cores, {log:.1f} MB/s of log, {kept:,.0f} GiB a day"
        )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--workloads", type=int, default=10_000, help="at full speed")
    parser.add_argument("--steadily", type=int, default=400, help="at 20 a second; 0: left out")
    options = parser.parse_args(arguments)
    receiver_port = free_port()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder,
            served(Path(folder), receiver_port) as system,
        ):
            send(system.up, receiver_port, _WARM_UP, rate=None)
            computed(measured(system, receiver_port, options.workloads, None))
            if options.steadily:
                measured(system, receiver_port, options.steadily, 20.0)
    except NotThere as missing:
        print(f"left out: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
