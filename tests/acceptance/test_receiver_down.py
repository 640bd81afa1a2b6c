"""A receiver that is away for five seconds in the middle of a thousand workloads misses none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from support.catcher import Catcher
from support.processes import serving
from support.served import folder_of
from support.waiting import pause


@pytest.mark.parametrize("how", ["refuses", "busy"])
def test_none_is_lost(how: str, tmp_path: Path, say: Callable[[str], None]) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with serving(file, tmp_path / "store" / "ringback.db") as server, requests.Session() as session:

            def submit(count: int) -> set[str]:
                answers = [session.post(f"{server.url}/echo", json={}, timeout=10) for _ in range(count)]
                return {str(each.json()["id"]) for each in answers}

            ids = submit(400)
            with catcher.down() if how == "refuses" else catcher.busy():
                ids |= submit(300)
                pause(5)
            ids |= submit(300)
            catcher.wait_for_all(ids, within=60)

            webhook_ids = catcher.webhook_ids()
    duplicates = sum(sum(counts.values()) - 1 for counts in webhook_ids.values())
    say(f"{len(ids - webhook_ids.keys())} of {len(ids)} lost, {duplicates} duplicates, {catcher.refused} answered 503")
    assert len(ids) == 1_000
    assert {len(webhook_ids[each]) for each in ids} == {1}, "one webhook-id per event"
