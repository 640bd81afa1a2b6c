"""Writes side by side: how many statements they take, and whose fault it is when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.clock import SystemClock
from ringback.core.delivery import Delivered
from ringback.core.errors import StoreError
from ringback.core.workload import Submission
from ringback.store.postgres import PostgresStore, open_postgres
from ringback.store.postgres.connecting import execute
from ringback.store.postgres.joined import fetch_jointly
from ringback.store.postgres.sets import BY, derived, many
from ringback.store.postgres.statements import all_statements, positional
from support.postgres import clean_database_of, database_of
from support.stores import API, DONE, HOOK, attempt, rows_of, submission

SQL = all_statements()


def value(kind: str, number: int) -> object:
    """Something of a type, another for each number."""
    return {"int4": number, "int8": number, "text": f"x{number}", "bytea": b"x%d" % number}[kind]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[PostgresStore]:
    opened = await open_postgres(await asyncio.to_thread(database_of, tmp_path), clock=SystemClock())
    yield opened
    await opened.close()
    await asyncio.to_thread(clean_database_of, tmp_path)


@pytest.mark.parametrize("name", sorted(BY))
async def test_a_statement_for_many_brings_each_what_it_would_have_brought_alone(
    name: str, store: PostgresStore
) -> None:
    connection = store._session.commits.first.connection
    types = [each.name for each in (await connection.prepare(positional(SQL[name]).text)).get_parameters()]
    sets = [
        {parameter: value(kind, number) for parameter, kind in zip(positional(SQL[name]).names, types, strict=True)}
        for number in (1, 2, 3)
    ]
    form = await many(connection, SQL[name], BY[name])
    together = connection.transaction()
    await together.start()
    at_once = await form.execute(connection, sets)
    await together.rollback()
    apart = connection.transaction()
    await apart.start()
    one_by_one = [await execute(connection, SQL[name], each) for each in sets]
    await apart.rollback()
    assert [each.rowcount for each in at_once] == [each.rowcount for each in one_by_one]
    assert [len(each.fetchall()) for each in at_once] == [len(each.fetchall()) for each in one_by_one]


async def test_statements_that_go_at_once_bring_each_what_it_would_have_brought_alone(store: PostgresStore) -> None:
    await store.submit(submission(workload_id="w1"), limit=9)
    connection = store._session.commits.first.connection
    asked: list[tuple[str, dict[str, object]]] = [
        ("find_by_id", {"api": API, "id": "w1"}),
        ("find_by_id", {"api": API, "id": "w2"}),
        ("tally", {"api": API, "tenant": "t", "member": "m", "change": 3}),
        ("next_moments", {"api": API, "never": 1}),
        ("claim", {"api": API, "member": store.member, "room": 4, "started_at": 5, "step": 6}),
        ("count_unfinished", {"api": API, "tenant": ""}),
    ]
    texts = [positional(SQL[name]) for name, _ in asked]
    transaction = connection.transaction()
    await transaction.start()
    at_once = await fetch_jointly(
        connection,
        [(text.text, text.arguments(given)) for text, (_, given) in zip(texts, asked, strict=True)],
    )
    await transaction.rollback()
    transaction = connection.transaction()
    await transaction.start()
    one_by_one = [(await execute(connection, SQL[name], given)).fetchall() for name, given in asked]
    await transaction.rollback()
    assert at_once == [[tuple(row) for row in rows] for rows in one_by_one]
    assert [len(rows) for rows in at_once] == [1, 0, 0, 1, 1, 1]


def test_what_has_no_form_for_many_is_refused() -> None:
    with pytest.raises(ValueError, match="no statement for many"):
        derived("DELETE FROM t WHERE a = :a", ["a"], ["int8"], [])


@contextmanager
def statements(store: PostgresStore) -> Iterator[list[str]]:
    """What is run where the store writes."""
    ran: list[str] = []

    def note(record: Any) -> None:
        ran.append(record.query)

    commits = store._session.commits
    with ExitStack() as stack:
        for each in (commits.first, *commits.apart.values()):
            if each.is_connected:
                stack.enter_context(each.connection.query_logger(note))
        yield ran


async def statements_of(store: PostgresStore, count: int) -> int:
    """How many statements so many workloads take, from submit to end, with a webhook each."""
    with statements(store) as ran:
        await asyncio.gather(*(store.submit(submission(), limit=1_000) for _ in range(count)))
        claimed, _ = await store.claim(API, count)
        await asyncio.gather(*(store.finish(each.held, DONE, [HOOK]) for each in claimed))
    return len(ran)


async def test_many_take_no_more_statements_than_a_few(store: PostgresStore) -> None:
    await statements_of(store, 2)  # the first time, types are asked for
    assert await statements_of(store, 200) == await statements_of(store, 10)


async def at_all_stages(store: PostgresStore, count: int, *more: Submission) -> list[BaseException]:
    """One batch in which so many are submitted, as many claimed, ended and recorded as sent.

    Returns:
        what has failed.
    """
    await asyncio.gather(*(store.submit(submission(), limit=999) for _ in range(2 * count)))
    running, _ = await store.claim(API, count)
    for each in running[: count // 2]:
        await store.finish(each.held, DONE, [HOOK])
    due, _ = await store.take_due(HOOK.key, count, again=False)
    done = await asyncio.gather(
        *(store.submit(submission(), limit=999) for _ in range(count)),
        *(store.submit(each, limit=999) for each in more),
        store.claim(API, count),
        *(store.finish(each.held, DONE, [HOOK]) for each in running[count // 2 :]),
        *(store.record(each, attempt(1, store), Delivered()) for each in due),
        return_exceptions=True,
    )
    return [each for each in done if isinstance(each, BaseException)]


async def test_what_waits_at_the_same_time_goes_in_one_statement(store: PostgresStore) -> None:
    for _ in range(2):  # the first time, types are asked for
        assert await at_all_stages(store, 8) == []
    with statements(store) as ran:
        assert await at_all_stages(store, 8) == []
    # All was claimed and ended one by one before, but for the last batch of each kin.
    began = [place for place, text in enumerate(ran) if "BEGIN" in text]
    # To begin; the lock, the room, the rows and the claim; the ends and their deliveries; what was tried, and the
    # attempts; of each kin the tallies and the word, and to commit.
    assert len(ran[began[-3] :]) <= 7 + 5 + 5


async def test_where_several_go_in_one_statement_the_one_that_cannot_be_fails_alone(store: PostgresStore) -> None:
    failed = await at_all_stages(store, 8, replace(submission(), trace_id="nul\0"))
    assert [type(each) for each in failed] == [StoreError]
    assert (await rows_of(store, "SELECT count(*) FROM workloads")) == [(24,)]
    assert (await rows_of(store, "SELECT count(*) FROM deliveries WHERE state = 'delivered'")) == [(4,)]
    with statements(store) as ran:
        assert await store.claim(API, 3)
        await asyncio.gather(store.claim(API, 3), store.submit(submission(), limit=999))
    assert any(text.startswith("WITH step_0") for text in ran), "and those that follow go together again"


async def test_how_statements_are_planned_outlasts_a_rollback_of_a_connections_first_batch(
    store: PostgresStore,
) -> None:
    store._session.commits.first.connection.terminate()
    with pytest.raises(StoreError):
        await store.submit(submission(workload_id="nul\0"))
    assert await store._session.commits.first.connection.fetchval("SHOW enable_sort") == "off"


async def test_a_write_that_cannot_be_fails_alone(store: PostgresStore) -> None:
    """NUL is in no text that PostgreSQL keeps; the driver itself refuses a number that is too large."""
    wrong = [
        submission(workload_id="nul\0"),
        submission(workload_id="surrogate\ud800"),
    ]
    right = [submission(workload_id=f"w{each}") for each in range(20)]
    answers = await asyncio.gather(
        *(store.submit(each) for each in [*right[:10], *wrong, *right[10:]]), return_exceptions=True
    )
    failed = [each for each in answers if isinstance(each, BaseException)]
    assert [type(each) for each in failed] == [StoreError, StoreError]
    assert await rows_of(store, "SELECT count(*) FROM workloads") == [(20,)]
    assert (await store.depths())[API].in_queue == 20
