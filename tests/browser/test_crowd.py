"""A hundred thousand workloads: every page of them, none twice, none left out, and the first as quick as the last."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import requests

from browser.conftest import Visits
from ringback.core.workload import Submission
from support.ground import open_store
from support.processes import Server

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect  # noqa: E402

NUMBER: Final = 100_000
PORTION: Final = 5_000


async def fill(path: Path) -> None:
    """Have so many workloads wait in the store."""
    store = await open_store(path)
    for start in range(0, NUMBER, PORTION):
        await asyncio.gather(
            *(
                store.submit(Submission(api="iris", id=f"w{number:06}", payload=b"{}", content_type="application/json"))
                for number in range(start, start + PORTION)
            )
        )
    await store.close()


@pytest.mark.timeout(300)
def test_a_hundred_thousand_workloads_are_paged(
    serve: Callable[..., Server], visits: Visits, tmp_path: Path, say: Callable[[str], None]
) -> None:
    (tmp_path / "store").mkdir()
    with ThreadPoolExecutor(1) as aside:  # in this thread Playwright's loop runs
        aside.submit(asyncio.run, fill(tmp_path / "store" / "ringback.db")).result()
    server = serve(concurrency=1)
    page = visits.open(f"{server.url}/-/ui/workloads")
    expect(page.get_by_role("link", name="w099999")).to_be_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="w099899")).to_be_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="w099799")).to_be_visible()
    page.get_by_role("link", name="Newer").click()
    expect(page.get_by_role("link", name="w099899")).to_be_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="w099799")).to_be_visible()
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("link", name="w099999")).to_be_visible()
    page.get_by_role("searchbox").fill("w000017")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="w000017")).to_be_visible()

    seen: list[str] = []
    took: list[float] = []
    path: str | None = "/-/ui/workloads?limit=1000"
    with requests.Session() as session:
        while path is not None:
            start = time.perf_counter()
            text = session.get(server.url + path, headers={"Accept": "text/html"}, timeout=30).text
            took.append(time.perf_counter() - start)
            seen += re.findall(r">(w\d{6})</a>", text)
            found = re.search(r'href="([^"]+)" rel="next"', text)
            path = None if found is None else found[1].replace("&amp;", "&")

    assert seen == [f"w{number:06}" for number in range(NUMBER - 1, -1, -1)]
    say(f"{len(took)} pages of 1000: the first in {took[0] * 1e3:.0f} ms, the last in {took[-1] * 1e3:.0f} ms")
