"""Everything a workload does, told as it happens and in its order, through the real command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from support.catcher import Catcher, Caught
from support.processes import serving
from support.served import SECRET, file_of, folder_of
from support.waiting import until

pytestmark = pytest.mark.every_engine

STEPS = '''
class PythonPredictor:
    """Yields its payload's items, telling how far it has come."""

    def __init__(self, config):
        pass

    def predict(self, payload, workload):
        for place, item in enumerate(payload):
            workload.progress((place + 1) / len(payload), f"item {item}")
            yield item
'''
EVERYTHING = ["started", "progress", "output", "completed", "failed", "canceled"]


def served(folder: Path, url: str, **hook: Any) -> Path:
    folder_of(folder, predictor=STEPS)
    webhook = {"url": url, "secret": SECRET, "retry": ["0s"], "order": "fifo", **hook}
    return file_of(folder, {"name": "steps", "predictor": {"path": "predictor.py"}, "webhook": webhook})


def event_of(caught: Caught) -> str:
    told = caught.json
    return str(told.get("event", told["status"]))


def test_a_workloads_events_come_signed_and_in_their_order(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = served(tmp_path / "api", catcher.url, events=EVERYTHING)
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            workload_id = requests.post(f"{server.url}/steps", json=["a", "b", "c"], timeout=10).json()["id"]
            until(lambda: "completed" in map(event_of, catcher.of(workload_id)), within=20, wanted="the last event")

    caught = catcher.of(workload_id)
    assert [event_of(each) for each in caught if event_of(each) != "progress"] == [
        "started",
        "output",
        "output",
        "output",
        "completed",
    ]
    assert [(each.json["index"], each.json["output"]) for each in caught if event_of(each) == "output"] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
    ]
    # Three within a second: the first is told at once, and nothing after the end.
    [progress] = [each.json["progress"] for each in caught if event_of(each) == "progress"]
    assert progress == {"fraction": 1 / 3, "message": "item a"}
    places = [int(each.headers["ringback-sequence"]) for each in caught]
    assert places == sorted(set(places))
    assert caught[-1].json["result"] == ["a", "b", "c"]
    assert len({each.webhook_id for each in caught}) == len(caught)
    for each in caught:
        assert Webhook(SECRET).verify(each.body, each.headers) == each.json


def test_a_parked_head_is_seen_and_stands_aside(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = served(tmp_path / "api", catcher.url)
        with serving(file, tmp_path / "store" / "ringback.db") as server:

            def submitted(key: str) -> str:
                answer = requests.post(f"{server.url}/steps", json=[1], headers={"Ringback-Order-Key": key}, timeout=10)
                return str(answer.json()["id"])

            def listed(state: str) -> list[dict[str, Any]]:
                out = server.ringback("--json", "deliveries", "list", "--state", state)
                return [json.loads(line) for line in out.splitlines()]

            with catcher.busy():
                first = submitted("customer-1")
                [head] = until(lambda: listed("parked"), within=20, wanted="a parked head")
                second = submitted("customer-1")
                until(lambda: listed("pending"), within=20, wanted="one behind it")
            assert head["workload"] == first
            apart = submitted("customer-2")
            catcher.wait_for(apart)
            assert catcher.ids() == {apart}

            [behind] = listed("pending")
            assert (behind["workload"], behind["behind"]) == (second, head["id"])
            assert "holds up 1" in server.ringback("deliveries", "show", head["id"])
            server.ringback("deliveries", "skip", head["id"])
            catcher.wait_for(second)
            assert first not in catcher.ids()
            server.ringback("deliveries", "replay", head["id"])
            catcher.wait_for(first)
