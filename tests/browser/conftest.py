"""A real browser before a real server. A page that errs, or asks anybody but its server, fails the test."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
import requests

from support.chromium import ARGUMENTS, chromium
from support.processes import Server, serving
from support.served import SECRET, file_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

WAIT_MS: Final = 20_000

PREDICTOR: Final = '''
import time


class PythonPredictor:
    """Does what its payload asks for, step by step."""

    def __init__(self, config):
        self.config = config

    def predict(self, payload, workload):
        steps = payload.get("steps", 0)
        for step in range(steps):
            print(f"step {step + 1} of {steps}", flush=True)
            workload.progress((step + 1) / steps, f"step {step + 1} of {steps}")
            deadline = time.monotonic() + payload.get("pause", 0.05)
            while time.monotonic() < deadline:
                if workload.cancelled:
                    return None
                time.sleep(0.01)
        if "raise" in payload:
            raise ValueError(payload["raise"])
        return {"label": "setosa", "payload": payload}
'''


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a file's tests: while it is there an event loop runs, and no test may start its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser packages are not installed: make test")
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed, and CI must have it: apt-get install chromium")
        pytest.skip("Chromium is not installed: apt-get install chromium, or CHROMIUM=/path/to/it")
    playwright.expect.set_options(timeout=WAIT_MS)
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield opened
        opened.close()


@dataclass(slots=True)
class Visits:
    """Opens pages, each in a context of its own, and remembers what went wrong in them."""

    browser: Browser
    faults: list[str] = field(default_factory=list)
    _contexts: list[Any] = field(default_factory=list)

    def open(self, url: str, **how: Any) -> Page:
        """A page at `url`; `how` is Playwright's: colour scheme, viewport, script or none."""
        context = self.browser.new_context(**how)
        context.set_default_timeout(WAIT_MS)
        self._contexts.append(context)
        page = context.new_page()
        host = urlsplit(url).netloc
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda message: self.faults.extend(faults_in(message)))
        page.on("request", lambda request: self._on_request(request, host))
        page.goto(url)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _on_request(self, request: Request, host: str) -> None:
        if urlsplit(request.url).netloc != host:
            self.faults.append(f"asked elsewhere: {request.url}")


def faults_in(message: ConsoleMessage) -> list[str]:
    """What of a page's console is a fault.

    A server that is down, or refuses, is what some journeys are about: Chromium says that as an error, too.
    """
    is_fault = message.type == "error" and not message.text.startswith("Failed to load resource")
    return [f"console: {message.text}"] if is_fault else []


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    made = Visits(browser)
    yield made
    made.close()
    assert made.faults == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts the server; with `webhook`, its one API `iris` rings there."""
    running: list[Any] = []

    def start(
        *, webhook: str | None = None, port: int | None = None, options: tuple[str, ...] = (), **more: Any
    ) -> Server:
        folder = tmp_path / "api"
        folder.mkdir(exist_ok=True)
        (folder / "predictor.py").write_text(PREDICTOR)
        (folder / "sample.json").write_text('{"sepal_length": 5.2}')
        api: dict[str, Any] = {
            "name": "iris",
            "kind": "AsyncAPI",
            "predictor": {"type": "python", "path": "predictor.py"},
        }
        if webhook is not None:
            api["webhook"] = {"url": webhook, "secret": SECRET, "retry": ["0s"]}
        where = {} if port is None else {"port": port}
        manager = serving(file_of(folder, api | more), tmp_path / "store" / "ringback.db", options=options, **where)
        server = manager.__enter__()
        running.append(manager)
        return server

    yield start
    for manager in running:
        manager.__exit__(None, None, None)


_STICKING_OUT: Final = """() => [...document.querySelectorAll(".card *")].filter((each) => {
  const box = each.getBoundingClientRect(), card = each.parentElement.closest(".card");
  if (!box.width || each.closest("svg, .unseen")) return false;
  for (let above = each.parentElement; above !== card; above = above.parentElement)
    if (getComputedStyle(above).overflowX !== "visible") return false;  // cut off there, or scrolls
  return box.right > Math.min(card.getBoundingClientRect().right, innerWidth) + 1;
}).map((each) => each.outerHTML.slice(0, 80))"""


def assert_within(page: Page, width: int) -> None:
    """See that a page is no wider than its screen, and that nothing on it runs over the edge of its card."""
    path = urlsplit(page.url).path
    page.evaluate("document.querySelectorAll('.card details').forEach((each) => { each.open = true; })")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, f"{path} is {wide} px wide"
    assert page.evaluate(_STICKING_OUT) == [], path


def assert_cells_apart(page: Page) -> None:
    """See that in no table what is in one cell stands in the next one, too."""
    wide = "[...document.querySelectorAll('td, th')].filter((each) => each.scrollWidth > each.clientWidth + 1)"
    told = page.evaluate(f"{wide}.map((each) => each.textContent.trim().slice(0, 60))")
    assert told == [], urlsplit(page.url).path


def submit_batch(server: Server, payloads: list[object]) -> str:
    """Submit a workload for each; the batch's id."""
    lines = "\n".join(json.dumps(each) for each in payloads)
    headers = {"Content-Type": "application/x-ndjson", "Ringback-Batch": "true"}
    told: str = requests.post(f"{server.url}/iris", data=lines, headers=headers, timeout=10).json()["batch"]
    return told
