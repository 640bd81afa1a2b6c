"""The database goes away under a gateway, a worker and two dispatchers, and comes back: what callers and logs hear."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import requests

from support.catcher import Catcher
from support.database_server import database_server
from support.members import members
from support.processes import Server
from support.served import folder_of
from support.waiting import until

API: Final = ("/echo/w0", "/echo/w0/events", "/echo/w0?wait=2", "/-/apis", "/-/deliveries", "/-/endpoints")
PAGES: Final = ("/", "/-/ui/workloads", "/-/ui/deliveries")
PROBES: Final = ("/metrics", "/readyz", "/healthz")
PATIENCE_SECONDS: Final = 5.0
SLACK_SECONDS: Final = 5.0
"""For a machine with other things to do."""
AWAY: Final = "store.away"
BACK: Final = "store.back"


def told_of_the_store(server: Server) -> list[str]:
    """The facts of store and upkeep that its log has lines of."""
    facts = [line.split()[2] for line in server.log().splitlines() if line[:2] == "20"]
    return [fact for fact in facts if fact.startswith(("store.", "upkeep."))]


@pytest.mark.timeout(240)
def test_callers_are_told_to_come_again_and_each_log_has_two_lines(tmp_path: Path, say: Callable[[str], None]) -> None:
    with Catcher() as catcher, database_server() as database:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with members(file, database.url, tmp_path / "members", "--lease", "120s") as everyone:
            for role in ("gateway", "worker", "dispatcher", "dispatcher"):
                everyone.start(role)
            for server in everyone.all:
                server.wait_for("/readyz", 200)
            gateway = everyone.all[0]
            requests.put(f"{gateway.url}/echo/w0", json=1, timeout=30).raise_for_status()
            until(lambda: "w0" in catcher.ids(), within=30, wanted="the first webhook")

            with database.away():
                took = [refused(gateway) for _ in range(3)]
                assert took[0] < PATIENCE_SECONDS + SLACK_SECONDS
                assert max(took[1:]) < SLACK_SECONDS, "who comes later waits less"
                with ThreadPoolExecutor(4) as threads:
                    paths = API + PAGES + PROBES
                    answers = dict(zip(paths, threads.map(partial(asked, gateway), paths), strict=True))
                for server in everyone.all:
                    until(partial(has_told, server, AWAY), within=30, wanted="a line of it")
            for path, answer in answers.items():
                named = [
                    word for word in ("postgres", str(database.folder), "cannot be reached:") if word in answer.text
                ]
                assert not named, path
                assert answer.status_code == (200 if path in PROBES else 503), path

            requests.put(f"{gateway.url}/echo/w1", json=1, timeout=30).raise_for_status()
            until(lambda: "w1" in catcher.ids(), within=30, wanted="the second webhook")
            for server in everyone.all:
                until(partial(has_told, server, BACK), within=30, wanted="another line")
                assert told_of_the_store(server) == [AWAY, BACK], server.log()
                assert f"{database.folder} cannot be reached" in server.log(), "the operator is told where it is"
            say(f"submits were answered 503 after {', '.join(f'{each:.1f}' for each in took)} s")


def asked(gateway: Server, path: str) -> requests.Response:
    kind = "text/html" if path in PAGES else "*/*"
    return requests.get(f"{gateway.url}{path}", headers={"accept": kind}, timeout=60)


def has_told(server: Server, fact: str) -> bool:
    return fact in told_of_the_store(server)


def refused(gateway: Server) -> float:
    """How many seconds a submit takes to be answered that it is to come again."""
    began = time.monotonic()
    answer = requests.put(f"{gateway.url}/echo/w1", json=1, timeout=60)
    took = time.monotonic() - began
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:ringback:problem:store_away"
    assert answer.json()["detail"].endswith("try again in 2 s")
    return took
