"""`ringback top`: what it shows of what the server tells, and that nothing told can take the terminal over."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console

from ringback.cli.top import Snapshot, screen
from support.canned import Canned
from unit.cli.conftest import Run

API = {
    "name": "iris",
    "ready": True,
    "replicas": 2,
    "starting": 1,
    "problem": None,
    "in_queue": 1_200,
    "in_progress": 2,
    "oldest_seconds": 3.25,
}
ENDPOINT = {
    "endpoint": "iris",
    "state": "active",
    "reason": None,
    "pending": 4,
    "parked": 1,
    "oldest_seconds": 130.0,
    "url": "https://hooks.example/iris",
}
PARKED = {"id": "dlv_7", "event": "completed", "endpoint": "iris", "reason": "all 10 attempts failed"}


def snapshot(**more: Any) -> Snapshot:
    return {"apis": [API | more], "endpoints": [ENDPOINT], "parked": [PARKED]}


def shown(seen: Snapshot, before: Snapshot | None = None, trouble: str = "") -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(screen(seen, before, "http://127.0.0.1:8080", trouble=trouble))
    return out.getvalue()


def words(text: str, first: str) -> list[str]:
    """The words of the line that begins so."""
    return next(line.split() for line in text.splitlines() if " ".join(line.split()).startswith(first))


def test_queues_replicas_and_endpoints_stand_in_lines() -> None:
    text = shown(snapshot())

    assert words(text, "iris ready") == ["iris", "ready", "2", "+1", "1,200", "3.2", "s", "2"]
    assert words(text, "iris active")[:6] == ["iris", "active", "4", "1", "2", "min"]
    assert words(text, "dlv_7")[-4:] == ["all", "10", "attempts", "failed"]


def test_a_second_look_says_how_queues_have_changed() -> None:
    assert "-300" in shown(snapshot(in_queue=900), snapshot())
    assert "+1,800" in shown(snapshot(in_queue=3_000), snapshot())


def test_an_api_that_serves_an_earlier_version_says_why() -> None:
    text = shown(snapshot(problem="p.py:1: invalid syntax"))

    assert "ready, but new replicas cannot start: p.py:1: invalid syntax" in text


def test_what_no_server_does_is_said() -> None:
    text = shown(snapshot(ready=False, replicas=0, starting=0, workers=0, dispatchers=0))

    assert "no server runs iris: start one with the worker role and this API in its file" in text
    assert "no server sends webhooks: start one with the dispatcher role" in text
    assert "no server" not in shown(snapshot(workers=1, dispatchers=1))


def test_what_is_told_stays_text() -> None:
    text = shown(snapshot(ready=False, problem="[red]no[/red] \x1b[2J module"))

    assert "cannot start: [red]no[/red]" in text
    assert "\x1b" not in text


def test_trouble_is_said_above_what_was_seen_last() -> None:
    text = shown(snapshot(), trouble="no answer")

    assert text.index("no answer; what follows is what was seen last") < text.index("iris")


def test_a_server_without_webhooks() -> None:
    assert "endpoint" not in shown({"apis": [API], "endpoints": [], "parked": []})


def test_once_as_text_and_as_json(run: Run, server: Canned) -> None:
    answers = ({"apis": [API]}, {"endpoints": [ENDPOINT]}, {"deliveries": [PARKED], "cursor": None})
    server.will_say(*answers, *answers)

    told = run("top", "--url", server.url)
    assert told.status == 0
    assert "1,200" in told.out
    assert json.loads(run("--json", "top", "--url", server.url).out) == snapshot()
    lines = ["GET /-/apis", "GET /-/endpoints", "GET /-/deliveries?state=parked&limit=5"]
    assert [each.line for each in server.asked] == lines * 2


def test_nobody_there_is_one_line(run: Run) -> None:
    told = run("top", "--url", "http://127.0.0.1:1")

    assert told.status == 1
    assert told.err.count("\n") == 1
