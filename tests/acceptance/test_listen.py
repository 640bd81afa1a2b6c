"""`ringback listen`: captures in the terminal, from a running server or from a small one of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from ringback.core.clock import SECOND, SystemClock
from ringback.core.signing import Signer
from support.catcher import Catcher
from support.processes import RINGBACK, free_port, serving
from support.served import SECRET, folder_of


@contextmanager
def listening(*arguments: str, url: str | None = None) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command with `--json`, and what it says first."""
    at = url or f"http://127.0.0.1:{free_port()}"
    command = [RINGBACK, "--json", "--url", at, "listen", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            if process.poll() is None:
                process.kill()


def ring(url: str, body: bytes = b'{"id": "w1"}') -> None:
    stamp = SystemClock().now() // SECOND
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": Signer(SECRET).sign("msg_1", stamp, body),
    }
    requests.post(url, data=body, headers=headers, timeout=10).raise_for_status()


def next_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def test_it_brings_a_small_server_where_none_runs_and_takes_it_away(tmp_path: Path) -> None:
    with listening("--secret", SECRET) as (process, first):
        url = first["inbox"]["url"]
        ring(url)
        assert next_of(process)["verdict"]["reason"] == "good"
        requests.put(f"{url}/path?q=1", data=b"plain", timeout=10)
        told = next_of(process)
        assert (told["number"], told["method"], told["target"], told["begins"]) == (2, "PUT", "/path?q=1", "plain")
        assert "<title>" in requests.get(first["page"], headers={"Accept": "text/html"}, timeout=10).text
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_it_uses_the_running_server_and_sends_on(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path), tmp_path / "r.db") as server, Catcher() as catcher:
        with listening("--forward", catcher.url, "--count", "1", url=server.url) as (process, first):
            assert first["inbox"]["url"].startswith(server.url)
            ring(first["inbox"]["url"])
            told = next_of(process)
            assert process.wait(20) == 0
        assert told["forwarded"]["status"] == 200
        assert catcher.wait_for("w1").headers["webhook-id"] == "msg_1"
        assert requests.get(f"{server.url}/-/inspector", timeout=10).json()["inboxes"] == []


def test_a_named_inbox_stays_and_the_server_may_go_away_in_between(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path), tmp_path / "r.db") as server:
        with listening("--inbox", "orders", "--count", "2", url=server.url) as (process, first):
            ring(first["inbox"]["url"])
            assert next_of(process)["number"] == 1
            server.kill()
            server.start_and_wait()
            ring(first["inbox"]["url"])
            assert next_of(process)["number"] == 2
            assert process.wait(20) == 0
        [box] = requests.get(f"{server.url}/-/inspector", timeout=10).json()["inboxes"]
        assert (box["name"], box["captured"]) == ("orders", 2)


def test_words_for_people(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path), tmp_path / "r.db") as server:
        asked = {"name": "orders", "secret": "whsec_x"}
        box = requests.post(f"{server.url}/-/inspector", json=asked, timeout=10).json()
        command = [RINGBACK, "--url", server.url, "listen", "--inbox", "orders", "--count", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == box["url"]
            ring(box["url"])
            said = process.stdout.read()
            assert process.wait(20) == 0
    for words in ("The same in a browser:", "#1  POST", "malformed secret", "answered 200", "msg_1", '{"id": "w1"}'):
        assert words in said, said


def test_what_is_amiss_is_said(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path), tmp_path / "r.db", options=["--no-inspector"]) as server:
        done = subprocess.run(
            [RINGBACK, "--url", server.url, "listen"], capture_output=True, text=True, timeout=30, check=False
        )
    assert (done.returncode, done.stderr) == (1, "ringback: the server has no inspector: start it with --inspector\n")
    done = subprocess.run(
        [RINGBACK, "listen", "--forward", "here"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, "is no URL" in done.stderr) == (2, True)
