"""How quick to start and how light at rest. Times are printed, not asserted: they belong to the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from support.processes import Server, serving
from support.served import folder_of
from support.waiting import pause, until

SETTLED_SECONDS = 4.0
"""Two seconds after its start a server reads and compiles its pages' templates, for some tenths of a second."""
IDLE_SECONDS = 3.0
RSS_LIMIT_BYTES = 120 * 1024 * 1024

NO_OP = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return None
"""


@pytest.mark.alone
def test_start_and_rest(tmp_path: Path, say: Callable[[str], None]) -> None:
    file = folder_of(tmp_path / "api", predictor=NO_OP)
    began = time.perf_counter()
    with serving(file, tmp_path / "store" / "ringback.db", ready=False) as server:
        until(lambda: accepted(server), within=20, wanted="a first workload accepted")
        first = time.perf_counter() - began
        server.wait_for("/readyz", 200)
        rss = server.rss_bytes()
        pause(SETTLED_SECONDS)
        cpu_before, moment = server.cpu_seconds(), time.perf_counter()
        pause(IDLE_SECONDS)
        share = (server.cpu_seconds() - cpu_before) / (time.perf_counter() - moment)
    say(f"first workload after {first:.2f} s; idle: {share:.2%} of a core, {rss / 2**20:.0f} MB resident")
    assert rss < RSS_LIMIT_BYTES


def accepted(server: Server) -> bool:
    try:
        return requests.post(f"{server.url}/echo", json={}, timeout=5).status_code == 200
    except requests.RequestException:
        assert server.ended() is None, server.log()
        return False
