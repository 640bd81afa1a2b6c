"""`python -m benchmarks`: every system one after the other, then one table with ratios."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import NotThere, cpu_seconds, family, free_port, resident_mb
from benchmarks.systems import Running, System, procrastinate, ringback, seed, taskiq
from ringback.cli.traffic import Figures, Order, measured, percentile
from ringback.core.errors import RingbackError

SYSTEMS: Final = (
    System(name="ringback", start=ringback.start, workloads=20_000),
    System(name="taskiq", start=taskiq.start, workloads=6_000),
    System(name="seed", start=seed.start, workloads=2_000),
)
ON_POSTGRESQL: Final = (
    System(name="ringback", start=ringback.start_on_postgresql, workloads=10_000),
    System(name="taskiq", start=taskiq.start, workloads=6_000),
    System(name="procrastinate", start=procrastinate.start, workloads=2_000),
)
_CONNECTIONS: Final = 64
_RATE: Final = 20.0
_SAMPLES: Final = 300
_WARM_UP: Final = 200
_PATIENCE_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system's figures."""

    name: str
    per_second: float
    lost: int
    duplicates: int
    submit_p50_ms: float
    submit_p99_ms: float
    ring_p50_ms: float
    ring_p99_ms: float
    resident_mb: float
    """All processes, after the load."""
    idle_percent: float
    """Of one core, all processes."""
    first_accepted_seconds: float | None


def main(arguments: Sequence[str]) -> int:
    """Measure and print; exit status 0 when everything asked for was measured or said to be missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite", help="Ringback's store")
    names = sorted({system.name for system in (*SYSTEMS, *ON_POSTGRESQL)})
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="which systems")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of throughput; the median counts")
    parser.add_argument("--smoke", action="store_true", help="a few seconds' worth, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for system in SYSTEMS if options.store == "sqlite" else ON_POSTGRESQL:
        if system.name not in options.only:
            continue
        print(f"measuring {system.name} …", file=sys.stderr, flush=True)
        try:
            rows.append(measure(system, rounds=1 if options.smoke else options.rounds, smoke=options.smoke))
        except NotThere as missing:
            print(f"{system.name} is left out: {missing}", file=sys.stderr)
    print(table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    return 0


def measure(system: System, *, rounds: int, smoke: bool) -> Row:
    """One system: start, warm up, latency, throughput, rest."""
    workloads = system.workloads // 20 if smoke else system.workloads
    samples = 40 if smoke else _SAMPLES
    receiver_port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder,
        system.start(Path(folder), receiver_port) as up,
    ):
        send(up, receiver_port, _WARM_UP if not smoke else 20, rate=None)
        calm = send(up, receiver_port, samples, rate=_RATE)
        loads = sorted(
            (send(up, receiver_port, workloads, rate=None) for _ in range(rounds)),
            key=lambda figures: figures.arrived / figures.seconds,
        )
        pids = [each for pid in up.pids for each in family(pid)]
        resident = resident_mb(pids)
        idle = 0.0 if smoke else idle_percent(pids)
    middle = loads[len(loads) // 2]
    return Row(
        name=system.name,
        per_second=middle.arrived / middle.seconds,
        lost=workloads * rounds + samples - sum(each.arrived for each in (*loads, calm)),
        duplicates=sum(each.duplicates for each in (*loads, calm)),
        submit_p50_ms=percentile(calm.submit_ms, 0.50),
        submit_p99_ms=percentile(calm.submit_ms, 0.99),
        ring_p50_ms=percentile(calm.ring_ms, 0.50),
        ring_p99_ms=percentile(calm.ring_ms, 0.99),
        resident_mb=resident,
        idle_percent=idle,
        first_accepted_seconds=up.first_accepted_seconds,
    )


def send(up: Running, receiver_port: int, workloads: int, *, rate: float | None, takes_any: bool = False) -> Figures:
    """Have the traffic process carry out one order."""
    order = Order(
        url=up.url,
        receiver_port=receiver_port,
        workloads=workloads,
        connections=min(_CONNECTIONS, workloads),
        rate=rate,
        patience_seconds=_PATIENCE_SECONDS,
        takes_any=takes_any,
    )
    try:
        return measured(order)
    except RingbackError as failed:
        raise NotThere(str(failed)) from failed


def idle_percent(pids: Sequence[int]) -> float:
    """How much of one core the processes use when nothing happens."""
    before = cpu_seconds(pids)
    time.sleep(_IDLE_SECONDS)
    return (cpu_seconds(pids) - before) / _IDLE_SECONDS * 100


def table(rows: Sequence[Row]) -> str:
    """The figures for people; ratios are Ringback's to the others."""
    ours = next((row.per_second for row in rows if row.name == "ringback"), None)
    head = f"{'':14}{'workloads/s':>12}{'ratio':>8}{'lost':>6}{'dup':>5}{'submit p50/p99 ms':>20}"
    lines = [f"{head}{'to webhook p50/p99 ms':>23}{'RSS MB':>8}{'idle':>7}{'first':>8}"]
    for row in rows:
        ratio = f"{ours / row.per_second:.1f}x" if ours is not None and row.name != "ringback" else ""
        first = "" if row.first_accepted_seconds is None else f"{row.first_accepted_seconds:.2f} s"
        lines.append(
            f"{row.name:14}{row.per_second:>12,.0f}{ratio:>8}{row.lost:>6}{row.duplicates:>5}"
            f"{f'{row.submit_p50_ms:.2f} / {row.submit_p99_ms:.2f}':>20}"
            f"{f'{row.ring_p50_ms:.2f} / {row.ring_p99_ms:.2f}':>23}"
            f"{row.resident_mb:>8.0f}{f'{row.idle_percent:.1f}%':>7}{first:>8}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
