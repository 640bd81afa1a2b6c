"""The real server follows its load: more replicas and fewer, none at all, and one again for the first workload."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from support.processes import Server, serving, start_seconds
from support.served import file_of, folder_of
from support.waiting import until

pytestmark = pytest.mark.every_engine

QUICK: Final = {
    "window": "1s",
    "upscale_stabilization_period": "0s",
    "downscale_stabilization_period": "1s",
    "max_downscale_factor": 0,
    "max_upscale_factor": 10,
}

START_SECONDS: Final = 3 * start_seconds()
"""For some replicas to start, one beside the other."""

HELD: Final = """
import pathlib
import time

class PythonPredictor:
    def predict(self, payload):
        while not pathlib.Path(__file__).with_name("go").exists():
            time.sleep(0.01)
        return payload
"""
"""Its workloads end once they may: however long a replica takes to start, the first are still at work then."""


def submit(server: Server, payload: object, api: str = "echo") -> str:
    answer = requests.post(f"{server.url}/{api}", json=payload, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def ended(server: Server, workload_id: str, api: str = "echo") -> dict[str, Any]:
    answer = requests.get(f"{server.url}/{api}/{workload_id}?wait=60", timeout=70).json()
    assert answer["status"] in {"completed", "failed"}, answer
    return dict(answer)


def readiness(server: Server, api: str = "echo") -> dict[str, Any]:
    return dict(requests.get(f"{server.url}/readyz", timeout=10).json()["apis"][api])


def count(server: Server, api: str = "echo") -> int:
    state = readiness(server, api)
    return int(state["replicas"] + state["starting"])


def test_it_grows_under_load_shrinks_without_and_loses_nothing(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=HELD, autoscaling={"min_replicas": 1, "max_replicas": 3, **QUICK})
    with serving(file, tmp_path / "ringback.db") as server:
        assert count(server) == 1
        ids = [submit(server, {"n": number}) for number in range(12)]
        until(lambda: readiness(server)["replicas"] == 3, within=START_SECONDS, wanted="three replicas at work")
        assert len(server.replicas()) == 3
        (tmp_path / "api" / "go").touch()
        results = [ended(server, each) for each in ids]
        assert [each["result"]["n"] for each in results] == list(range(12))
        until(lambda: len(server.replicas()) == 1 and count(server) == 1, within=20, wanted="one replica again")
        assert server.log().count("api.scaled") >= 2
        listed = requests.get(f"{server.url}/-/workloads?api=echo&limit=50", timeout=10).json()["workloads"]
        assert {each["attempt"] for each in listed} == {1}, "scaling costs no workload a second attempt"
        assert server.terminate() == 0


def test_it_sleeps_when_idle_and_wakes_for_the_first_workload(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", autoscaling={"min_replicas": 0, "max_replicas": 2, **QUICK})
    with serving(file, tmp_path / "ringback.db") as server:
        assert server.replicas() == set()
        for _ in range(2):
            assert readiness(server)["ready"], "asleep is ready: what is submitted runs"
            began = time.perf_counter()
            assert ended(server, submit(server, {"n": 1}))["status"] == "completed"
            took = time.perf_counter() - began
            assert took < start_seconds(), f"from asleep to the result: {took:.1f} s"
            until(lambda: not server.replicas() and count(server) == 0, within=20, wanted="no replica")
        assert server.log().count("api.woken") == 2
        assert server.terminate() == 0


def test_each_api_has_replicas_of_its_own(tmp_path: Path) -> None:
    folder_of(tmp_path)
    common = {"kind": "AsyncAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    file = file_of(
        tmp_path,
        {"name": "fixed", **common, "autoscaling": {"min_replicas": 2, "max_replicas": 2}},
        {"name": "asleep", **common, "autoscaling": {"min_replicas": 0, **QUICK}},
        {"name": "wide", **common, "concurrency": 8},
    )
    with serving(file, tmp_path / "ringback.db") as server:
        until(lambda: len(server.replicas()) == 3, within=20, wanted="two and none and one")
        wide = [submit(server, {"sleep": 2}, "wide") for _ in range(8)]
        asleep = submit(server, {"n": 1}, "asleep")
        assert ended(server, asleep, "asleep")["status"] == "completed"
        began = time.perf_counter()
        assert {ended(server, each, "wide")["status"] for each in wide} == {"completed"}
        assert time.perf_counter() - began < 12, "eight of two seconds each, at once"
        assert [count(server, api) for api in ("fixed", "wide")] == [2, 1]
        assert server.terminate() == 0


def test_a_drain_gives_back_what_waits_with_several_apis_and_none_awake(tmp_path: Path) -> None:
    folder_of(tmp_path)
    common = {"kind": "AsyncAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    file = file_of(
        tmp_path,
        {"name": "one", **common, "retries": {"max_attempts": 1, "max_losses": 1}},
        {"name": "four", **common, "concurrency": 4, "retries": {"max_attempts": 1, "max_losses": 1}},
        {"name": "asleep", **common, "autoscaling": {"min_replicas": 0, **QUICK}},
    )
    with serving(file, tmp_path / "ringback.db", options=("--grace", "1s")) as server:
        ids = {api: [submit(server, {"sleep": 3}, api) for _ in range(5)] for api in ("one", "four")}
        until(
            lambda: requests.get(f"{server.url}/four?status=in_progress", timeout=10).json()["workloads"][3:],
            within=20,
            wanted="four of them at work",
        )
        assert server.terminate() == 0
        server.start_and_wait()
        for api, those in ids.items():
            assert {ended(server, each, api)["status"] for each in those} == {"completed"}, "none of it was spent"
        assert server.terminate() == 0


def test_two_servers_on_one_store_share_the_replicas(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=HELD, autoscaling={"min_replicas": 0, "max_replicas": 4, **QUICK})
    with serving(file, tmp_path / "ringback.db") as first, serving(file, tmp_path / "ringback.db") as second:
        ids = [submit(first if number % 2 else second, {"n": number}) for number in range(24)]
        seen = 0

        def shared() -> bool:
            nonlocal seen
            counts = (len(first.replicas()), len(second.replicas()))
            seen = max(seen, sum(counts))
            return counts == (2, 2)

        until(shared, within=START_SECONDS, wanted="two replicas on each")
        (tmp_path / "api" / "go").touch()
        assert {ended(first, each)["status"] for each in ids} == {"completed"}
        assert seen <= 4, "never more than max_replicas"
        for server in (first, second):
            assert server.terminate() == 0


@pytest.mark.on_this_machine("on Ray it is the cluster that has room or has not")
def test_it_grows_no_further_than_the_machine_bears_and_says_so_once(tmp_path: Path) -> None:
    more_than_half = len(os.sched_getaffinity(0)) * 0.6
    autoscaling = {"min_replicas": 1, "max_replicas": 3, **QUICK}
    file = folder_of(tmp_path / "api", compute={"cpu": more_than_half}, autoscaling=autoscaling)
    with serving(file, tmp_path / "ringback.db") as server:
        ids = [submit(server, {"sleep": 0.5}) for _ in range(8)]
        until(lambda: "api.limited api=echo" in server.log(), within=20, wanted="told that there is no room")
        assert {ended(server, each)["status"] for each in ids} == {"completed"}
        assert count(server) == len(server.replicas()) == 1
        assert server.log().count("api.limited") == 1
        assert f"at {more_than_half:g} each (compute.cpu)" in server.log()


def test_what_takes_too_much_memory_is_ended_and_the_next_workload_runs(tmp_path: Path) -> None:
    predictor = """
import time

class PythonPredictor:
    def predict(self, payload):
        held = bytearray(payload["take"])
        for place in range(0, len(held), 4096):
            held[place] = 1
        time.sleep(payload.get("sleep", 0))
        return len(held)
"""
    file = folder_of(tmp_path / "api", predictor=predictor, compute={"mem": "128Mi"}, retries={"max_losses": 2})
    with serving(file, tmp_path / "ringback.db") as server:
        hungry = ended(server, submit(server, {"take": 300 * 2**20, "sleep": 60}))
        assert hungry["error"]["type"] == "out_of_memory"
        assert "over its limit of 128MiB (compute.mem)" in hungry["error"]["message"]
        assert ended(server, submit(server, {"take": 2**20}))["result"] == 2**20
        assert server.log().count("replica.lost") == 2
        assert server.terminate() == 0
