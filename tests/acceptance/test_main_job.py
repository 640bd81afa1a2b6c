"""The main job through the real command: submit, run, store, ring back; and everything a caller may ask meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from support.catcher import Catcher
from support.processes import Server, serving
from support.served import SECRET, folder_of
from support.waiting import until

pytestmark = pytest.mark.every_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A server whose receiver looks back at it from inside every webhook."""

    server: Server
    catcher: Catcher

    @property
    def api(self) -> str:
        return f"{self.server.url}/echo"

    def submit(self, payload: Any) -> str:
        answer = requests.post(self.api, json=payload, timeout=10)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def get(self, workload_id: str, **query: Any) -> requests.Response:
        return requests.get(f"{self.api}/{workload_id}", params=query, timeout=30)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("main-job")
    with Catcher() as catcher:
        file = folder_of(folder / "api", webhook=catcher.url)
        with serving(file, folder / "store" / "ringback.db") as server:
            bench = Bench(server=server, catcher=catcher)
            catcher.inside = lambda body: bench.get(body["id"]).json()
            yield bench


def test_a_completed_workload_rings_with_the_seeds_body(bench: Bench) -> None:
    answer = requests.post(bench.api, json={"petals": [1, 2.5, "ü"]}, timeout=10)
    workload_id = answer.json()["id"]
    assert answer.json() == {"id": workload_id}
    assert answer.headers["Location"] == f"/echo/{workload_id}"

    caught = bench.catcher.wait_for(workload_id)

    assert list(caught.json) == ["id", "status", "result", "timestamp"]
    assert caught.json["status"] == "completed"
    assert caught.json["result"] == {"petals": [1, 2.5, "ü"]}
    moment = datetime.fromisoformat(caught.json["timestamp"])
    assert moment.utcoffset() == timedelta(0)
    assert caught.json["timestamp"].endswith("+00:00")


def test_a_failed_workload_rings_with_the_error(bench: Bench) -> None:
    workload_id = bench.submit({"raise": "no petals"})

    caught = bench.catcher.wait_for(workload_id)

    error = {"type": "ValueError", "message": "no petals"}
    assert caught.json == {"id": workload_id, "status": "failed", "error": error}
    assert list(caught.json) == ["id", "status", "error"]


@pytest.mark.parametrize("payload", [{"fine": True}, {"raise": "not fine"}])
def test_the_official_library_accepts_the_signature_and_no_other(bench: Bench, payload: dict[str, Any]) -> None:
    caught = bench.catcher.wait_for(bench.submit(payload))

    Webhook(SECRET).verify(caught.body, caught.headers)

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(caught.body + b" ", caught.headers)
    assert caught.headers["content-type"] == "application/json"
    assert caught.headers["user-agent"].startswith("Ringback/")


@pytest.mark.parametrize("payload", [{"fine": True}, {"raise": "not fine"}])
def test_a_get_from_inside_the_receiver_shows_what_was_announced(bench: Bench, payload: dict[str, Any]) -> None:
    caught = bench.catcher.wait_for(bench.submit(payload))

    assert caught.looked == caught.json


def test_a_get_at_any_time_is_never_an_error(bench: Bench) -> None:
    workload_id = bench.submit({"sleep": 0.3})
    seen: list[str] = []

    def look() -> bool:
        answer = bench.get(workload_id)
        assert answer.status_code == 200, answer.text
        seen.append(answer.json()["status"])
        return seen[-1] == "completed"

    until(look, within=10, wanted="completed")
    order = ["in_queue", "in_progress", "completed"]
    assert seen == sorted(seen, key=order.index)
    assert "in_progress" in seen


def test_wait_holds_the_answer_until_the_end(bench: Bench) -> None:
    workload_id = bench.submit({"sleep": 0.2})

    assert bench.get(workload_id, wait=20).json()["status"] == "completed"


def test_wait_answers_with_the_status_when_its_time_is_up(bench: Bench) -> None:
    workload_id = bench.submit({"sleep": 3})

    answer = bench.get(workload_id, wait=0.2)

    assert answer.status_code == 200
    assert answer.json()["status"] in {"in_queue", "in_progress"}


def test_put_again_with_the_same_payload_is_the_same_workload(bench: Bench) -> None:
    address = f"{bench.api}/my-own-id"
    answers = [requests.put(address, json={"n": 1}, timeout=10) for _ in range(3)]

    assert [(each.status_code, each.json()) for each in answers] == [(200, {"id": "my-own-id"})] * 3
    bench.catcher.wait_for("my-own-id")
    assert requests.put(address, json={"n": 2}, timeout=10).status_code == 409
    assert bench.get("my-own-id").json()["result"] == {"n": 1}


def test_the_list_shows_the_newest_first_page_by_page(bench: Bench) -> None:
    submitted = [bench.submit({"n": n}) for n in range(3)]
    for each in submitted:
        bench.catcher.wait_for(each)

    first = requests.get(bench.api, params={"limit": "2", "status": "completed"}, timeout=10)

    assert first.status_code == 200
    listed = [each["id"] for each in first.json()["workloads"]]
    assert listed == [submitted[2], submitted[1]]


@pytest.mark.parametrize("path", ["echo/nobody", "nothing/nobody", "nothing"])
def test_what_is_not_there_is_a_404_with_a_reason(bench: Bench, path: str) -> None:
    answer = requests.get(f"{bench.server.url}/{path}", timeout=10)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["status"] == 404
    assert answer.json()["detail"]


def test_broken_json_is_refused_and_nothing_runs(bench: Bench) -> None:
    answer = requests.post(bench.api, data=b'{"a":', headers={"Content-Type": "application/json"}, timeout=10)

    assert answer.status_code == 400
    assert "JSON" in answer.json()["detail"]


@pytest.mark.parametrize("odd", ["nan", "bytes", "object"])
def test_a_result_that_is_no_json_fails_and_says_so(bench: Bench, odd: str) -> None:
    caught = bench.catcher.wait_for(bench.submit({"odd": odd}))

    assert caught.json["status"] == "failed"
    assert caught.json["error"]["type"] == "result_not_serializable"
    assert caught.json["error"]["message"]


def test_text_and_bytes_reach_predict_as_such(bench: Bench) -> None:
    text = requests.post(bench.api, data="grüß".encode(), headers={"Content-Type": "text/plain"}, timeout=10)
    assert bench.catcher.wait_for(text.json()["id"]).json["result"] == "grüß"

    raw = requests.post(bench.api, data=b"\xff\x00", headers={"Content-Type": "image/png"}, timeout=10)
    assert bench.catcher.wait_for(raw.json()["id"]).json["error"]["type"] == "result_not_serializable"


def test_every_event_has_one_webhook_id(bench: Bench) -> None:
    bench.catcher.wait_for(bench.submit({"n": 1}))
    ids = bench.catcher.webhook_ids()

    assert all(len(counts) == 1 for counts in ids.values()), json.dumps(ids)
    assert len({webhook_id for counts in ids.values() for webhook_id in counts}) == len(ids)
