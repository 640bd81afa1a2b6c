"""The pages on replicas and on autoscaling: their files are served together, their lines are run."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import indent
from typing import Any, Final

import requests

from support.processes import Server, serving
from support.waiting import until

DOCS: Final = Path(__file__).parents[2] / "docs"
TOGETHER: Final = 8
"""The page's own `concurrency`."""

PREDICTOR: Final = f"""
import os
from threading import Barrier


class PythonPredictor:
    def __init__(self, config, metrics_client):
        self.metrics = metrics_client
        self.all = Barrier({TOGETHER})

    def predict(self, payload):
        if payload["together"]:
            self.all.wait(20)
"""


def blocks(page: str, language: str) -> list[str]:
    """A page's blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def run(server: Server, api: str, *, together: bool) -> int:
    """The process that has run it."""
    answer = requests.post(
        f"{server.url}/{api}", json={"together": together}, headers={"Prefer": "wait=30"}, timeout=40
    ).json()
    assert answer["status"] == "completed", answer
    pid: int = answer["result"]
    return pid


def readiness(server: Server) -> dict[str, Any]:
    told: dict[str, Any] = requests.get(f"{server.url}/readyz", timeout=10).json()["apis"]
    return told


def test_what_the_pages_on_replicas_show_is_done(tmp_path: Path) -> None:
    [resize], [counting], lines = (blocks("replicas.md", each) for each in ("yaml", "python", "sh"))
    [asleep] = blocks("autoscaling.md", "yaml")
    [hang_up] = [line for block in lines for line in block.splitlines() if line.startswith("kill -HUP PID")]
    (tmp_path / "ringback.yaml").write_text(resize + asleep)
    (tmp_path / "predictor.py").write_text(PREDICTOR + indent(counting, " " * 8) + "        return os.getpid()\n")
    with serving(tmp_path / "ringback.yaml", tmp_path / "store" / "ringback.db") as server:
        state = readiness(server)
        assert {name: (each["replicas"], each["ready"]) for name, each in state.items()} == {
            "resize": (1, True),
            "iris": (0, True),
        }
        with ThreadPoolExecutor(TOGETHER) as clients:
            [pid] = set(clients.map(lambda _: run(server, "resize", together=True), range(TOGETHER)))
        run(server, "iris", together=False)  # which wakes it
        assert readiness(server)["iris"]["replicas"] == 1

        counted = {
            'flowers_total{api="resize",kind="rose"} 8.0',
            'queue_depth{api="iris"} 42.0',
            'image_bytes_sum{api="resize"} 800000.0',
        }
        until(
            lambda: counted <= set(requests.get(f"{server.url}/metrics", timeout=10).text.splitlines()),
            within=10,
            wanted=f"{counted} under /metrics",
        )

        subprocess.run(["bash", "-c", hang_up.replace("PID", str(server.pid))], check=True, timeout=10)
        until(lambda: server.log().count("api.replaced") == 2, within=30, wanted="the replicas of both replaced")
        assert pid not in server.replicas()
        assert server.terminate() == 0
