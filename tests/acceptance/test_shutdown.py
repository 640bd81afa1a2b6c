"""SIGTERM: what runs may end, what waits is handed back, nothing is lost, exit status 0."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import requests

from support.catcher import Catcher
from support.processes import serving
from support.served import folder_of


def submit(url: str, payload: object) -> str:
    return str(requests.post(f"{url}/echo", json=payload, timeout=10).json()["id"])


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


def test_an_idle_server_goes_at_once(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db") as server:
        os.kill(server.pid, signal.SIGTERM)

        assert server.wait_for_end(within=3) == 0
