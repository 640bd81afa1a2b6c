"""The page on delivery shows a registration that the server takes, and every key it takes has its row."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from ringback.core.clock import HandWound
from ringback.core.spec import Api, Predictor
from ringback.gateway import Gateway, Rules
from ringback.gateway.registering import NEW_KEYS
from ringback.runtime.facts import Facts
from ringback.store.sqlite import open_sqlite
from support.asgi import Caller

PAGE: Final = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text()
SECTION: Final = PAGE.partition("## Registered while it runs")[2].partition("\n## ")[0]


async def no_metrics() -> bytes:
    return b""


async def test_the_registration_on_the_page_is_taken(tmp_path: Path) -> None:
    [shown] = re.findall(r"-d '(\{.*?\})'", SECTION, re.DOTALL)
    body = shown.replace("example.com", "93.184.216.34")  # so that no name server is asked
    iris = Api(name="iris", endpoint="iris", predictor=Predictor(path=tmp_path / "predictor.py"))
    store = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    call = Caller(Gateway(store, [iris], Facts(), rules=Rules(max_body_bytes=1_000), metrics=no_metrics))
    answer = await call("POST", "/-/endpoints", body.encode(), {"content-type": "application/json"})
    await store.close()

    assert answer.status == 201
    assert answer.json()["events"] == sorted(json.loads(body)["events"])
    assert answer.json()["secret"].startswith("whsec_")


def test_every_key_of_a_registration_has_its_row() -> None:
    rows = [row.split("|")[1] for row in SECTION.splitlines() if row.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == NEW_KEYS
