"""The class of the seed document, unchanged: served from a cortex.yaml, it posts its own webhook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from support.catcher import Catcher
from support.processes import serving
from support.served import file_of
from support.waiting import until

pytestmark = pytest.mark.every_engine
EXAMPLE = Path(__file__).parents[2] / "examples" / "seed"

HURRIED = f"""
import importlib.util
import time

time.sleep = lambda seconds: None  # the class says it simulates a long workload; the test need not wait for it

spec = importlib.util.spec_from_file_location("seed_predictor", {str(EXAMPLE / "predictor.py")!r})
seed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seed)
PythonPredictor = seed.PythonPredictor
"""


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    with Catcher() as catcher:
        yield catcher


def test_it_is_served_as_it_stands(tmp_path: Path, catcher: Catcher) -> None:
    store = tmp_path / "store" / "ringback.db"
    with serving(EXAMPLE / "cortex.yaml", store, env={"WEBHOOK_URL": catcher.url}) as server:
        workload_id = requests.post(f"{server.url}/hello", json={}, timeout=10).json()["id"]

        until(
            lambda: requests.get(f"{server.url}/hello/{workload_id}", timeout=10).json()["status"] == "in_progress",
            within=10,
            wanted="in_progress",
        )


def test_its_own_webhook_arrives_once_and_ringback_adds_none(tmp_path: Path, catcher: Catcher) -> None:
    (tmp_path / "hurried.py").write_text(HURRIED)
    predictor = {"type": "python", "path": "hurried.py", "config": {"webhook_url": catcher.url}}
    file = file_of(tmp_path, {"name": "hello", "kind": "AsyncAPI", "predictor": predictor})
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        workload_id = requests.post(f"{server.url}/hello", json={}, timeout=10).json()["id"]

        caught = catcher.wait_for(workload_id)

        assert list(json.loads(caught.body)) == ["id", "status", "result", "timestamp"]
        assert caught.json["status"] == "completed"
        assert caught.json["result"] == {"data": "hello"}
        assert "python-requests" in caught.headers["user-agent"]
        ended = requests.get(f"{server.url}/hello/{workload_id}?wait=10", timeout=20).json()
        assert ended["status"] == "completed"
        assert ended["result"] is None
        assert server.terminate() == 0
    assert len(catcher.all()) == 1
