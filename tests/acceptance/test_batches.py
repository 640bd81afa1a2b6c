"""Batches through the real server: one webhook at the end, nothing half done whatever is killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from support.catcher import Catcher
from support.processes import Server, serving
from support.served import folder_of
from support.waiting import until

HEADERS = {"Content-Type": "application/x-ndjson", "Ringback-Batch": "true"}


def lines(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b'{"n": %d}\n' % number


def counts(server: Server, batch: str) -> dict[str, int]:
    told: dict[str, int] = requests.get(f"{server.url}/-/batches/{batch}", timeout=10).json()["counts"]
    return told


def batch_events(server: Server, batch: str) -> list[dict[str, Any]]:
    """Every delivery of a batch's own webhooks."""
    found = requests.get(f"{server.url}/-/deliveries", params={"api": "-/batches", "id": batch}, timeout=10)
    return found.json().get("deliveries", [])  # type: ignore[no-any-return]


def test_when_the_last_has_ended_one_webhook_says_so_also_over_a_kill(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            answer = requests.post(f"{server.url}/echo", data=lines(2_000), headers=HEADERS, timeout=60)
            told = answer.json()
            assert len(set(told["ids"])) == 2_000
            until(lambda: counts(server, told["batch"])["completed"] > 100, within=30, wanted="some of it done")
            server.kill()
            server.start_and_wait()
            until(lambda: counts(server, told["batch"])["completed"] == 2_000, within=60, wanted="all of it done")
            [delivery] = until(lambda: batch_events(server, told["batch"]), within=10, wanted="the batch's webhook")
            assert delivery["event"] == "batch.completed"
            until(
                lambda: batch_events(server, told["batch"])[0]["state"] == "delivered", within=20, wanted="it arrived"
            )
            results = requests.get(f"{server.url}/-/batches/{told['batch']}/results", timeout=30).text.splitlines()
            assert [json.loads(each)["result"]["n"] for each in results] == list(range(2_000))
    rang = [json.loads(each.body) for each in catcher.all()]
    assert {each["batch"] for each in rang if each.get("event") == "batch.completed"} == {told["batch"]}


def test_a_server_killed_in_the_middle_of_a_batch_leaves_nothing_of_it(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api")
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        half_sent = threading.Event()

        def endless() -> Iterator[bytes]:
            for number, line in enumerate(lines(10_000_000)):
                if number == 50_000:
                    half_sent.set()
                yield line

        def send() -> None:
            try:
                requests.post(f"{server.url}/echo", data=endless(), headers=HEADERS, timeout=60)
            except requests.RequestException:
                return  # the server is killed

        sending = threading.Thread(target=send)
        sending.start()
        assert half_sent.wait(60)
        server.kill()
        sending.join(30)
        server.start_and_wait()
        assert requests.get(f"{server.url}/-/batches", timeout=10).json()["batches"] == []
        assert requests.get(f"{server.url}/echo", timeout=10).json()["workloads"] == []
        requests.post(f"{server.url}/echo", json={}, timeout=10).raise_for_status()
