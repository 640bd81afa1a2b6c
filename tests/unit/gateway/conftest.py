"""A gateway over a real store, called in process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.clock import HandWound
from ringback.core.spec import Api, Autoscaling, Endpoint, Predictor
from ringback.gateway import Gateway, Rules
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Caller

IRIS = Api(
    name="iris",
    endpoint="iris",
    predictor=Predictor(path=Path("/nowhere/predictor.py")),
    autoscaling=Autoscaling(max_replica_concurrency=3),
    webhooks=(Endpoint(key="iris", url="http://127.0.0.1:1/"),),
)
OTHER = Api(name="other", endpoint="elsewhere", predictor=Predictor(path=Path("/nowhere/predictor.py")))


@dataclass(slots=True)
class Facts:
    """Remembers what was emitted."""

    seen: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, fact: str, /, **details: object) -> None:
        self.seen.append((fact, details))

    def of(self, fact: str) -> list[dict[str, object]]:
        return [details for name, details in self.seen if name == fact]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    await opened.report("iris", ReplicaState(ready=1))
    yield opened
    await opened.close()


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def gateway(store: SqliteStore, facts: Facts) -> Gateway:
    async def metrics() -> bytes:
        return b"up 1\n"

    return Gateway(store, [IRIS, OTHER], facts, rules=Rules(max_body_bytes=1_000), metrics=metrics)


@pytest.fixture
def call(gateway: Gateway) -> Caller:
    return Caller(gateway)
