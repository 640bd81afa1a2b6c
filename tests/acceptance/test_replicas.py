"""What the file says of a replica holds for its process: several at once, its surroundings, its share of workloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
import requests

from support.ground import is_on_ray
from support.processes import Server, serving
from support.served import file_of
from support.waiting import until

pytestmark = pytest.mark.every_engine

TOGETHER: Final = 3

PREDICTORS: Final = {
    "threads": f"""
import os
from threading import Barrier

class PythonPredictor:
    def __init__(self, config):
        self.all = Barrier({TOGETHER})

    def predict(self, payload):
        self.all.wait(20)  # breaks unless so many are here
        return os.getpid()
""",
    "tasks": f"""
import asyncio
import os

class PythonPredictor:
    def __init__(self, config):
        self.all = asyncio.Barrier({TOGETHER})

    async def predict(self, payload):
        async with asyncio.timeout(20):
            await self.all.wait()
        return os.getpid()
""",
    "surroundings": """
import os

from phrases import greeting  # beside it by python_path alone

class PythonPredictor:
    def __init__(self, config):
        self.greeting = greeting(config["name"])

    def predict(self, payload):
        return [self.greeting, os.environ["TONE"], os.environ.get("RINGBACK_TEST_OUTER")]
""",
    "stoppable": """
import asyncio
import os
from pathlib import Path

class PythonPredictor:
    async def predict(self, payload, request_id):
        Path("begun-" + request_id).touch()
        try:
            await asyncio.sleep(payload.get("seconds", 0))
        except asyncio.CancelledError:
            Path("stopped-" + request_id).touch()
            raise
        return os.getpid()
""",
    "closable": """
import os
import time
from pathlib import Path

class PythonPredictor:
    def predict(self, payload, request_id):
        try:
            yield os.getpid()
            Path("begun-" + request_id).touch()
            while payload.get("seconds", 0):
                yield "more"
                time.sleep(0.01)
        finally:
            Path("stopped-" + request_id).touch()
""",
    "recycled": """
import os

class PythonPredictor:
    def predict(self, payload):
        return os.getpid()
""",
}

MORE: Final[dict[str, dict[str, Any]]] = {
    "threads": {"concurrency": TOGETHER},
    "tasks": {"concurrency": TOGETHER},
    "stoppable": {"concurrency": 2, "cancel_grace": "1h"},
    "closable": {"cancel_grace": "1h"},
    "recycled": {"recycle_after": 2},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All of them in one file, each with replicas of its own."""
    folder = tmp_path_factory.mktemp("replicas")
    (folder / "lib").mkdir()
    (folder / "lib" / "phrases.py").write_text("def greeting(name): return f'hello {name}'\n")
    apis = []
    for name, text in PREDICTORS.items():
        (folder / f"{name}.py").write_text(text)
        predictor: dict[str, Any] = {"path": f"{name}.py"}
        if name == "surroundings":
            predictor |= {"python_path": "lib", "env": {"TONE": "kind"}, "config": {"name": "Ada"}}
        apis.append({"name": name, "predictor": predictor, **MORE.get(name, {})})
    env = {"RINGBACK_TEST_OUTER": "outer"}
    with serving(file_of(folder, *apis), folder / "store" / "ringback.db", env=env) as running:
        yield running


def run(server: Server, api: str) -> Any:
    told = requests.post(f"{server.url}/{api}", json={}, headers={"Prefer": "wait=30"}, timeout=40).json()
    assert told["status"] == "completed", told
    return told["result"]


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_one_process_runs_several_at_once(kind: str, server: Server) -> None:
    with ThreadPoolExecutor(TOGETHER) as clients:
        pids = set(clients.map(lambda _: run(server, kind), range(TOGETHER)))
    assert len(pids) == 1
    assert pids < server.replicas()


def test_its_surroundings_are_those_of_the_file(server: Server) -> None:
    hosts_own = None if is_on_ray() else "outer"
    assert run(server, "surroundings") == ["hello Ada", "kind", hosts_own]


@pytest.mark.parametrize("kind", ["stoppable", "closable"])
def test_a_coroutine_or_a_generator_is_stopped_where_it_waits_and_its_process_goes_on(
    kind: str, server: Server
) -> None:
    before = run(server, kind)
    answer = requests.post(f"{server.url}/{kind}", json={"seconds": 3_600}, timeout=10)
    workload_id = str(answer.json()["id"])
    folder = server.file.parent
    until((folder / f"begun-{workload_id}").exists, within=20, wanted="begun")
    assert not (folder / f"stopped-{workload_id}").exists()
    server.ringback("cancel", kind, workload_id, "--wait")
    told = requests.get(f"{server.url}/{kind}/{workload_id}", timeout=10).json()
    assert told == {"id": workload_id, "status": "canceled"}
    assert (folder / f"stopped-{workload_id}").exists()
    assert run(server, kind) == before, "the same process"


def test_after_its_share_of_workloads_another_takes_over(server: Server) -> None:
    pids = [run(server, "recycled") for _ in range(7)]
    assert max(Counter(pids).values()) <= 2
    assert pids == sorted(pids, key=pids.index), "one after the other"
    assert len(set(pids)) >= 4
