"""Batches through the real server: one webhook at the end, nothing half done whatever is killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ringback import Client
from support.catcher import Catcher
from support.processes import Server, ringback, serving
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


SWIFT = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        if isinstance(payload, dict) and payload["n"] in (7, 3_999):
            raise ValueError("not this one")
        return None
"""

SLOW = """
import time


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        time.sleep(0.05)
        return payload
"""


def most_mb(server: Server) -> float:
    """The most memory the server's own process, without its replica, has had resident so far."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


@pytest.mark.timeout(400)  # 80 MB through a store that syncs: ten seconds, more on a busy machine
def test_a_large_batch_costs_no_memory_and_rings_once_at_its_end(tmp_path: Path) -> None:
    with Catcher() as catcher:
        only = {"url": catcher.url, "events": ["batch.completed"]}
        file = folder_of(tmp_path / "api", predictor=SWIFT, webhooks=[only])
        with serving(file, tmp_path / "store" / "ringback.db") as server, Client(server.url) as client:
            client.submit_many("echo", range(1_000)).wait(timeout=60)  # what one costs once is not what each costs
            before = most_mb(server)
            batch = client.submit_many("echo", ({"n": number, "text": "x" * 20_000} for number in range(4_000)))
            batch.wait(timeout=300)
            assert most_mb(server) - before < 64  # its lines alone are 80 MB; what grows is the store's bounded cache
            until(lambda: len(catcher.all()) == 2, within=20, wanted="one webhook of each batch")
    assert (batch.counts["completed"], batch.counts["failed"], batch.counts["total"]) == (3_998, 2, 4_000)
    [_, told] = [json.loads(each.body) for each in catcher.all()]
    assert (told["batch"], told["event"]) == (batch.id, "batch.completed")
    assert told["counts"] == {"total": 4_000, "completed": 3_998, "failed": 2, "canceled": 0}


def test_a_bad_line_ends_the_upload_and_is_named(tmp_path: Path) -> None:
    """Also when it comes long before the end, while the client is still sending."""
    file = folder_of(tmp_path / "api")
    sent = [*(b"1\n" for _ in range(1_000)), b"{oops}\n", *(b'"%s"\n' % (b"x" * 1_000) for _ in range(30_000))]
    (tmp_path / "bad.ndjson").write_bytes(b"".join(sent))
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        done = ringback("submit", "echo", "--batch", str(tmp_path / "bad.ndjson"), "--url", server.url)
        assert (done.returncode, done.stderr.startswith("ringback: line 1001 is not JSON")) == (1, True), done
        assert server.ringback("batches", "list") == "no batches\n"


def test_a_batch_is_canceled_and_retried_from_the_command_line(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=SLOW)
    (tmp_path / "many.ndjson").write_bytes(b"".join(lines(2_000)))
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        batch = server.ringback("submit", "echo", "--batch", str(tmp_path / "many.ndjson")).strip()
        until(lambda: counts(server, batch)["completed"], within=20, wanted="some of it done")
        refused = ringback("cancel", "--batch", batch, "--url", server.url)
        assert refused.returncode == 2
        assert "to do it, say --yes" in refused.stderr
        told = json.loads(server.ringback("cancel", "--batch", batch, "--yes", "--json"))
        until(lambda: counts(server, batch)["in_progress"] == 0, within=20, wanted="the last to have stopped")
        ended = counts(server, batch)
        assert ended["completed"] + ended["canceled"] == 2_000
        assert told["changed"] == ended["canceled"] > 1_000
        assert json.loads(server.ringback("cancel", "--batch", batch, "--yes", "--json"))["changed"] == 0
        again = server.ringback("retry", "--batch", batch, "--status", "canceled", "--yes")
        assert again == f"{told['changed']:,} workloads in the queue again\n"
        until(lambda: counts(server, batch)["completed"] > ended["completed"], within=20, wanted="it goes on")


def test_many_are_canceled_and_retried_by_what_they_have_in_common(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api")
    with serving(file, tmp_path / "store" / "ringback.db") as server:

        def put(workload_id: str, tenant: str) -> None:
            headers = {"Ringback-Tenant": tenant, "Ringback-Delay": "1h"}
            assert requests.put(f"{server.url}/echo/{workload_id}", json={}, headers=headers, timeout=10).ok

        def statuses() -> dict[str, str]:
            told = requests.get(f"{server.url}/echo?limit=50", timeout=10).json()["workloads"]
            return {each["id"]: each["status"] for each in told}

        for number in range(3):
            put(f"navy-{number}", "navy")
        put("army", "army")
        told = json.loads(server.ringback("cancel", "--tenant", "navy", "--yes", "--json"))
        assert told["changed"] == 3
        navy = {f"navy-{number}" for number in range(3)}
        assert statuses() == dict.fromkeys(navy, "canceled") | {"army": "in_queue"}

        again = server.ringback("retry", "--api", "echo", "--status", "canceled", "--tenant", "navy", "--yes")
        assert again == "3 workloads in the queue again\n"
        done = dict.fromkeys(navy, "completed") | {"army": "in_queue"}
        until(lambda: statuses() == done, within=20, wanted="those of the navy to end")

        put("late", "navy")
        told = json.loads(server.ringback("cancel", "--api", "echo", "--status", "in_queue", "--yes", "--json"))
        assert told["changed"] == 2
        assert statuses() == done | {"army": "canceled", "late": "canceled"}
