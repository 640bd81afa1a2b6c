"""Ringback as its users start it: the command, a file, and the embedded store or a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.postgres import database
from benchmarks.processes import NotThere, free_port, running, wait_until_answers
from benchmarks.systems import Running
from ringback.cli.traffic import PAYLOAD

_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
_PATIENCE_SECONDS: Final = 10.0

_PREDICTOR: Final = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload
"""

_FILE: Final = """
- name: noop
  kind: AsyncAPI
  predictor: {{type: python, path: predictor.py}}
  autoscaling: {{max_replica_concurrency: 100000}}
  webhook: {{url: "http://127.0.0.1:{port}/", secret: {secret}}}
"""


def write_api(folder: Path, receiver_port: int) -> None:
    """A file with one API, `noop`, and its predictor."""
    (folder / "predictor.py").write_text(_PREDICTOR)
    (folder / "ringback.yaml").write_text(_FILE.format(port=receiver_port, secret=_SECRET))


@contextlib.contextmanager
def start(folder: Path, receiver_port: int) -> Iterator[Running]:
    """On the embedded store."""
    with _served(folder, receiver_port, ()) as up:
        yield up


@contextlib.contextmanager
def start_on_postgresql(folder: Path, receiver_port: int) -> Iterator[Running]:
    """On PostgreSQL, whose processes count among its own."""
    with database() as at, _served(folder, receiver_port, ("--store", at.url)) as up:
        yield replace(up, pids=(*up.pids, *at.pids))


@contextlib.contextmanager
def _served(folder: Path, receiver_port: int, options: tuple[str, ...]) -> Iterator[Running]:
    write_api(folder, receiver_port)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    command = [str(Path(sys.executable).with_name("ringback")), "serve", "--port", str(port), *options]
    with running(command, folder=folder) as process:
        _submit_one(f"{url}/noop")
        first = time.perf_counter() - began
        wait_until_answers(f"{url}/readyz", process, folder)
        yield Running(url=f"{url}/noop", pids=(process.pid,), first_accepted_seconds=first)


def _submit_one(url: str) -> None:
    """Submit until it is accepted: the measure of a start."""
    request = urllib.request.Request(url, PAYLOAD, {"Content-Type": "application/json"})
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(request, timeout=5) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.002)
    raise NotThere(f"{url} accepted nothing within {_PATIENCE_SECONDS:g} s")
