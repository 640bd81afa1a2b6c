"""SIGTERM: what runs may end, what waits is handed back, nothing is lost, exit status 0."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import requests

from support.catcher import Catcher
from support.processes import serving
from support.served import folder_of
from support.waiting import until

pytestmark = pytest.mark.every_engine


def submit(url: str, payload: object) -> str:
    return str(requests.post(f"{url}/echo", json=payload, timeout=10).json()["id"])


def status(url: str, workload_id: str) -> str:
    return str(requests.get(f"{url}/echo/{workload_id}", timeout=10).json()["status"])


def test_what_runs_ends_and_what_waits_runs_after_the_next_start(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            running = submit(server.url, {"sleep": 1})
            waiting = [submit(server.url, {"n": n}) for n in range(200)]
            replicas = server.replicas()

            assert server.terminate() == 0

            assert running in catcher.ids(), server.log()
            assert not any(Path(f"/proc/{pid}").exists() for pid in replicas)
            server.start_and_wait()
            catcher.wait_for_all({running, *waiting}, within=30)
            assert server.terminate() == 0
        assert all(len(catcher.of(each)) == 1 for each in waiting)
        assert {each.json["status"] for each in catcher.all()} == {"completed"}


def test_a_ctrl_c_is_as_good(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db") as server:
        os.kill(server.pid, signal.SIGINT)

        assert server.wait_for_end() == 0


def test_a_second_signal_hands_back_at_once_what_runs(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", retries={"max_attempts": 1, "max_losses": 1})
    with serving(file, tmp_path / "store" / "ringback.db", options=("--grace", "10m")) as server:
        running = submit(server.url, {"sleep": 600})
        until(lambda: status(server.url, running) == "in_progress", within=10, wanted="it running")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: "server.stopping" in server.log(), within=10, wanted="a word that it stops")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait_for_end(within=5) == 1
        server.start_and_wait()
        until(lambda: status(server.url, running) == "in_progress", within=10, wanted="it running again")
        attempts = requests.get(f"{server.url}/-/workloads/{running}", timeout=10).json()["attempts"]
        assert [each["ended"] for each in attempts] == ["interrupted", "running"]
        server.kill()


def test_an_idle_server_goes_at_once(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db") as server:
        os.kill(server.pid, signal.SIGTERM)

        assert server.wait_for_end(within=3) == 0
