"""Members that want the same of each other's lines and APIs at once: none ever waits for one that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.clock import SystemClock
from ringback.core.spec import Order
from ringback.core.workload import Claimed, Submission
from ringback.store.postgres import PostgresStore, open_postgres
from ringback.store.verbs.transaction import Kin
from support.postgres import clean_database_of, database_of
from support.stores import API, DONE, HOOK, rows_of

FIFO = replace(HOOK, order=Order.FIFO)
OTHER_FIFO = replace(FIFO, key="other")
KEYS = ("a", "b", "c", "d")


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    url = await asyncio.to_thread(database_of, tmp_path)
    one, other = await open_postgres(url, clock=SystemClock()), await open_postgres(url, clock=SystemClock())
    yield one, other
    await one.close()
    await other.close()
    await asyncio.to_thread(clean_database_of, tmp_path)


def of_line(name: str, key: str, api: str = API) -> Submission:
    return Submission(api=api, id=name, payload=b"{}", content_type="application/json", order_key=key)


async def taken(store: PostgresStore, names: Sequence[str], keys: Sequence[str]) -> list[Claimed]:
    """One workload of each line, in this member's hands, in the order of the keys."""
    for name, key in zip(names, keys, strict=True):
        await store.submit(of_line(name, key))
    claimed, _ = await store.claim(API, len(names))
    return sorted(claimed, key=lambda each: names.index(each.held.id))


class Refusals:
    """What the database has refused on the connections it listens to."""

    def __init__(self, *stores: PostgresStore) -> None:
        self.refused: list[BaseException] = []
        self.asked: list[str] = []
        self._connections = [
            group.connection
            for store in stores
            for group in (store._session.commits.first, *store._session.commits.apart.values())
            if group.is_connected
        ]

    def __enter__(self) -> Refusals:
        for each in self._connections:
            each.add_query_logger(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._connections:
            each.remove_query_logger(self._note)

    def _note(self, record: Any) -> None:
        self.asked.append(record.query)
        if record.exception is not None:
            self.refused.append(record.exception)


async def test_members_that_tell_of_the_same_lines_in_other_orders_never_wait_for_each_other(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    one, other = stores
    for number, store in enumerate(stores):  # each has the connection that ends are written on
        await store.finish((await taken(store, [f"first-{number}"], ["a"]))[0].held, DONE, [])
    with Refusals(*stores) as heard:
        for number in range(12):
            here = await taken(one, [f"here-{number}-{key}" for key in KEYS], KEYS)
            there = await taken(other, [f"there-{number}-{key}" for key in KEYS], KEYS)
            await asyncio.gather(
                *(one.finish(each.held, DONE, [FIFO, OTHER_FIFO]) for each in here),
                *(other.finish(each.held, DONE, [OTHER_FIFO, FIFO]) for each in reversed(there)),
            )
    assert heard.refused == []
    assert await rows_of(one, "SELECT count(*) FROM deliveries") == [(12 * 2 * len(KEYS) * 2,)]


async def test_all_lines_that_are_wanted_at_once_take_one_statement(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    one, _ = stores
    await one.finish((await taken(one, ["first"], ["a"]))[0].held, DONE, [FIFO])
    assert one._session.commits.apart[Kin.ENDS].is_connected
    several = await taken(one, KEYS, KEYS)
    with Refusals(one) as heard:
        await asyncio.gather(*(one.finish(each.held, DONE, [FIFO]) for each in several))
    assert sum("pg_advisory_xact_lock" in text for text in heard.asked) == 1


async def test_members_that_take_in_for_the_same_apis_in_other_orders_never_wait_for_each_other(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    one, other = stores
    apis = [f"api-{number}" for number in range(5)]
    with Refusals(*stores) as heard:
        for number in range(12):
            await asyncio.gather(
                *(one.submit(of_line(f"here-{number}", "k", api), limit=1_000) for api in apis),
                *(other.submit(of_line(f"there-{number}", "k", api), limit=1_000) for api in reversed(apis)),
            )
    assert heard.refused == []
    assert await rows_of(one, "SELECT count(*) FROM workloads") == [(12 * 2 * len(apis),)]
