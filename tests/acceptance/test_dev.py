"""`ringback dev`, as somebody uses it who writes a predictor: save, submit, look, break it, mend it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from support.processes import RINGBACK, Server, ringback, start_seconds
from support.waiting import until

pytestmark = pytest.mark.every_engine

QUICK = "class PythonPredictor:\n    def __init__(self, config):\n        pass\n\n"
SLOW = f"""import pathlib
import time

{QUICK}    def predict(self, payload):
        while not pathlib.Path(GATE).exists():
            time.sleep(0.01)
        return 'one'
"""
OTHER = "- name: other\n  predictor: {path: other/predictor.py}\n"


def saved(folder: Path, line: str) -> None:
    """Save a predictor that does this."""
    (folder / "predictor.py").write_text(f"{QUICK}    def predict(self, payload):\n        {line}\n")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    assert ringback("init", str(tmp_path / "hello")).returncode == 0
    saved(tmp_path / "hello", "return 'one'")
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho $1 > {tmp_path / 'opened'}\n")
    browser.chmod(0o700)
    started = Server(
        file=tmp_path / "hello" / "ringback.yaml",
        store=tmp_path / "store" / "ringback.db",
        command="dev",
        env={"DISPLAY": ":of-nobody", "BROWSER": f"{browser} %s"},
    )
    started.start_and_wait()
    try:
        yield started
    finally:
        started.close()


def submit(server: Server, api: str = "hello") -> str:
    answer = requests.post(f"{server.url}/{api}", json={"name": "Ada"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def result(server: Server, workload_id: str, api: str = "hello") -> Any:
    return requests.get(f"{server.url}/{api}/{workload_id}?wait=20", timeout=30).json().get("result")


def ready(server: Server, times: int, api: str = "hello") -> None:
    until(
        lambda: server.log().count(f"{api:20} ready") == times,
        within=start_seconds(),
        wanted=f"{api} ready, time {times}",
    )


def captured(server: Server) -> list[dict[str, Any]]:
    """What has come in at the inbox of `ringback dev`, newest first."""
    json = {"Accept": "application/json"}
    [inbox] = requests.get(f"{server.url}/-/inspector", headers=json, timeout=10).json()["inboxes"]
    found: list[dict[str, Any]] = requests.get(
        f"{server.url}/-/inspector/{inbox['id']}", headers=json, timeout=10
    ).json()["captures"]
    return found


def test_what_is_submitted_rings_the_inspector_with_a_good_signature(server: Server, tmp_path: Path) -> None:
    workload_id = submit(server)
    assert result(server, workload_id) == "one"
    [webhook] = until(lambda: captured(server), within=start_seconds(), wanted="a webhook in the inspector")

    assert webhook["verdict"]["reason"] == "good"
    until(lambda: "webhook to hello" in server.log(), within=10, wanted="the webhook's line")
    log = server.log()
    [line] = [line for line in log.splitlines() if workload_id in line]
    assert "completed" in line
    assert (tmp_path / "opened").read_text() == f"{server.url}/\n"
    assert f"Dashboard  {server.url}/\n" in log
    assert f"Webhooks   {server.url}/-/inspector/{webhook['inbox']}\n" in log


def test_a_save_is_served_a_mistake_is_told_once_and_mended_by_the_next_save(server: Server) -> None:
    folder = server.file.parent
    saved(folder, "return 'two'")
    ready(server, 2)
    assert result(server, submit(server)) == "two"

    saved(folder, "return (")
    until(lambda: "does not load" in server.log(), within=start_seconds(), wanted="a word about the mistake")
    assert result(server, submit(server)) == "two", "what was served before goes on"
    first = server.replicas()
    until(lambda: server.replicas() != first, within=start_seconds(), wanted="the next try")
    log = server.log()
    assert log.count("does not load") == log.count("SyntaxError") == 1
    assert f'File "{folder / "predictor.py"}", line 6' in log
    assert "importlib" not in log

    good = server.file.read_text()
    server.file.write_text(f"{good}  nonsense: 1\n")
    until(
        lambda: "nonsense: there is no such key" in server.log(), within=start_seconds(), wanted="a word about the file"
    )
    server.file.write_text(good)
    saved(folder, "return 'three'")
    ready(server, 3)
    assert result(server, submit(server)) == "three"
    assert server.terminate() == 0


def test_a_save_cuts_off_nothing_and_concerns_only_whose_code_it_is(server: Server, tmp_path: Path) -> None:
    folder, gate = server.file.parent, tmp_path / "gate"
    (folder / "other").mkdir()
    (folder / "other" / "predictor.py").write_text(f"{QUICK}    def predict(self, payload):\n        return 'other'\n")
    with server.file.open("a") as file:
        file.write(OTHER)
    ready(server, 1, "other")

    (folder / "predictor.py").write_text(SLOW.replace("GATE", repr(str(gate))))
    ready(server, 3)  # the file in its folder was another's, so the second time was the file's
    running = submit(server)
    with requests.get(f"{server.url}/hello/{running}/events", stream=True, timeout=30) as stream:
        lines = stream.iter_lines()
        assert any(b"in_progress" in line for line in lines)
        saved(folder, "return 'two'")
        ready(server, 4)
        assert result(server, submit(server)) == "two", "served while the one before still runs"
        gate.touch()
        assert any(b"completed" in line for line in lines), "on the very connection"
    answer = requests.get(f"{server.url}/hello?limit=10", timeout=10).json()["workloads"]
    assert {each["attempt"] for each in answer} == {1}, "nothing ran twice"
    assert result(server, running) == "one"
    assert server.log().count(f"{'other':20} ready") == 1


def test_sighup_keeps_the_inbox_and_two_interrupts_end_it_without_a_word(server: Server) -> None:
    os.kill(server.pid, signal.SIGHUP)
    ready(server, 2)
    saved(server.file.parent, "__import__('time').sleep(60)")
    ready(server, 3)
    running = submit(server)
    until(
        lambda: requests.get(f"{server.url}/hello/{running}", timeout=10).json()["status"] == "in_progress",
        within=start_seconds(),
        wanted="it running",
    )
    [api] = requests.get(f"{server.url}/-/endpoints", timeout=10).json()["endpoints"]
    assert "/-/inspector/in/" in api["url"]
    os.kill(server.pid, signal.SIGINT)
    until(lambda: "stopping" in server.log(), within=10, wanted="a word that it stops")
    os.kill(server.pid, signal.SIGINT)
    assert server.wait_for_end() in {0, 1}
    assert "Traceback" not in server.log()


def test_top_shows_it_live_in_a_terminal_until_interrupted(server: Server) -> None:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    seen = bytearray()

    def shows(word: str) -> bool:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(ours, 65_536):
                seen.extend(piece)
        return word in seen.decode(errors="replace")

    command = [RINGBACK, "top", "--every", "0.2", "--url", server.url]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    top = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True)
    try:
        until(lambda: shows("ready"), within=start_seconds(), wanted="the API, ready")
        saved(server.file.parent, "return (")
        until(
            lambda: shows("invalid syntax") or shows("never closed"), within=start_seconds(), wanted="what is wrong now"
        )
        top.send_signal(signal.SIGINT)
        assert top.wait(20) == 0
        assert not shows("Traceback")
    finally:
        top.kill()
        top.wait()
        for each in (ours, theirs):
            os.close(each)
