"""What a file's `retention` says is kept for so long by the real server, and then no longer."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from ringback.core.clock import SystemClock, isoformat
from support.catcher import Catcher
from support.processes import Server, serving
from support.served import file_of
from support.waiting import until

pytestmark = pytest.mark.every_engine

LARGE: Final = "x" * 2_000_000
"""So large that payload and result are blobs."""

PREDICTOR: Final = """
import time
from pathlib import Path

class PythonPredictor:
    def predict(self, payload):
        while payload == "held" and not Path("go-on").exists():
            time.sleep(0.01)
        return payload
"""


def served(folder: Path, hook: str, *, long: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "predictor.py").write_text(PREDICTOR)
    code = {"predictor": {"path": "predictor.py"}}
    unheard = {"url": "http://127.0.0.1:9/hook", "retry": ["10ms"]}
    return file_of(
        folder,
        {"name": "brief", **code, "retention": "1s", "concurrency": 2, "webhook": {"url": hook}},
        {"name": "unheard", **code, "retention": "1s", "webhook": unheard},
        {"name": "long", **code, "retention": long},
    )


def put(server: Server, api: str, workload_id: str, payload: str) -> None:
    answer = requests.put(f"{server.url}/{api}/{workload_id}", json=payload, timeout=10)
    assert answer.status_code == 200, answer.text


def state(server: Server, api: str, workload_id: str) -> tuple[int, Any]:
    answer = requests.get(f"{server.url}/{api}/{workload_id}", timeout=10)
    return answer.status_code, answer.json().get("status")


def wait_until(server: Server, api: str, workload_id: str, status_code: int, status: object) -> None:
    until(
        lambda: state(server, api, workload_id) == (status_code, status),
        within=20,
        wanted=f"{workload_id} is {status_code}, {status}",
    )


def wait_until_erased(server: Server, api: str, workload_id: str) -> datetime:
    """Returns a moment at which it was."""
    wait_until(server, api, workload_id, 410, 410)
    return datetime.fromisoformat(isoformat(SystemClock().now()))


def blobs_of(server: Server) -> int:
    return len(list(server.store.parent.glob("blobs/*/??/*")))


def test_what_is_over_is_kept_for_so_long_and_no_longer(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = served(tmp_path / "api", catcher.url, long="1h")
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            put(server, "unheard", "parked", "unheard of")
            put(server, "long", "kept", LARGE)
            put(server, "brief", "running", "held")
            put(server, "brief", "over", LARGE)
            completed_at = datetime.fromisoformat(catcher.wait_for("over").json["timestamp"])
            assert wait_until_erased(server, "brief", "over") - completed_at >= timedelta(seconds=1)

            assert requests.get(f"{server.url}/brief/over/payload", timeout=10).status_code == 410
            wait_until(server, "long", "kept", 200, "completed")
            until(lambda: blobs_of(server) == 2, within=20, wanted="the blobs of the one that is kept, and no others")
            assert state(server, "brief", "running") == (200, "in_progress"), "it counts from the end"
            (file.parent / "go-on").touch()
            assert catcher.wait_for("running").json["status"] == "completed"
            wait_until_erased(server, "brief", "running")

            # A webhook that nobody has received keeps its workload, and what has another time is not touched.
            [parked] = server.ringback("deliveries", "list", "--state", "parked", "--json").splitlines()
            assert json.loads(parked)["workload"] == "parked"
            assert state(server, "unheard", "parked") == (200, "completed")
            assert state(server, "long", "kept") == (200, "completed")

            served(tmp_path / "api", catcher.url, long="1s")
            os.kill(server.pid, signal.SIGHUP)
            wait_until_erased(server, "long", "kept")
            until(lambda: blobs_of(server) == 0, within=20, wanted="no blob")
            assert state(server, "unheard", "parked") == (200, "completed")
