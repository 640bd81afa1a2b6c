"""An API with packages of its own, through the real command: made ahead or while it is served, told when it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests

from support.packages import wheel
from support.processes import RINGBACK, ringback, serving
from support.served import file_of, folder_of
from support.waiting import until

pytestmark = [
    pytest.mark.every_engine,
    pytest.mark.on_this_machine("on Ray it is Ray that makes them: tests/integration/work/test_ray.py"),
]

FLOWERS = """
import flowers

class PythonPredictor:
    def predict(self, payload):
        return flowers.NAME
"""


def with_requirements(folder: Path, text: str) -> Path:
    dependencies = {"pip": "requirements.txt"}
    predictor = {"type": "python", "path": "predictor.py", "dependencies": dependencies}
    folder_of(folder, predictor=FLOWERS)
    (folder / "requirements.txt").write_text(text)
    return file_of(folder, {"name": "echo", "kind": "AsyncAPI", "predictor": predictor})


def test_a_package_that_only_the_api_has(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    file = with_requirements(folder, "./flowers-1.0-py3-none-any.whl\n")
    wheel(folder, "flowers", "1.0", "NAME = 'rose'\n")
    with serving(file, tmp_path / "ringback.db", ready=False) as server:
        state = server.wait_for("/readyz", 503).json()["apis"]["echo"]
        assert (state["ready"], state["problem"]) == (False, None)
        assert state["preparing"] == "installing requirements.txt"
        waits = requests.post(f"{server.url}/echo", json={}, timeout=10)
        assert waits.status_code == 200, "taken in meanwhile"
        server.wait_for("/readyz", 200, within=60)
        ended = requests.get(f"{server.url}/echo/{waits.json()['id']}?wait=30", timeout=40).json()
        assert ended["result"] == "rose"
        assert server.terminate() == 0
        assert ringback("check", str(file)).stderr == ""
        server.start_and_wait()
        assert server.log().count("environment.made") == 1, "made once"
        assert server.terminate() == 0


def test_uv_makes_it_where_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "api"
    file = with_requirements(folder, "./flowers-1.0-py3-none-any.whl\n")
    wheel(folder, "flowers", "1.0", "NAME = 'tulip'\n")
    path = f"{RINGBACK.parent}{os.pathsep}{os.environ['PATH']}"
    with serving(file, tmp_path / "ringback.db", ready=False, env={"PATH": path}) as server:
        server.wait_for("/readyz", 200, within=60)
        told = requests.post(f"{server.url}/echo", json={}, headers={"Prefer": "wait=30"}, timeout=40).json()
        assert told["result"] == "tulip"
        [made] = folder.glob(".ringback/environments/*/pyvenv.cfg")
        assert "\nuv = " in made.read_text(), "which uv writes, and venv does not"
        assert server.terminate() == 0


def test_what_cannot_be_installed_is_told_by_readyz_and_by_check(tmp_path: Path) -> None:
    file = with_requirements(tmp_path / "api", "--no-index\nnosuchflower==1.0\n")
    before = ringback("check", str(file))
    assert before.returncode == 0
    assert before.stderr == "echo: requirements.txt is not installed yet; serve does that, or check --install\n"
    with serving(file, tmp_path / "ringback.db", ready=False) as server:
        server.wait_for("/healthz", 200)

        def problem() -> str:
            return str(server.wait_for("/readyz", 503).json()["apis"]["echo"]["problem"] or "")

        told = until(problem, within=60, wanted="the installer's words")
        assert "requirements.txt cannot be installed: " in told
        assert "nosuchflower" in told
        refused = requests.post(f"{server.url}/echo", json={}, timeout=10)
        assert refused.status_code == 503
        assert "nosuchflower" in refused.json()["detail"]
        assert server.terminate() == 0
    assert "nosuchflower" in ringback("check", str(file)).stderr
    installing = ringback("check", "--install", str(file), within=60)  # as long as the server may take
    assert installing.returncode == 1
    assert "nosuchflower" in installing.stderr
