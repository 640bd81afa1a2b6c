"""`make demo`'s programme, run as a newcomer runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import processes
from support.waiting import until

pytestmark = pytest.mark.on_file("the demo brings a file of its own, whatever RINGBACK_STORE says")
DEMO = Path(__file__).parents[2] / "examples" / "iris" / "demo.py"


def test_eleven_webhooks_arrive_and_verify() -> None:
    ended = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, check=False, timeout=100)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("  verified  ") == 11, ended.stdout
    assert "11 of 11 webhooks arrived and verified; the server stopped with status 0." in ended.stdout
    assert ended.stdout.count("ValueError: a flower has the numbers") == 1
    assert '"status": "completed"' in ended.stdout
    assert ended.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_half_way_it_leaves_nothing_running(number: signal.Signals) -> None:
    demo = subprocess.Popen([sys.executable, DEMO], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        server = until(lambda: children(demo.pid), within=30, wanted="a server")
        os.kill(demo.pid, number)
        demo.communicate(timeout=60)
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.communicate()

    assert demo.returncode != 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in server), within=10, wanted="no server left")


def children(pid: int) -> set[int]:
    return {each.pid for each in processes() if each.parent == pid}
