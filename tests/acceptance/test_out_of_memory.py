"""The kernel runs out of memory for a server's control group: it kills a replica, and the server knows why."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import requests

from support.catcher import Catcher
from support.memory_group import memory_group
from support.processes import Server, serving
from support.served import folder_of

pytestmark = [
    pytest.mark.every_engine,
    pytest.mark.on_this_machine("on Ray they are in the control group of the cluster, and not of the server"),
]
MIB: Final = 2**20

PREDICTOR: Final = """
import os
import signal

class PythonPredictor:
    def predict(self, payload):
        if payload == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        held = []
        while payload == "all":
            held.append(b"x" * 2**20)
        return os.getpid()
"""

SMALL: Final = """
import os
import signal
import time

class PythonPredictor:
    def predict(self, payload):
        children = []
        for _ in range(payload):
            if (child := os.fork()) == 0:
                held = b"x" * (25 * 2**20)
                time.sleep(60)
                os._exit(0)
            children.append(child)
        ended, how = os.wait()
        for child in children:
            if child != ended:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        return how
"""


def run(server: Server, payload: str) -> dict[str, Any]:
    headers = {"Prefer": "wait=30"}
    return dict(requests.post(f"{server.url}/echo", json=payload, headers=headers, timeout=40).json())


def test_a_replica_that_the_kernel_kills_for_memory_is_told_from_one_that_somebody_kills(tmp_path: Path) -> None:
    with memory_group(512 * MIB) as group, Catcher() as catcher:
        file = folder_of(tmp_path / "api", predictor=PREDICTOR, webhook=catcher.url, retries={"max_losses": 2})
        with serving(file, tmp_path / "ringback.db", group=group) as server:
            first, pid = run(server, "nothing")["result"], server.pid
            assert group.kills == 0
            hungry = run(server, "all")
            assert group.kills == 2, "there is no `compute.mem`: it was the kernel"
            assert hungry["status"] == "failed"
            assert hungry["error"] == {
                "type": "out_of_memory",
                "message": "the replica running it was lost 2 times; the last one was killed by the kernel for lack "
                "of memory",
            }
            assert catcher.wait_for(hungry["id"]).json["error"] == hungry["error"]

            killed = run(server, "killed")["error"]
            assert (killed["type"], "SIGKILL" in killed["message"]) == ("replica_lost", True)
            assert group.kills == 2
            assert run(server, "nothing")["result"] not in {first, None}
            assert (server.ended(), server.pid) == (None, pid), "whose server has stayed"
            assert server.terminate() == 0


def test_the_server_stays_when_the_kernel_has_to_choose_and_each_of_the_others_is_smaller(tmp_path: Path) -> None:
    with memory_group(512 * MIB) as group:
        file = folder_of(tmp_path / "api", predictor=SMALL)
        with serving(file, tmp_path / "ringback.db", group=group) as server:
            told = requests.post(f"{server.url}/echo", json=24, headers={"Prefer": "wait=30"}, timeout=40).json()
            assert (told["status"], told["result"]) == ("completed", 9)
            assert group.kills >= 1
            assert server.terminate() == 0
