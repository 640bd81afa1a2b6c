"""`ringback dev`, as somebody uses it who writes a predictor: save, submit, look, break it, mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from support.processes import Server, ringback
from support.waiting import until

QUICK = "class PythonPredictor:\n    def __init__(self, config):\n        pass\n\n"


def saved(folder: Path, line: str) -> None:
    """Save a predictor that does this."""
    (folder / "predictor.py").write_text(f"{QUICK}    def predict(self, payload):\n        {line}\n")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    assert ringback("init", str(tmp_path / "hello")).returncode == 0
    saved(tmp_path / "hello", "return 'one'")
    started = Server(
        file=tmp_path / "hello" / "ringback.yaml",
        store=tmp_path / "store" / "ringback.db",
        command="dev",
        options=["--no-open"],
    )
    started.start_and_wait()
    try:
        yield started
    finally:
        started.close()


def submit(server: Server) -> str:
    """Submit once it is taken in: a server that is starting over says so for a moment."""

    def accepted() -> str | None:
        answer = requests.post(f"{server.url}/hello", json={"name": "Ada"}, timeout=10)
        return answer.json()["id"] if answer.status_code == 200 else None

    workload_id = until(accepted, within=20, wanted="a submit that is accepted")
    assert workload_id is not None
    return workload_id


def result(server: Server, workload_id: str) -> Any:
    return requests.get(f"{server.url}/hello/{workload_id}?wait=20", timeout=30).json().get("result")


def captured(server: Server) -> list[dict[str, Any]]:
    """What has come in at the inbox of `ringback dev`, newest first."""
    json = {"Accept": "application/json"}
    [inbox] = requests.get(f"{server.url}/-/inspector", headers=json, timeout=10).json()["inboxes"]
    found: list[dict[str, Any]] = requests.get(
        f"{server.url}/-/inspector/{inbox['id']}", headers=json, timeout=10
    ).json()["captures"]
    return found


def test_what_is_submitted_rings_the_inspector_with_a_good_signature(server: Server) -> None:
    workload_id = submit(server)
    assert result(server, workload_id) == "one"
    [webhook] = until(lambda: captured(server), within=20, wanted="a webhook in the inspector")

    assert webhook["verdict"]["reason"] == "good"
    until(lambda: "webhook to hello" in server.log(), within=10, wanted="the webhook's line")
    log = server.log()
    assert "completed" in log
    assert f"Dashboard: {server.url}/   Webhooks: {server.url}/-/inspector" in log


def test_a_save_is_served_a_mistake_is_told_and_mended_by_the_next_save(server: Server) -> None:
    folder = server.file.parent
    saved(folder, "return 'two'")
    until(lambda: server.log().count("hello                ready") == 2, within=20, wanted="the saved predictor, ready")
    assert result(server, submit(server)) == "two"

    saved(folder, "return (")
    until(lambda: "does not load" in server.log(), within=20, wanted="a word about the mistake")
    assert "predictor.py" in server.log()
    assert "SyntaxError" in server.log()

    good = server.file.read_text()
    server.file.write_text(f"{good}  nonsense: 1\n")
    until(lambda: "nonsense: there is no such key" in server.log(), within=20, wanted="a word about the file")
    server.file.write_text(good)
    saved(folder, "return 'three'")
    until(lambda: server.log().count("hello                ready") == 3, within=20, wanted="the mended one, ready")
    assert result(server, submit(server)) == "three"
    assert server.terminate() == 0
