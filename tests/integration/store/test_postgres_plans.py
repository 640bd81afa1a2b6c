"""Whatever the planner knows of the tables, or does not: each statement on a workload's way goes down an index."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from ringback.core.clock import SystemClock
from ringback.store.postgres import open_postgres
from ringback.store.postgres.joined import joined
from ringback.store.postgres.planning import BEGIN
from ringback.store.postgres.sets import AT_ONCE, BY, many
from ringback.store.postgres.statements import all_statements, positional
from support.postgres import clean_database_of, database_of
from support.stores import submission

SQL: Final = all_statements()
ON_THE_WAY: Final = (
    "claim",
    "claim_of_tenant",
    "next_moments",
    "count_unfinished",
    "finish",
    "requeue",
    "take_due",
    "next_due",
    "settle_held",
    "retry_held",
    "is_in_the_way",
    "let_the_next_go",
    "find_by_id",
    "find_by_key",
)
STEPS_THAT_GROW: Final = re.compile(
    r"Seq Scan on (workloads|deliveries|attempts|tallies)|Sort Key: (?!picked)|Hash Join"
)
COPIES: Final = """
    INSERT INTO workloads (api, id, status, due_at, submitted_at, content_type, headers, payload, place)
    SELECT api, id || number, status, due_at, submitted_at, content_type, headers, payload, place
    FROM workloads, generate_series(1, 20000) AS number
"""

DELIVERED: Final = """
    INSERT INTO deliveries (workload, endpoint, url, message_id, event, state, due_at, created_at, body)
    SELECT number, 'e', 'u', 'm', 'workload.completed', 'delivered', 0, 0, '' FROM generate_series(1, 20000) AS number
"""


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[asyncpg.Connection]:
    """In a transaction as writes have it, over a queue that no statistics tell of."""
    url = await asyncio.to_thread(database_of, tmp_path)
    store = await open_postgres(url, clock=SystemClock())
    await store.submit(submission(workload_id="w"))
    opened = await asyncpg.connect(url)
    await opened.execute(BEGIN)
    await opened.execute(COPIES)
    yield opened
    await opened.execute("ROLLBACK")
    await opened.close()
    await store.close()
    await asyncio.to_thread(clean_database_of, tmp_path)


async def steps_that_grow(connection: asyncpg.Connection, text: str, values: list[str]) -> list[str]:
    await connection.execute(f"PREPARE asked AS {text}")
    plan = await connection.fetch(f"EXPLAIN EXECUTE asked ({', '.join(values)})")
    await connection.execute("DEALLOCATE asked")
    return [row[0] for row in plan if STEPS_THAT_GROW.search(row[0])]


async def test_nothing_on_a_workloads_way_grows_with_the_queue(connection: asyncpg.Connection) -> None:
    for name in ON_THE_WAY:
        statement = positional(SQL[name])
        found = await steps_that_grow(connection, statement.text, ["'1'"] * len(statement.names))
        assert (name, found) == (name, [])


async def test_nor_does_a_statement_for_many(connection: asyncpg.Connection) -> None:
    for name in BY.keys() & set(ON_THE_WAY):
        form = await many(connection, SQL[name], BY[name])
        found = await steps_that_grow(connection, form.text, ["'{1}'"] * len(form.names))
        assert (name, found) == (name, [])


@pytest.mark.parametrize("name", ["finish", "settle_held", "retry_held"])
async def test_each_of_many_is_looked_up_by_its_key_however_few_seem_to_be_under_way(
    name: str, connection: asyncpg.Connection
) -> None:
    """Not all that are pending, or in progress, compared with all that are given."""
    await connection.execute(DELIVERED)
    for table in ("workloads", "deliveries"):
        await connection.execute(f"ANALYZE {table}")
    form = await many(connection, SQL[name], BY[name])
    await connection.execute(f"PREPARE asked AS {form.text}")
    values = ", ".join(["'{1}'"] * len(form.names))
    plan = [row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE asked ({values})")]
    await connection.execute("DEALLOCATE asked")
    assert any(re.search(r"Index Scan using \w+_pkey", step) for step in plan), plan
    assert any(re.search(r"Index Cond: \(\w*\.?seq = given._seq\)", step) for step in plan), plan


async def test_nor_does_anything_where_several_go_in_one_statement(connection: asyncpg.Connection) -> None:
    texts, values = [], []
    for name in AT_ONCE:
        statement = positional(SQL[name])
        texts.append(statement.text)
        values += ["'1'"] * len(statement.names)
    for name in sorted(BY.keys() & set(ON_THE_WAY)):
        form = await many(connection, SQL[name], BY[name])
        texts.append(form.text)
        values += ["'{1}'"] * len(form.names)
    assert await steps_that_grow(connection, joined(tuple(texts)), values) == []
