"""A webhook that went wrong, seen and mended through the real command, with nothing but the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

from support.catcher import Catcher
from support.processes import Server, serving
from support.served import folder_of
from support.waiting import until


def test_what_was_given_up_is_found_explained_and_sent_again(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url, retry=["0s"])
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            with catcher.busy():
                workload_id = requests.post(f"{server.url}/echo", json={}, timeout=10).json()["id"]
                [parked] = until(lambda: listed(server, "--state", "parked"), within=20, wanted="a parked delivery")
            assert (parked["workload"], parked["tries"]) == (workload_id, 2)
            story = server.ringback("deliveries", "show", parked["id"])
            assert "parked: all 2 attempts failed; the last one: answered 503" in story

            server.ringback("deliveries", "replay", parked["id"])
            caught = catcher.wait_for(workload_id)
            assert caught.webhook_id == parked["webhook_id"]
            until(lambda: listed(server, "--state", "delivered"), within=10, wanted="the delivery delivered")


def test_an_endpoint_at_rest_keeps_its_webhooks_over_a_restart(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            assert "delivered" in server.ringback("endpoints", "test", "echo")
            server.ringback("endpoints", "disable", "echo")
            workload_id = requests.post(f"{server.url}/echo", json={}, timeout=10).json()["id"]
            until(lambda: listed(server, "--state", "pending"), within=10, wanted="a pending delivery")
            server.kill()
            server.start_and_wait()
            [endpoint] = rows(server.ringback("--json", "endpoints", "list"))
            assert (endpoint["state"], endpoint["pending"]) == ("disabled", 1)
            assert workload_id not in catcher.ids()

            server.ringback("endpoints", "enable", "echo")
            catcher.wait_for(workload_id)


def test_a_webhook_that_comes_with_the_submit_reaches_what_the_operator_allows_and_nothing_else(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api")
        store = tmp_path / "store" / "ringback.db"
        with serving(file, store, options=["--allow", "127.0.0.0/8"]) as server:
            told = server.ringback("submit", "echo", "-d", "{}", "--webhook", catcher.url)
            caught = catcher.wait_for(told.strip())
            assert "webhook-signature" not in caught.headers

        with serving(file, store) as server:
            headers = {"Ringback-Webhook": catcher.url}
            refused = requests.post(f"{server.url}/echo", json={}, headers=headers, timeout=10)
            assert refused.status_code == 422
            assert "127.0.0.1 is loopback" in refused.json()["detail"]


def listed(server: Server, *options: str) -> list[dict[str, Any]]:
    return rows(server.ringback("--json", "deliveries", "list", *options))


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]
