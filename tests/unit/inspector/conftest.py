"""An inspector hung into a gateway over a real store, called in process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from ringback.core.clock import HandWound
from ringback.core.emit import silent
from ringback.core.netguard import Guard
from ringback.core.signing import Signer
from ringback.core.spec import Api, Endpoint, Predictor
from ringback.gateway import Front, Gateway, Rules
from ringback.inspector import Inspector, Reach
from ringback.pages import FORM_TOKEN_FIELD, Pages
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Answer, Caller
from support.served import SECRET

BASE: Final = "http://127.0.0.1:8080"
HTML: Final = {"accept": "text/html,*/*"}
SERVED: Final = "served-by-the-file"
API: Final = Api(
    name="echo",
    endpoint="echo",
    predictor=Predictor(path=Path("/nowhere/predictor.py")),
    webhooks=(
        Endpoint(key="echo", url=f"{BASE}/-/inspector/in/{SERVED}", secret=SECRET),
        Endpoint(key="elsewhere", url="http://127.0.0.1:1/"),
    ),
)


@dataclass(slots=True)
class Bench:
    """One inspector, and how to talk to it."""

    store: SqliteStore
    inspector: Inspector
    gateway: Gateway
    clock: HandWound
    call: Caller = field(init=False)

    def __post_init__(self) -> None:
        self.call = Caller(self.gateway)

    async def make(self, **wanted: Any) -> str:
        """A new inbox's id."""
        made = await self.call("POST", "/-/inspector", json.dumps(wanted).encode())
        assert made.status == 201, made.body
        inbox_id: str = made.json()["id"]
        return inbox_id

    async def send(self, inbox_id: str, body: bytes = b"{}", *, method: str = "POST", **headers: str) -> Answer:
        """A request to an inbox, header names with dashes for underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call(method, f"/-/inspector/in/{inbox_id}", body, named)

    async def ring(
        self, inbox_id: str, body: bytes = b'{"a":1}', *, secret: str = SECRET, message_id: str = "msg_1"
    ) -> Answer:
        """A signed webhook to an inbox."""
        stamp = self.clock.now() // 1_000_000
        return await self.send(
            inbox_id,
            body,
            webhook_id=message_id,
            webhook_timestamp=str(stamp),
            webhook_signature=Signer(secret).sign(message_id, stamp, body),
        )

    async def get(self, path: str) -> Any:
        """JSON."""
        answer = await self.call("GET", f"/-/inspector{path}")
        assert answer.status == 200, answer.body
        return answer.json()

    async def page(self, path: str) -> str:
        """HTML."""
        answer = await self.call("GET", f"/-/inspector{path}", headers=HTML)
        assert answer.status == 200, answer.body
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        return answer.body.decode()

    async def post_form(self, path: str, **fields: str) -> Answer:
        """A form as a page sends it, with the token of that page."""
        token = self.gateway_token(await self.page(""))
        body = urlencode({FORM_TOKEN_FIELD: token, **fields}).encode()
        headers = {**HTML, "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        return await self.call("POST", f"/-/inspector{path}", body, headers)

    @staticmethod
    def gateway_token(page: str) -> str:
        """The form token on a page."""
        return page.partition(f'name="{FORM_TOKEN_FIELD}" value="')[2].partition('"')[0]

    async def has_captured(self, inbox_id: str, count: int) -> bool:
        """Whether an inbox has taken in so many."""
        return (await self.store.inboxes.get(inbox_id)).captured >= count

    async def is_streaming(self) -> bool:
        """Whether somebody reads a stream."""
        return self.inspector._streaming.open > 0

    async def captures(self, inbox_id: str, query: str = "") -> list[Any]:
        """An inbox's captures, newest first."""
        listed: list[Any] = (await self.get(f"/{inbox_id}{query}"))["captures"]
        return listed


MakeBench = Callable[..., Bench]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    yield opened
    await opened.close()


@pytest.fixture
async def make_bench(store: SqliteStore) -> AsyncIterator[MakeBench]:
    """Makes benches over one store, or over that as it is `seen`."""
    made: list[Bench] = []

    def make(
        *, keys: frozenset[str] = frozenset(), read_bytes: int = 2**22, own_url: str = BASE, seen: Any = store
    ) -> Bench:
        async def metrics() -> bytes:
            return b""

        pages = Pages(("ringback.inspector",))
        guard = Guard(["127.0.0.0/8", "localhost"])
        reach = Reach(base_url=BASE, own_url=own_url, guard=guard, read_bytes=read_bytes)
        inspector = Inspector(seen, [API], pages, reach)
        gateway = Gateway(
            store,
            [API],
            silent,
            rules=Rules(max_body_bytes=2**20, api_keys=keys),
            metrics=metrics,
            front=Front(pages=pages, mounts=[inspector.mount]),
        )
        clock = store.clock
        assert isinstance(clock, HandWound)
        made.append(Bench(store, inspector, gateway, clock))
        return made[-1]

    yield make
    for bench in made:
        await bench.inspector.close()


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()
