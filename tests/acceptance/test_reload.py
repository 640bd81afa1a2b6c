"""SIGHUP: another version without a workload lost; a file that is wrong changes nothing and says where."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from support.catcher import Catcher
from support.processes import Server, serving
from support.served import file_of, folder_of
from support.waiting import until

pytestmark = pytest.mark.every_engine


def version(number: int, *, before: str = "pass") -> str:
    return f"""
import time

class PythonPredictor:
    def __init__(self):
        {before}
    def predict(self, payload):
        time.sleep(0.02)
        return {number}
"""


def hang_up(server: Server, reloaded: int) -> None:
    """SIGHUP, and wait until the file has been read so often."""
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: server.log().count("file.reloaded") == reloaded, within=20, wanted="the file read again")


def submit(server: Server, api: str = "echo") -> str:
    answer = requests.post(f"{server.url}/{api}", json={}, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def ended(server: Server, workload_id: str, api: str = "echo") -> dict[str, Any]:
    return dict(requests.get(f"{server.url}/{api}/{workload_id}?wait=60", timeout=70).json())


@contextmanager
def constant_load(server: Server, ids: list[str]) -> Iterator[None]:
    """Submit all the time, from one thread; `ids` grows."""
    enough = threading.Event()

    def run() -> None:
        with requests.Session() as session:
            while not enough.is_set():
                ids.append(str(session.post(f"{server.url}/echo", json={}, timeout=10).json()["id"]))
                enough.wait(0.005)

    loading = threading.Thread(target=run)
    loading.start()
    try:
        yield
    finally:
        enough.set()
        loading.join()


def test_under_constant_load_nothing_is_lost_and_the_versions_come_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    file = folder_of(folder, predictor=version(1), autoscaling={"min_replicas": 2, "max_replicas": 2})
    ids: list[str] = []
    with serving(file, tmp_path / "ringback.db") as server:
        with constant_load(server, ids):
            until(lambda: len(ids) > 50, within=20, wanted="some load")
            for number in (2, 3):
                (folder / "predictor.py").write_text(version(number))
                hang_up(server, number - 1)
                until(
                    lambda many=number - 1: server.log().count("api.replaced") == many,  # type: ignore[misc]
                    within=30,
                    wanted="both replicas replaced",
                )
        ids.append(submit(server))
        answers = [ended(server, each) for each in ids]
        assert {each["status"] for each in answers} == {"completed"}, "none lost"
        results = [each["result"] for each in answers]
        assert {1, 2, 3} == set(results)
        last_of_1, first_of_3 = len(results) - 1 - results[::-1].index(1), results.index(3)
        assert last_of_1 < first_of_3, "version 1 had been replaced before version 3 began"
        assert results[-1] == 3, "once it has been replaced, nothing more is given to version 2"
        page = requests.get(f"{server.url}/echo?limit=1000", timeout=10).json()["workloads"]
        assert {each["attempt"] for each in page} == {1}, "nor run twice"
        assert "replica.lost" not in server.log()
        assert server.terminate() == 0


def test_a_file_that_is_wrong_changes_nothing_and_says_where(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=version(1))
    right = file.read_text()
    with serving(file, tmp_path / "ringback.db") as server:
        replicas = server.replicas()
        file.write_text("- name: echo\n  predictor: {pth: predictor.py}\n")
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: "file.refused" in server.log(), within=20, wanted="a word about the file")
        assert f"{file}:2:15: [0].predictor.pth: there is no such key; did you mean 'path'?" in server.log()
        assert ended(server, submit(server))["result"] == 1
        assert server.replicas() == replicas
        file.write_text(right)
        hang_up(server, 1)
        assert server.terminate() == 0


def test_a_version_that_does_not_start_leaves_the_old_one_serving(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    file = folder_of(folder, predictor=version(1))
    with serving(file, tmp_path / "ringback.db") as server:
        (folder / "predictor.py").write_text(version(2, before="raise OSError('no model')"))
        hang_up(server, 1)
        state = until(
            lambda: [
                each
                for each in [requests.get(f"{server.url}/readyz", timeout=10).json()["apis"]["echo"]]
                if each["problem"]
            ],
            within=20,
            wanted="the problem told",
        )[0]
        assert state["ready"]
        assert "no model" in state["problem"]
        assert ended(server, submit(server))["result"] == 1
        (folder / "predictor.py").write_text(version(2))
        hang_up(server, 2)
        until(lambda: "api.replaced" in server.log(), within=20, wanted="the mended version")
        assert ended(server, submit(server))["result"] == 2
        assert server.terminate() == 0


def test_apis_and_webhooks_come_change_and_go(tmp_path: Path) -> None:
    folder_of(tmp_path, predictor=version(1))
    common = {"kind": "AsyncAPI", "predictor": {"type": "python", "path": "predictor.py"}}

    def told(catcher: Catcher) -> dict[str, Any]:
        return {"webhook": {"url": catcher.url}}

    with Catcher() as first, Catcher() as second:
        file = file_of(tmp_path, {"name": "old", **common}, {"name": "kept", **common, **told(first)})
        with serving(file, tmp_path / "ringback.db") as server:
            before = submit(server, "kept")
            first.wait_for_all({before}, within=20)
            file_of(tmp_path, {"name": "kept", **common, **told(second)}, {"name": "new", **common})
            hang_up(server, 1)
            assert requests.post(f"{server.url}/old", json={}, timeout=10).status_code == 404
            assert ended(server, submit(server, "new"), "new")["status"] == "completed"
            after = submit(server, "kept")
            second.wait_for_all({after}, within=20)
            assert after not in first.ids()
            until(lambda: len(server.replicas()) == 2, within=20, wanted="the replica of the old API gone")
            assert set(requests.get(f"{server.url}/readyz", timeout=10).json()["apis"]) == {"kept", "new"}
            file_of(tmp_path, {"name": "old", **common})
            hang_up(server, 2)
            assert ended(server, submit(server, "old"), "old")["status"] == "completed", "an API may come back"
            assert server.terminate() == 0
