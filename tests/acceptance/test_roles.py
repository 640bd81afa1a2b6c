"""Servers with one role each, as separate processes on one store: whoever is asked answers, whoever runs or sends."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest
import requests

from support.catcher import Catcher
from support.members import members
from support.postgres import empty_database
from support.processes import Server, ringback
from support.served import folder_of
from support.sse import Follower, text_of
from support.waiting import until

STEPS = '''
import pathlib, time

HERE = pathlib.Path(__file__).parent


class PythonPredictor:
    """Says how far it has come, and goes on when it is let or told to stop."""

    def predict(self, payload, workload):
        print(f"begun with {payload}", flush=True)
        workload.progress(0.5, "half way")
        yield "first"
        while not (HERE / payload).exists():
            if workload.cancelled:
                raise RuntimeError("stopped")
            time.sleep(0.005)
        print("let go", flush=True)
        yield "last"
'''


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return empty_database() if request.param == "postgres" else f"sqlite:///{tmp_path / 'store' / 'ringback.db'}"


@pytest.mark.every_engine
def test_any_gateway_answers_for_what_runs_and_is_sent_elsewhere(store: str, tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", predictor=STEPS, webhook=catcher.url, cancel_grace="5s")
        with members(file, store, tmp_path / "members", "--grace", "20s") as all_of_them:
            here, there = all_of_them.start("gateway"), all_of_them.start("gateway")
            here.wait_for("/readyz", 200)
            there.wait_for("/readyz", 200)
            early = requests.post(f"{here.url}/echo", json="early", timeout=10).json()["id"]
            assert requests.get(f"{there.url}/echo/{early}", timeout=10).json()["status"] == "in_queue"

            worker, dispatcher = all_of_them.start("worker"), all_of_them.start("dispatcher")
            worker.wait_for("/readyz", 200)
            dispatcher.wait_for("/readyz", 200)

            follower = Follower(there.url, path=f"/echo/{early}/events")
            follower.wait_for(
                lambda events: {"log", "progress", "output"} <= {each.name for each in events},
                within=20,
                wanted="prints, progress and an output through the other gateway",
            )
            assert requests.get(f"{there.url}/echo/{early}/logs", timeout=10).text == "begun with early\n"
            (tmp_path / "api" / "early").touch()
            ended = requests.get(f"{there.url}/echo/{early}?wait=20", timeout=30).json()
            assert (ended["status"], ended["result"]) == ("completed", ["first", "last"])
            events = follower.join(within=20)
            assert text_of(events) == "begun with early\nlet go\n"
            assert [each.data["output"] for each in events if each.name == "output"] == ["first", "last"]

            unwanted = requests.post(f"{there.url}/echo", json="never", timeout=10).json()["id"]
            until(
                lambda: requests.get(f"{here.url}/echo/{unwanted}", timeout=10).json()["status"] == "in_progress",
                within=20,
                wanted="the second one running",
            )
            assert requests.post(f"{here.url}/echo/{unwanted}/cancel", timeout=10).status_code == 200
            canceled = requests.get(f"{there.url}/echo/{unwanted}?wait=20", timeout=30).json()
            assert canceled["status"] == "canceled"
            until(lambda: catcher.ids() >= {early}, within=20, wanted="the webhook")
            assert json.loads(catcher.of(early)[0].body)["result"] == ["first", "last"]

            # Figures where the work is done, and nothing but probes where there is no gateway.
            assert 'ringback_workloads_submitted_total{api="echo"} 1.0' in requests.get(f"{here.url}/metrics").text
            assert 'ringback_members{role="gateway"} 2.0' in requests.get(f"{worker.url}/metrics").text
            assert "ringback_workload_run_seconds_count" in requests.get(f"{worker.url}/metrics").text
            assert "ringback_delivery_attempts_total{" in requests.get(f"{dispatcher.url}/metrics").text
            refused = requests.get(f"{worker.url}/echo/{early}", timeout=10)
            assert (refused.status_code, "gateway role" in refused.json()["detail"]) == (404, True)

            # Leaving in good order: what runs ends, what is to be sent is left to others.
            handed = requests.post(f"{here.url}/echo", json="handed", timeout=10).json()["id"]
            until(
                lambda: requests.get(f"{here.url}/echo/{handed}", timeout=10).json()["status"] == "in_progress",
                within=20,
                wanted="the third one running",
            )
            successor = all_of_them.start("worker,dispatcher")
            successor.wait_for("/readyz", 200)
            assert dispatcher.terminate() == 0
            (tmp_path / "api" / "handed").touch()
            assert worker.terminate() == 0
            assert requests.get(f"{there.url}/echo/{handed}?wait=20", timeout=30).json()["status"] == "completed"
            until(lambda: catcher.ids() >= {early, handed}, within=20, wanted="its webhook, from the other dispatcher")
            assert [here.terminate(), there.terminate(), successor.terminate()] == [0, 0, 0]


def test_servers_of_two_files_say_so_and_say_when_they_have_one(tmp_path: Path) -> None:
    old, new = folder_of(tmp_path / "old"), folder_of(tmp_path / "new", timeout="60s")
    store = f"sqlite:///{tmp_path / 'store' / 'ringback.db'}"
    with members(old, store, tmp_path / "here") as here, members(new, store, tmp_path / "there") as there:
        gateway, worker = here.start("gateway"), there.start("worker")
        for server in (gateway, worker):
            until(partial(has_told, server, "file.differs"), within=30, wanted="a line of it")
        assert f"process {worker.pid}" in gateway.log()
        assert "apis=echo" in worker.log()
        assert "of echo, 1 other server has another file" in gateway.ringback("list")

        new.write_text(old.read_text())
        os.kill(worker.pid, signal.SIGHUP)
        until(partial(has_told, gateway, "file.agrees"), within=30, wanted="another line")
        assert gateway.log().count(" file.differs ") == 1
        assert "another file" not in gateway.ringback("list")


def has_told(server: Server, fact: str) -> bool:
    return f" {fact} " in server.log()


def test_a_role_that_nobody_has_is_one_line(tmp_path: Path) -> None:
    done = ringback("serve", str(folder_of(tmp_path)), "--roles", "gateway", "--roles", "cook")
    assert done.returncode == 2
    assert done.stderr == "ringback: --roles: 'cook' is no role; there are gateway, worker, dispatcher\n"
