"""A gateway with the dashboard hung in, over a real store, called in process as a browser would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ringback.core.clock import HandWound
from ringback.core.spec import Api, Endpoint, Predictor
from ringback.dashboard import Dashboard, Hour, Reading
from ringback.gateway import Front, Gateway, Rules
from ringback.pages import Inside, Link, Pages
from ringback.store.contract import Part, ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Answer, Caller
from unit.gateway.conftest import Facts

BROWSER: Mapping[str, str] = {"accept": "text/html", "host": "127.0.0.1:8080", "sec-fetch-site": "same-origin"}


@dataclass(slots=True)
class Browser:
    """Gets pages and sends their forms, as one without script does."""

    call: Caller

    async def get(self, path: str) -> str:
        """A page, which must be there."""
        answer = await self.call("GET", path, headers=BROWSER)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.body.decode()

    async def post(self, path: str, *pairs: tuple[str, str]) -> Answer:
        """Send a form with the token that pages carry."""
        page = await self.get("/")
        token = page.partition('name="form_token" value="')[2].partition('"')[0]
        body = urlencode([("form_token", token), *pairs]).encode()
        return await self.call("POST", path, body, {**BROWSER, "content-type": "application/x-www-form-urlencoded"})


@pytest.fixture
def part() -> Part:
    """What the server does of all there is to do."""
    return Part()


@pytest.fixture
async def store(tmp_path: Path, part: Part) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite(tmp_path / "ringback.db", clock=HandWound(), part=part)
    await opened.report("iris", ReplicaState(ready=1))
    yield opened
    await opened.close()


@pytest.fixture
def apis(tmp_path: Path) -> list[Api]:
    (tmp_path / "sample.json").write_text('{"sepal": "<5.2>"}')
    predictor = Predictor(path=tmp_path / "predictor.py")
    hook = Endpoint(key="iris", url="http://127.0.0.1:1/hook", secret="whsec_YWNjZXB0YW5jZS10ZXN0cy1vbmx5LTAx")
    return [
        Api(name="iris", endpoint="iris", predictor=predictor, webhooks=(hook,)),
        Api(name="other", endpoint="elsewhere", predictor=Predictor(path=Path("/nowhere/predictor.py"))),
    ]


@pytest.fixture
def has_inspector() -> bool:
    return True


@pytest.fixture
def dashboard(store: SqliteStore, apis: list[Api], has_inspector: bool) -> tuple[Dashboard, Caller]:
    async def metrics() -> bytes:
        return b""

    def reading() -> Reading:
        return Reading(finished={}, ran={}, arrived={}, attempts={}, tripped=frozenset())

    pages = Pages(["ringback.dashboard"], [Link(words="Overview", path="/")])
    ask = Inside()
    hour = Hour(reading, store.queue_ages, store.clock)
    made = Dashboard(store, apis, pages=pages, hour=hour, ask=ask, has_inspector=has_inspector)
    front = Front(pages=pages, mounts=[made.mount])
    gateway = Gateway(store, apis, Facts(), rules=Rules(max_body_bytes=100_000), metrics=metrics, front=front)
    ask.belongs_to(gateway.inside)
    return made, Caller(gateway)


@pytest.fixture
def browser(dashboard: tuple[Dashboard, Caller]) -> Browser:
    return Browser(dashboard[1])
