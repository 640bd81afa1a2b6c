"""A database's server that is away: how long anybody waits for it, and what the log is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.clock import SystemClock
from ringback.core.errors import StoreAway
from ringback.runtime.facts import Facts
from ringback.runtime.metrics import Metrics
from ringback.store.postgres import PostgresStore, open_postgres, outage
from ringback.store.postgres.outage import Outage
from support.postgres import clean_database_of, database_of
from support.proxy import Proxy, proxied
from support.stores import API, submission
from support.waiting import eventually

# What is cut off in the middle of a word is left to the garbage collector by the driver, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@dataclass(slots=True)
class Told:
    """What the log would be told of the server."""

    facts: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, fact: str, /, **details: object) -> None:
        if fact in {"store.away", "store.back"}:
            self.facts.append((fact, details))

    @property
    def names(self) -> list[str]:
        return [fact for fact, _ in self.facts]


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    url = await asyncio.to_thread(database_of, tmp_path)
    async with proxied(url) as proxy, asyncio.timeout(60):
        yield proxy
    await asyncio.to_thread(clean_database_of, tmp_path)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def store(proxy: Proxy, told: Told) -> AsyncIterator[PostgresStore]:
    store = await open_postgres(proxy.url, clock=SystemClock(), emit=told)
    yield store
    await store.close()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ever, only that nobody waits for seconds."""
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(outage, "LEAST_SECONDS", 0.2)


async def test_whoever_asks_while_the_server_is_only_restarted_is_answered_once_it_is_back(
    proxy: Proxy, store: PostgresStore, told: Told
) -> None:
    await store.submit(submission(workload_id="w0"))
    proxy.go_away()
    asked = [
        *(asyncio.ensure_future(store.submit(submission(workload_id=f"w{each}"))) for each in range(1, 20)),
        *(asyncio.ensure_future(store.get(API, "w0")) for _ in range(20)),
    ]
    await eventually(lambda: bool(told.facts), within=5)
    proxy.is_away = False

    await asyncio.gather(*asked)
    await eventually(lambda: told.names == ["store.away", "store.back"], within=5)


async def test_nobody_waits_long_for_one_that_stays_away_and_the_log_has_two_lines_of_it(
    brief: None, proxy: Proxy, store: PostgresStore, told: Told
) -> None:
    await store.submit(submission(workload_id="w0"))
    loop = asyncio.get_running_loop()
    proxy.go_away()
    took: list[float] = []
    for each in range(3):
        began = loop.time()
        answers = await asyncio.gather(
            store.submit(submission(workload_id=f"w{each}")),
            store.get(API, "w0"),
            store.heartbeat(),
            return_exceptions=True,
        )
        took.append(loop.time() - began)
        assert [type(answer) for answer in answers] == [StoreAway] * 3
        assert all(answer.retry_after_seconds == 2 for answer in answers if isinstance(answer, StoreAway))
    assert took[0] < 5 * 0.5
    assert max(took[1:]) < 5 * 0.2 + 0.5, "whoever comes later waits less"
    assert told.names == ["store.away"]
    assert "cannot be reached" in str(told.facts[0][1]["detail"])

    proxy.is_away = False
    await eventually(lambda: told.names == ["store.away", "store.back"], within=5)
    await store.submit(submission(workload_id="w1"))


async def test_who_comes_while_others_have_waited_long_enough_waits_for_the_server_too(
    brief: None, proxy: Proxy, store: PostgresStore, told: Told
) -> None:
    proxy.go_away()
    first = asyncio.ensure_future(store.submit(submission(workload_id="w1")))
    await eventually(lambda: bool(told.facts), within=5)  # the first is being waited for
    second = asyncio.ensure_future(store.submit(submission(workload_id="w2")))
    with pytest.raises(StoreAway):
        await first
    proxy.is_away = False

    assert (await second).id == "w2"


async def test_a_server_tells_its_own_figures_while_the_store_is_away(
    brief: None, proxy: Proxy, store: PostgresStore
) -> None:
    facts = Facts()
    metrics = Metrics(facts)
    facts("workload.submitted", api=API, payload_bytes=1)
    assert b"ringback_workloads_unfinished" in await metrics.exposition(store, [API])
    proxy.go_away()
    told = await metrics.exposition(store, [API])

    assert b"ringback_workloads_submitted_total" in told
    assert b"ringback_workloads_unfinished" not in told
    proxy.is_away = False


def test_an_outage_is_told_when_it_begins_each_minute_and_when_it_is_over() -> None:
    told, at = Told(), [100.0]
    outage = Outage(told, lambda: at[0])
    outage.is_over()
    for _ in range(100):
        outage.is_met(StoreAway("db cannot be reached: connection refused"))
        at[0] += 1.5
    outage.is_over()
    outage.is_over()

    assert told.facts == [
        ("store.away", {"detail": "db cannot be reached: connection refused"}),
        ("store.away", {"detail": "db cannot be reached: connection refused", "seconds": 60}),
        ("store.away", {"detail": "db cannot be reached: connection refused", "seconds": 120}),
        ("store.back", {"seconds": 150.0}),
    ]


def test_the_longer_it_lasts_the_less_a_caller_waits() -> None:
    at = [0.0]
    outage = Outage(Told(), lambda: at[0])
    assert outage.patience_seconds == 5.0
    outage.is_met(StoreAway("away"))
    at[0] = 3.0
    assert outage.patience_seconds == 2.0
    at[0] = 300.0
    assert outage.patience_seconds == 1.0
    outage.is_over()
    assert outage.patience_seconds == 5.0
