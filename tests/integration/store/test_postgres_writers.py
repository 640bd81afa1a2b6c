"""Several connections that write: what waits for what, what is said to whom, and when plans are made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ringback.core.clock import SystemClock
from ringback.core.delivery import Delivery
from ringback.core.journal import Said
from ringback.core.workload import Status
from ringback.store.postgres import PostgresStore, open_postgres
from ringback.store.postgres.planning import Plans
from ringback.store.postgres.words import CHANNEL
from ringback.store.verbs.transaction import Kin
from support.postgres import clean_database_of, database_of
from support.stores import API, DONE, HOOK, claim_one, submission

WITHIN_SECONDS = 4.0
"""Below what a member lets pass before it looks for itself, whatever it is told."""


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    yield await asyncio.to_thread(database_of, tmp_path)
    await asyncio.to_thread(clean_database_of, tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    opened = await open_postgres(url, clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
async def stranger(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def test_an_end_does_not_wait_for_a_submit_that_waits(store: PostgresStore, stranger: asyncpg.Connection) -> None:
    held = (await claim_one(store, "w1")).held
    in_the_way = stranger.transaction()
    await in_the_way.start()
    await stranger.execute(
        "INSERT INTO workloads (api, id, status, due_at, submitted_at, content_type, headers, payload) "
        "VALUES ($1, 'w2', 'failed', 0, 0, '', '', '')",
        API,
    )
    waits = asyncio.ensure_future(store.submit(submission(workload_id="w2"), limit=9))
    async with asyncio.timeout(WITHIN_SECONDS):
        assert await store.finish(held, DONE, []) is Status.COMPLETED
    assert not waits.done()
    await in_the_way.rollback()
    assert (await waits).created


async def test_an_end_comes_after_what_was_said_before_it_though_nobody_waited_for_that(store: PostgresStore) -> None:
    for number in range(20):
        held = (await claim_one(store, f"w{number}")).held
        said = asyncio.ensure_future(store.enter(held, [Said(line=0, text="one word")]))
        assert await store.finish(held, DONE, []) is Status.COMPLETED
        await said


async def test_connections_are_made_for_what_is_written(store: PostgresStore) -> None:
    def connected() -> set[Kin]:
        return {kin for kin, each in store._session.commits.apart.items() if each.is_connected}

    held = (await claim_one(store, "w1")).held
    assert connected() == set()
    await store.finish(held, DONE, [])
    assert connected() == {Kin.ENDS}


async def test_who_is_woken_for_a_delivery_finds_it(store: PostgresStore) -> None:
    """It is woken once it is there: whoever looks before goes away for good."""
    found: asyncio.Future[list[Delivery]] = asyncio.get_running_loop().create_future()

    async def look() -> None:
        due, _ = await store.take_due(HOOK.key, 9, again=False)
        if not found.done():
            found.set_result(due)

    looks: list[asyncio.Future[None]] = []
    store.on_due(HOOK.key, lambda: looks.append(asyncio.ensure_future(look())))
    held = (await claim_one(store, "w1")).held
    await store.finish(held, DONE, [HOOK])
    async with asyncio.timeout(WITHIN_SECONDS):
        assert [each.workload_id for each in await found] == ["w1"]
    await asyncio.gather(*looks)


async def test_one_that_is_alone_says_nothing_and_speaks_once_there_is_another(
    store: PostgresStore, stranger: asyncpg.Connection, url: str
) -> None:
    words: list[str] = []
    more = asyncio.Event()

    def heard(*told: Any) -> None:
        words.append(told[-1])
        more.set()

    await stranger.add_listener(CHANNEL, heard)
    await store.submit(submission(workload_id="w1"), limit=9)
    await stranger.execute("SELECT 1")  # what had been said before would be here
    assert words == []
    other = await open_postgres(url, clock=SystemClock())
    async with asyncio.timeout(WITHIN_SECONDS):
        while f"{store.member} queued {API}" not in words:
            more.clear()
            await store.submit(submission(), limit=99)
            if f"{store.member} queued {API}" not in words:
                await asyncio.wait({asyncio.ensure_future(more.wait())}, timeout=0.1)
    await other.close()


async def test_what_one_that_was_alone_did_not_say_is_found_all_the_same(store: PostgresStore, url: str) -> None:
    woken = asyncio.Event()
    other = await open_postgres(url, clock=SystemClock())
    other.on_queued(API, woken.set)
    async with asyncio.timeout(WITHIN_SECONDS):
        await woken.wait()  # though nothing was said
    await other.close()


async def test_plans_are_made_anew_in_time(store: PostgresStore) -> None:
    ran: list[str] = []
    first = store._session.commits.first._transactions

    def note(record: Any) -> None:
        ran.append(record.query)

    with first.connection.query_logger(note):
        first._plans = Plans()
        assert not first._plans.have_served(999)
        await store.submit(submission(workload_id="w1"), limit=9)
        await store.submit(submission(workload_id="w2"), limit=9)
    assert [text for text in ran if "DISCARD" in text] == ["COMMIT; DISCARD PLANS"]
