"""What happens on the way is told to those who asked, and replicas wait when it is more than the store takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from ringback.core.clock import Instant
from ringback.core.errors import LeaseLost, StoreError
from ringback.core.spec import Api, Endpoint, Event, Predictor
from ringback.core.workload import Claimed, Held, Output, Started
from ringback.store.contract import Store
from ringback.work.news import MOST_UNDER_WAY, News
from support.facts import Facts

HOOK = Endpoint(key="hook", url="http://127.0.0.1:1/", events=frozenset({Event.OUTPUT, Event.COMPLETED}))
CLAIMED = Claimed(
    held=Held(seq=1, api="iris", id="w1", attempt=1),
    payload=b"",
    content_type="text/plain",
    headers=b"{}",
    trace_id=None,
    raised=0,
    losses=0,
    submitted_at=Instant(0),
)


@dataclass(slots=True)
class Pending:
    """A store that takes news in when the test says so."""

    told: list[Started | Output] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    registered: frozenset[Event] = frozenset()

    def asked(self, api: str) -> frozenset[Event]:
        assert api == "iris"
        return self.registered

    def announce(self, held: Held, news: Started | Output, endpoints: Sequence[Endpoint]) -> Awaitable[None]:
        assert list(endpoints) == [HOOK]
        self.told.append(news)
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]


def made() -> tuple[News, Pending, list[bool], Facts]:
    store, listening, facts = Pending(), list[bool](), Facts()
    api = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("/p.py")), webhooks=(HOOK,))
    return News(api, cast("Store", store), facts, listen=listening.append), store, listening, facts


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_an_endpoint_asks_for_that_is_registered_meanwhile_is_told_from_then_on() -> None:
    news, store, _, _ = made()
    news.started(CLAIMED)
    store.registered = frozenset({Event.STARTED})
    news.started(CLAIMED)
    assert store.told == [Started()]


async def test_only_what_somebody_asked_for_is_told() -> None:
    news, store, _, _ = made()
    news.started(CLAIMED)
    news.output(CLAIMED, 0, b"1")
    assert store.told == [Output(index=0, value=b"1")]
    news.started(replace(CLAIMED, asked=frozenset({Event.STARTED})))
    assert store.told[1:] == [Started()]


async def test_replicas_wait_while_too_much_is_under_way() -> None:
    news, store, listening, _ = made()
    for index in range(MOST_UNDER_WAY + 5):
        news.output(CLAIMED, index, b"1")
    assert listening == [False]
    for future in store.waiting:
        future.set_result(None)
    await settle()
    assert listening == [False, True]


async def test_what_the_store_cannot_take_is_left_out_and_said() -> None:
    news, store, _, facts = made()
    news.output(CLAIMED, 0, b"1")
    news.output(CLAIMED, 1, b"2")
    store.waiting[0].set_exception(LeaseLost("over"))
    store.waiting[1].set_exception(StoreError("the disk is full"))
    await settle()
    [fault] = facts.of("store.fault")
    assert "the disk is full" in str(fault["error"])
