"""axe-core on every page, light and dark: no serious fault, nor any other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from browser.conftest import Visits, submit_batch
from support.catcher import Catcher
from support.processes import Server

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.mark.timeout(300)  # some seconds for each page where the machine is busy
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_fault(serve: Callable[..., Server], visits: Visits, scheme: str) -> None:
    with Catcher() as catcher, catcher.busy():
        server = serve(webhook=catcher.url)
        failed = submit(server, {"raise": "no flower"})
        batch = submit_batch(server, [{"raise": "no flower"}, {}])
        running = submit(server, {"steps": 1_000, "pause": 0.2})
        for path in (
            "/",
            "/-/ui/workloads",
            f"/-/ui/workloads/iris/{failed}",
            f"/-/ui/workloads/iris/{running}",
            "/-/ui/batches",
            f"/-/ui/batches/{batch}",
            "/-/ui/deliveries",
            "/-/ui/deliveries?state=parked",
            "/-/ui/deliveries/dlv_1",
            "/-/ui/endpoints",
            "/-/ui/apis/iris",
            "/-/ui/submit",
            "/-/ui/nothing-here",
            "/-/login",
        ):
            page = visits.open(server.url + path, color_scheme=scheme)
            found = axe.Axe().run(page).response["violations"]
            told = [f"{each['impact']}: {each['help']}: {each['nodes'][0]['html'][:120]}" for each in found]
            assert told == [], path
            page.context.close()


def submit(server: Server, payload: object) -> str:
    """Submit, and return once it has been taken; its id."""
    answer = requests.post(f"{server.url}/iris", json=payload, headers={"Prefer": "wait=1"}, timeout=10)
    told: str = answer.json()["id"]
    return told
