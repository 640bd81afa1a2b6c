"""The screenshots in the docs, taken when asked for: `make images`. They are looked at before they are committed.

With `RINGBACK_IMAGES_ALL`, each page also in the dark and on a narrow screen, to be looked at and not kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

from browser.conftest import Visits
from support.catcher import Catcher
from support.processes import Server, free_port, serving
from support.served import SECRET, file_of
from support.waiting import pause, until

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect  # noqa: E402

FOLDER: Final = os.environ.get("RINGBACK_IMAGES")
IS_ALL: Final = "RINGBACK_IMAGES_ALL" in os.environ
SECONDS: Final = float(os.environ.get("RINGBACK_IMAGES_SECONDS", "20"))
"""How long the server works before the first picture: the charts show whole minutes, up to an hour of them."""

INBOX: Final = "classified"
DESK: Final = {"width": 1280, "height": 860}
PHONE: Final = {"width": 390, "height": 844}

pytestmark = [
    pytest.mark.skipif(FOLDER is None, reason="only taken on request: make images"),
    pytest.mark.timeout(5_400),
]

PREDICTOR: Final = '''
import random
import time


class PythonPredictor:
    """Looks like work: takes a while, tells how far it is, fails now and then."""

    def __init__(self, config):
        self.config = config

    def predict(self, payload, workload):
        steps = payload.get("pages", 1)
        for step in range(1, steps + 1):
            print(f"page {step}: {random.randint(180, 520)} words", flush=True)
            workload.progress(step / steps, f"page {step} of {steps}")
            deadline = time.monotonic() + payload.get("pause", random.uniform(0.02, 0.3))
            while time.monotonic() < deadline and not workload.cancelled:
                time.sleep(0.01)
        if payload.get("blank"):
            raise ValueError("page 3 is blank: nothing to read")
        return {"language": "en", "words": 348 * steps, "confidence": round(random.uniform(0.9, 0.99), 3)}
'''


@pytest.fixture
def busy_server(tmp_path: Path) -> Iterator[Server]:
    """Two APIs that have worked for a while, one of them with a receiver that has been down."""
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "sample.json").write_text('{\n  "document": "contract-17.pdf",\n  "pages": 4,\n  "language": "auto"\n}\n')
    port = free_port()
    with Catcher() as well, Catcher() as ill:
        predictor = {"type": "python", "path": "predictor.py"}
        apis = [
            {
                "name": "classify",
                "kind": "AsyncAPI",
                "predictor": predictor,
                "webhooks": [
                    {"url": well.url, "secret": SECRET},
                    {"url": f"http://127.0.0.1:{port}/-/inspector/in/{INBOX}", "secret": SECRET, "retry": ["2s"]},
                ],
            },
            {
                "name": "read-document",
                "kind": "AsyncAPI",
                "predictor": predictor,
                "autoscaling": {"min_replicas": 2},
                "retries": {"max_attempts": 2, "initial": "1s"},
                "webhook": {"url": ill.url, "secret": SECRET, "retry": ["1s", "2s"]},
            },
        ]
        with serving(file_of(folder, *apis), tmp_path / "store" / "ringback.db", port=port) as server:
            lines = b"".join(b'{"document": "archive-%d.txt", "blank": %s}\n' % (n, blank(n)) for n in range(240))
            headers = {"Content-Type": "application/x-ndjson", "Ringback-Batch": "true"}
            requests.post(f"{server.url}/classify", data=lines, headers=headers, timeout=30).raise_for_status()
            work(server, SECONDS)
            with ill.busy():
                ask(server, "read-document", {"document": "contract-18.pdf", "pages": 3})
                ask(server, "read-document", {"document": "contract-19.pdf", "pages": 3, "blank": True})
                work(server, 12, each_seconds=1.0)
            work(server, 3)
            yield server


def blank(number: int) -> bytes:
    return b"true" if number % 40 == 7 else b"false"


def work(server: Server, seconds: float, *, each_seconds: float = 0.15) -> None:
    """Submit a steady mixture for a while."""
    for number in range(int(seconds / each_seconds)):
        ask(server, "classify", {"document": f"note-{number}.txt"})
        if number % 4 == 0:
            ask(server, "read-document", {"document": f"contract-{number}.pdf", "pages": 1 + number % 3})
        if number % 61 == 60:
            ask(server, "read-document", {"document": f"scan-{number}.pdf", "pages": 1, "blank": True})
        pause(each_seconds)


def ask(server: Server, api: str, payload: object) -> str:
    told: str = requests.post(f"{server.url}/{api}", json=payload, timeout=30).json()["id"]
    return told


def test_take_the_pictures(busy_server: Server, visits: Visits) -> None:
    assert FOLDER is not None
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    server = busy_server
    running = ask(server, "read-document", {"document": "contract-20.pdf", "pages": 40, "pause": 0.5})
    until(lambda: parked(server), within=30, wanted="a parked delivery")
    delivery = parked(server)[0]["id"]
    message, captured = retried(server)
    shots: dict[str, str] = {
        "overview": "/",
        "workloads": "/-/ui/workloads",
        "workload": f"/-/ui/workloads/read-document/{running}",
        "deliveries": "/-/ui/deliveries",
        "delivery": f"/-/ui/deliveries/{delivery}",
        "endpoints": "/-/ui/endpoints",
        "batch": f"/-/ui/batches/{batch(server)}",
        "inbox": f"/-/inspector/{INBOX}",
        "message": f"/-/inspector/messages/{message}",
    }
    if IS_ALL:
        shots |= {
            "api": "/-/ui/apis/read-document",
            "batches": "/-/ui/batches",
            "submit": "/-/ui/submit?api=read-document",
            "inboxes": "/-/inspector",
            "capture": f"/-/inspector/{INBOX}/{captured}",
            "inbox-settings": f"/-/inspector/{INBOX}/settings",
            "failed": "/-/ui/workloads?status=failed",
            "nothing": "/-/ui/workloads?q=no-such-thing",
            "problem": "/-/ui/nothing-here",
            "login": "/-/login",
        }
    for name, path in shots.items():
        for scheme in ("light", "dark") if name == "overview" else ("light",):
            picture(visits, server.url + path, folder / f"{name}-{scheme}.png", scheme)
        if IS_ALL:
            picture(visits, server.url + path, folder / f"{name}-dark.png", "dark")
            picture(visits, server.url + path, folder / f"{name}-narrow.png", "light", PHONE)


def parked(server: Server) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = requests.get(f"{server.url}/-/deliveries?state=parked&limit=5", timeout=10).json()[
        "deliveries"
    ]
    return listed


def batch(server: Server) -> str:
    told: str = requests.get(f"{server.url}/-/batches", timeout=10).json()["batches"][0]["batch"]
    return told


def retried(server: Server) -> tuple[str, int]:
    """A webhook that was answered 500 and then 200, and the number of its last capture."""
    box = f"{server.url}/-/inspector/{INBOX}"
    script = {"script": [{"status": 500, "times": 1}, {"status": 200}]}
    requests.patch(box, json=script, timeout=10).raise_for_status()
    for name in ("note-a.txt", "note-b.txt"):
        ask(server, "classify", {"document": name})
    return until(lambda: sent_twice(box), within=60, wanted="a webhook that was sent twice")


def sent_twice(box: str) -> tuple[str, int] | None:
    captures = requests.get(f"{box}?limit=50", timeout=10).json()["captures"]
    found = ((each["webhook_id"], each["number"]) for each in captures if each["attempt"] == "2")
    return next(found, None)


def picture(visits: Visits, url: str, file: Path, scheme: str, viewport: dict[str, int] = DESK) -> None:
    """What one sees without scrolling; of a page that is only to be looked at, all of it."""
    page = visits.open(url, color_scheme=scheme, viewport=viewport, device_scale_factor=1 if IS_ALL else 2)
    take(page, file)


def take(page: Page, file: Path) -> None:
    if page.locator("[data-stream-state]").count():
        expect(page.locator('[data-stream-state="live"]')).to_be_visible()
    page.screenshot(path=file, full_page=IS_ALL)
    page.context.close()
