"""`bench`: how fast this machine is, by a server and a receiver of its own; nothing else is touched."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ringback.cli.context import Context
from ringback.core.errors import RingbackError
from ringback.core.keys import new_secret

_CALM: Final = 100
_CALM_RATE: Final = 20.0
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 15.0
_PATIENCE_SECONDS: Final = 120.0
_PREDICTOR: Final = "class PythonPredictor:\n    def predict(self, payload):\n        return payload\n"
_FILE: Final = """
- name: echo
  predictor: {{path: predictor.py}}
  autoscaling: {{max_replica_concurrency: 100000}}
  webhook: {{url: "http://127.0.0.1:{port}/", secret: {secret}}}
"""


def bench(
    context: typer.Context,
    workloads: Annotated[int, typer.Option(help="How many, as fast as they are taken.", min=1, max=1_000_000)] = 5_000,
    connections: Annotated[int, typer.Option(help="Connections that submit side by side.", min=1, max=1_000)] = 64,
) -> None:
    """Measure this machine, with a server of its own.

    From the submit to the signed webhook, through a predictor that returns its payload: first evenly at 20 a second,
    then as fast as it goes. Exit status 1 if a webhook was lost.
    """
    told: Context = context.obj
    from ringback.cli.traffic import Order, measured, percentile  # noqa: PLC0415 - brings the load with it

    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        port, few = _free_port(), min(_CALM, workloads)
        with _serving(Path(folder), port) as url:
            slowly = Order(
                url=url,
                receiver_port=port,
                workloads=few,
                connections=1,
                rate=_CALM_RATE,
                patience_seconds=_PATIENCE_SECONDS,
            )
            calm = measured(slowly)
            load = measured(replace(slowly, workloads=workloads, connections=min(connections, workloads), rate=None))
    figures = {
        "workloads": workloads,
        "per_second": load.arrived / load.seconds,
        "lost": workloads - load.arrived + few - calm.arrived,
        "duplicates": load.duplicates + calm.duplicates,
        "submit_ms": {"p50": percentile(calm.submit_ms, 0.5), "p99": percentile(calm.submit_ms, 0.99)},
        "webhook_ms": {"p50": percentile(calm.ring_ms, 0.5), "p99": percentile(calm.ring_ms, 0.99)},
    }
    told.say(_in_words(figures), figures)
    if figures["lost"]:
        raise typer.Exit(1)


def _in_words(figures: Mapping[str, Any]) -> str:
    submit, webhook = figures["submit_ms"], figures["webhook_ms"]
    return (
        f"{figures['per_second']:,.0f} workloads/s from the first submit to the last webhook, over "
        f"{figures['workloads']:,} of them; {figures['lost']} lost, {figures['duplicates']} twice\n"
        f"at {_CALM_RATE:g} a second: submit {submit['p50']:.2f} ms, p99 {submit['p99']:.2f} ms; "
        f"to its webhook {webhook['p50']:.2f} ms, p99 {webhook['p99']:.2f} ms"
    )


@contextlib.contextmanager
def _serving(folder: Path, receiver_port: int) -> Iterator[str]:
    """A server in this folder; the URL of its one API, once it is ready.

    Raises:
        RingbackError: it does not come up.
    """
    (folder / "predictor.py").write_text(_PREDICTOR)
    file, log = folder / "ringback.yaml", folder / "server.log"
    file.write_text(_FILE.format(port=receiver_port, secret=new_secret()))
    command = [sys.executable, "-m", "ringback", "serve", str(file), "--port", "0"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)  # noqa: S603 - ourselves
    try:
        yield f"{_ready(process, log)}/echo"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server is, once it says that its replica is ready."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        said = log.read_text(errors="replace")
        found = re.search(r"serves ringback.yaml on (\S+)", said)
        if found is not None and "replica.ready" in said:
            return found[1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    said = log.read_text(errors="replace")[-2_000:]
    raise RingbackError(f"the server to be measured did not come up; it said:\n{said}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
