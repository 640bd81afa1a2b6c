"""The page on a workload's life: its file is served, with its predictors, and its lines are run."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

from ringback import Client
from support.catcher import Catcher
from support.processes import Server, serving
from support.waiting import until

PAGE: Final = (Path(__file__).parents[2] / "docs" / "lives.md").read_text()
ID: Final = "order-17"
PAGES: Final = 100

READ: Final = """import time


def read(page):
    time.sleep(0.03)


"""
WORK_ON: Final = """import pathlib
import time


def work_on(step):
    with pathlib.Path("steps").open("a") as file:
        file.write(f"{step}\\n")
    time.sleep(0.1)


"""

STEPS: Final = """
- name: steps
  predictor: {path: resuming.py}
"""


def blocks(language: str) -> list[str]:
    """The page's blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lives")


@pytest.fixture(scope="module")
def catcher() -> Iterator[Catcher]:
    with Catcher() as catching:
        yield catching


@pytest.fixture(scope="module")
def server(folder: Path, catcher: Catcher) -> Iterator[Server]:
    """The page's own file, and beside its API one for the second predictor."""
    [file] = blocks("yaml")
    heeding, resuming = blocks("python")
    (folder / "predictor.py").write_text(READ + heeding)
    (folder / "resuming.py").write_text(WORK_ON + resuming)
    assert "https://example.com/hooks/iris" in file
    written = folder / "ringback.yaml"
    written.write_text(file.replace("https://example.com/hooks/iris", catcher.url) + STEPS)
    with serving(written, folder / "store" / "ringback.db") as running:
        yield running


def run(server: Server, line: str) -> str:
    """What a line of the page prints."""
    if line.startswith("ringback "):
        return server.ringback(*line.split()[1:])
    words = re.fullmatch(r"curl -X (\w+) http://127\.0\.0\.1:8080(/\S+)", line)
    assert words is not None, line
    answer = requests.request(words[1], f"{server.url}{words[2]}", timeout=10)
    assert answer.ok, answer.text
    return answer.text


def submitted(server: Server, workload_id: str) -> None:
    answer = requests.put(f"{server.url}/iris/{workload_id}", json={"pages": [1] * PAGES}, timeout=10)
    assert answer.status_code == 200, answer.text
    until(lambda: status(server, workload_id) == "in_progress", within=20, wanted=f"{workload_id} begun")


def status(server: Server, workload_id: str) -> str:
    return str(requests.get(f"{server.url}/iris/{workload_id}", timeout=10).json()["status"])


def test_the_lines_that_cancel_retry_and_erase(server: Server, catcher: Catcher) -> None:
    canceling, retrying, erasing = (block.splitlines() for block in blocks("sh"))
    submitted(server, ID)
    assert json.loads(run(server, canceling[0])) == {"id": ID, "status": "in_progress"}
    assert "canceled" in run(server, canceling[1])
    assert json.loads(catcher.wait_for(ID).body)["status"] == "canceled"

    assert json.loads(run(server, retrying[0])) == {"id": ID, "status": "in_queue"}
    until(lambda: status(server, ID) == "in_progress", within=20, wanted="another attempt")
    run(server, canceling[0])  # else the next line may find that it has completed, and be refused
    until(lambda: status(server, ID) == "canceled", within=20, wanted="its end")
    assert "completed" in run(server, retrying[1])
    assert re.findall(r"canceled|completed", run(server, retrying[2])) == ["canceled", "canceled", "completed"]

    for line in erasing:
        run(server, line)
    assert requests.get(f"{server.url}/iris/{ID}", timeout=10).status_code == 410


def test_the_call_that_cancels(server: Server) -> None:
    submitted(server, "order-18")
    with Client(server.url) as client:
        handle = client.get("iris", "order-18")
        handle.cancel()
        assert handle.wait(timeout=30).status == "canceled"


def test_the_predictor_with_checkpoints_goes_on_where_it_was(server: Server, folder: Path) -> None:
    done = folder / "steps"
    workload_id = requests.post(f"{server.url}/steps", json={"steps": 20}, timeout=10).json()["id"]
    until(lambda: done.exists() and len(done.read_text().split()) >= 5, within=20, wanted="some steps")
    replicas = server.replicas()
    for replica in replicas:
        os.kill(replica, signal.SIGKILL)
    told = requests.get(f"{server.url}/steps/{workload_id}?wait=30", timeout=40).json()
    assert (told["status"], told["result"]) == ("completed", 20)
    steps = [int(step) for step in done.read_text().split()]
    assert sorted(set(steps)) == list(range(20))
    assert len(steps) <= 21  # the one that was under way begins anew
