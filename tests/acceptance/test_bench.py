"""`ringback bench`, on a small scale: figures that can be, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from support.processes import RINGBACK


@pytest.mark.on_file("it measures a file of its own, whatever RINGBACK_STORE says")
def test_it_measures_a_server_of_its_own_and_loses_nothing() -> None:
    ended = subprocess.run(
        [RINGBACK, "bench", "--workloads", "40", "--connections", "4", "--json"],
        env={**os.environ, "RINGBACK_API_KEYS": "of another server"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert (figures["workloads"], figures["lost"], figures["duplicates"]) == (40, 0, 0)
    assert figures["per_second"] > 0
    for taken in ("submit_ms", "webhook_ms"):
        assert 0 < figures[taken]["p50"] <= figures[taken]["p99"]
