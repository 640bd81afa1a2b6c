"""What happens to a server on the network: connections end, answers get lost, poolers stand in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from ringback.core.clock import SystemClock
from ringback.core.delivery import Delivery
from ringback.core.errors import LeaseLost, StoreBusy, StoreError, StoreTooNew
from ringback.core.workload import Completed, Status
from ringback.store.postgres import PostgresStore, open_postgres, transactions
from ringback.store.postgres.together import Together
from support.postgres import clean_database_of, database_of, empty_database
from support.proxy import proxied
from support.stores import API, DONE, HOOK, claim_one, rows_of, submission, take_one

# What is cut off in the middle of a word is left to the garbage collector by the driver, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    yield await asyncio.to_thread(database_of, tmp_path)
    await asyncio.to_thread(clean_database_of, tmp_path)


async def cut_off_everyone(url: str) -> None:
    """End every connection to the database but the one that says so."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def submit_many(store: PostgresStore, count: int) -> set[str]:
    accepted = await asyncio.gather(*(store.submit(submission(workload_id=f"w{each}")) for each in range(count)))
    return {each.id for each in accepted}


async def test_connections_that_end_in_the_middle_are_made_anew_and_nothing_is_done_twice(url: str) -> None:
    store = await open_postgres(url, clock=SystemClock())
    under_way = [asyncio.ensure_future(submit_many(store, 200))]
    for _ in range(3):
        await cut_off_everyone(url)
        under_way.append(asyncio.ensure_future(submit_many(store, 200)))  # the same ids again: known, or new

    for ids in await asyncio.gather(*under_way):
        assert ids == {f"w{each}" for each in range(200)}
    assert await rows_of(store, "SELECT count(*) FROM workloads") == [(200,)]
    assert (await store.get(API, "w7")).status is Status.IN_QUEUE
    assert await store._session.commits.first.connection.fetchval("SHOW enable_sort") == "off", "on each of them"
    await store.close()


async def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_repeated(url: str) -> None:
    async with proxied(url) as proxy:
        store = await open_postgres(proxy.url, clock=SystemClock())
        proxy.lose_next = 1
        accepted = await store.submit(submission())
        held = (await claim_one(store)).held
        proxy.lose_next = 1
        await store.finish(held, DONE, [HOOK])

        assert proxy.lost_answers == 2
        assert await rows_of(store, "SELECT id, attempt FROM workloads") == [(accepted.id, 1)]
        assert await rows_of(store, "SELECT count(*) FROM deliveries") == [(1,)]
        await store.close()


async def test_a_server_that_goes_again_while_it_is_asked_what_became_of_a_commit_is_asked_once_more(url: str) -> None:
    async with proxied(url) as proxy, asyncio.timeout(60):
        store = await open_postgres(proxy.url, clock=SystemClock())
        proxy.lose_next = 3  # of the commit itself, and of two looks at what became of it
        accepted = await store.submit(submission())

        assert proxy.lost_answers == 3
        assert await rows_of(store, "SELECT id FROM workloads") == [(accepted.id,)]
        await store.submit(submission(workload_id="w2"))
        await store.close()


class Heap:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[Delivery] = []

    def has_room(self, endpoint: str) -> bool:
        return bool(endpoint)

    def put(self, delivery: Delivery) -> None:
        self.given.append(delivery)


SLOW_TO_COMMIT = """
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON workloads DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.status = 'completed') EXECUTE FUNCTION linger()
"""


async def test_a_commit_that_is_still_under_way_is_waited_for_and_not_repeated(url: str) -> None:
    async with proxied(url) as proxy, asyncio.timeout(60):
        store = await open_postgres(proxy.url, clock=SystemClock())
        heap = Heap()
        store.hand_on(heap)
        held = (await claim_one(store, "w1")).held
        slow = await asyncpg.connect(url)
        await slow.execute(SLOW_TO_COMMIT)
        proxy.cut_next = 1
        status = await store.finish(held, DONE, [HOOK])
        await slow.execute("DROP FUNCTION linger CASCADE")
        await slow.close()

        assert status is Status.COMPLETED
        assert await rows_of(store, "SELECT count(*) FROM deliveries") == [(1,)]
        assert [each.workload_id for each in heap.given] == ["w1"], "or nobody would ever send it"
        await store.close()


async def test_a_commit_that_was_taken_for_failed_and_has_happened_makes_the_member_start_over(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "_FATE_SECONDS", 0.2)
    async with proxied(url) as proxy, asyncio.timeout(60):
        store = await open_postgres(proxy.url, clock=SystemClock())
        held = (await claim_one(store, "w1")).held
        slow = await asyncpg.connect(url)
        await slow.execute(SLOW_TO_COMMIT)
        proxy.cut_next = 1
        with pytest.raises(StoreError, match="not known: in progress"):
            await store.finish(held, DONE, [HOOK])
        await store.heartbeat()  # nothing is known yet
        await slow.execute("DROP FUNCTION linger CASCADE")  # once that has ended
        await slow.close()

        with pytest.raises(LeaseLost, match="taken for failed"):
            await store.heartbeat()
        await store.close()


async def test_a_commit_that_was_taken_for_failed_and_has_not_happened_changes_nothing(url: str) -> None:
    store = await open_postgres(url, clock=SystemClock())
    other = await asyncpg.connect(url)
    undone = other.transaction()
    await undone.start()
    number = await other.fetchval("SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)")
    store._session._open_fates.add(number)
    await store.heartbeat()
    await undone.rollback()
    await store.heartbeat()
    await store.heartbeat()
    assert not store._session._open_fates
    await other.close()
    await store.close()


async def test_a_fault_of_ours_leaves_nobody_waiting_and_the_next_write_goes_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_postgres(url, clock=SystemClock())
    tally, faults = Together.tally, [RuntimeError("a slip")]

    async def slips(self: Together, *args: Any) -> Any:
        if faults:
            raise faults.pop()
        return await tally(self, *args)

    monkeypatch.setattr(Together, "tally", slips)
    with pytest.raises(StoreError, match="a slip"):
        await store.submit(submission(workload_id="w1"))
    await store.submit(submission(workload_id="w2"))
    assert await rows_of(store, "SELECT id FROM workloads") == [("w2",)]
    assert (await store.depths())[API].in_queue == 1
    await store.close()


async def test_behind_a_pooler_that_lets_no_word_through_members_look_for_themselves(url: str) -> None:
    async with proxied(url, is_deaf=True) as proxy:
        store = await open_postgres(proxy.url, clock=SystemClock())
        other = await open_postgres(proxy.url, clock=SystemClock())
        woken = asyncio.Event()
        other.on_queued(API, woken.set)
        assert await store._session.commits.first.connection.fetchval("SHOW enable_sort") == "on", (
            "nothing is left behind"
        )
        await store.submit(submission(workload_id="w1"))
        async with asyncio.timeout(5):
            await woken.wait()
        ended = asyncio.ensure_future(store.ended(API, "w1", 20))
        await other.finish((await claim_one(other)).held, Completed(result=b"1"), [HOOK])

        assert (await ended).result == b"1"
        assert (await take_one(store)).body
        await other.close()
        await store.close()


async def test_words_are_heard_again_after_the_server_has_cut_off_whoever_listened(url: str) -> None:
    store = await open_postgres(url, clock=SystemClock())
    other = await open_postgres(url, clock=SystemClock())
    await cut_off_everyone(url)
    await store.submit(submission(workload_id="w1"))
    ended = asyncio.ensure_future(store.ended(API, "w1", 20))
    await other.finish((await claim_one(other)).held, DONE, [])

    assert (await ended).result == DONE.result
    await other.close()
    await store.close()


async def test_members_on_hosts_with_other_clocks_agree_on_what_is_due(url: str) -> None:
    class Elsewhere(SystemClock):
        """A host that was started another day."""

        def elapsed(self) -> int:
            return super().elapsed() + 86_400_000_000

    store = await open_postgres(url, clock=SystemClock())
    other = await open_postgres(url, clock=Elsewhere())

    assert abs(store._session.steady() - other._session.steady()) < 1_000_000
    await other.close()
    await store.close()


async def test_connections_do_not_wait_for_ever_for_a_host_that_is_gone(url: str) -> None:
    async with proxied(url) as proxy:
        store = await open_postgres(proxy.url, clock=SystemClock())
        readers = store._session.readers
        assert readers is not None
        await store.depths()
        async with readers.acquire() as reader:
            for connection in (store._session.commits.first.connection, store._listener, reader):
                assert connection is not None
                wire = connection._transport.get_extra_info("socket")
                assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
                assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 2
                # And the server gives up what such a host has left in the middle, with all its locks.
                assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "5s"
        await store.close()


# ── Opening ─────────────────────────────────────────────────────────────────────────────────────


async def test_ten_members_may_open_an_empty_database_at_once() -> None:
    url = await asyncio.to_thread(empty_database)
    stores = await asyncio.gather(*(open_postgres(url, clock=SystemClock()) for _ in range(10)))
    await stores[0].submit(submission(workload_id="w1"))

    assert (await stores[9].get(API, "w1")).id == "w1"
    for store in stores:
        await store.close()


async def test_a_database_of_another_program_is_refused_and_left_alone() -> None:
    url = await asyncio.to_thread(empty_database)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE workloads (x INT)")
    with pytest.raises(StoreError, match="a database of another program: name one of Ringback's own"):
        await open_postgres(url, clock=SystemClock())

    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1
    await connection.close()


async def test_a_store_of_a_newer_release_is_refused_and_left_as_it_is() -> None:
    url = await asyncio.to_thread(empty_database)
    await (await open_postgres(url, clock=SystemClock())).close()
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE ringback_schema SET version = 9999")
    with pytest.raises(StoreTooNew, match="schema 9999; this one knows up to"):
        await open_postgres(url, clock=SystemClock())
    await connection.close()


async def test_an_address_where_nobody_answers_is_told_without_its_password() -> None:
    with pytest.raises(StoreBusy, match="cannot be reached") as told:
        await open_postgres("postgresql://me:hush@127.0.0.1:1/d", clock=SystemClock(), patience_seconds=0.0)

    assert "hush" not in str(told.value)
    assert "me@127.0.0.1:1/d" in str(told.value)


async def test_one_who_comes_says_that_it_waits_for_a_server_and_not_for_one_that_refuses(url: str) -> None:
    told: list[str] = []
    with pytest.raises(StoreBusy):
        await open_postgres(
            "postgresql://me:hush@127.0.0.1:1/d",
            clock=SystemClock(),
            emit=lambda fact, **details: told.append(f"{fact}: {details}"),
            patience_seconds=0.01,
        )
    assert len(told) == 1, "once, however often it tries"
    assert "store.awaited" in told[0]
    assert "127.0.0.1:1/d cannot be reached: connection refused" in told[0]

    del told[:]
    async with asyncio.timeout(10):  # far less than it would wait for
        with pytest.raises(StoreError, match='"nosuch" does not exist: make it with createdb, or name the one'):
            await open_postgres(_at(url, path="/nosuch"), clock=SystemClock(), patience_seconds=600.0)
        with pytest.raises(StoreError, match='"nobody" does not exist: see to the user and the password'):
            await open_postgres(_as(url, "nobody"), clock=SystemClock(), patience_seconds=600.0)
        with pytest.raises(StoreError, match='parameter "channel_binding": if that stands behind'):
            await open_postgres(f"{url}{_and(url)}channel_binding=require", clock=SystemClock(), patience_seconds=600.0)
    assert told == []


async def test_a_database_that_cannot_hold_every_text_is_refused_and_left_as_it_is(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with pytest.raises(
            StoreError, match="is encoded as LATIN1, which cannot hold every text: make the database with createdb"
        ):
            await open_postgres(_at(url, path="/latin"), clock=SystemClock())
        latin = await asyncpg.connect(_at(url, path="/latin"))
        assert await latin.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await latin.close()
    finally:
        await connection.execute("DROP DATABASE latin WITH (FORCE)")
        await connection.close()


async def test_one_who_may_not_make_tables_is_told_who_may(url: str) -> None:
    empty = await asyncio.to_thread(empty_database)
    connection = await asyncpg.connect(empty)
    await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    await connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        with pytest.raises(StoreError, match="permission denied for schema public: let the user own"):
            await open_postgres(_as(empty, "guest"), clock=SystemClock())
    finally:
        await connection.execute("DROP ROLE guest")
        await connection.close()


def _at(url: str, *, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=path))


def _as(url: str, user: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{user}@{parts.netloc.rpartition('@')[2]}"))


def _and(url: str) -> str:
    return "&" if "?" in url else "?"
