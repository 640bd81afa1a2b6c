"""However long the queue is: each statement on a workload's way goes down an index, and none sorts or scans."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ringback.core.clock import HandWound
from ringback.core.queueing import NO_WISH, Wish
from ringback.core.workload import Completed, Submission
from ringback.store.sqlite import SqliteStore, open_sqlite
from ringback.store.sqlite.opening import all_statements, connect, prepare

SQL: Final = all_statements()
NAMES: Final = re.compile(r":(\w+)")

ON_THE_WAY: Final = (
    "insert_workload",
    "insert_with_wish",
    "find_by_id",
    "find_by_key",
    "count_unfinished",
    "latest_ends",
    "tally",
    "claim",
    "claim_of_tenant",
    "next_moments",
    "let_due_stand",
    "set_late_aside",
    "is_any_aside",
    "expire",
    "is_shared",
    "is_member",
    "enter_turns",
    "next_turns",
    "take_turn",
    "pass_by",
    "requeue",
    "finish",
    "stands_behind",
    "read_workload",
    "take_due",
    "next_due",
    "settle_held",
    "retry_held",
)
STEPS_THAT_GROW: Final = re.compile(r"\bSCAN (?!picked|due|late|before|CONSTANT ROW)|USE TEMP B-TREE")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = connect(prepare(tmp_path_factory.mktemp("plans") / "ringback.db"))
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    wanted = dict.fromkeys(NAMES.findall(statement), 1)
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", wanted)]


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_nothing_on_a_workloads_way_grows_with_the_queue(name: str, database: sqlite3.Connection) -> None:
    assert [step for step in plan(database, SQL[name]) if STEPS_THAT_GROW.search(step)] == []


@pytest.mark.parametrize("name", ["claim", "claim_of_tenant", "stands_behind"])
def test_the_line_is_one_index_and_its_order_that_of_the_queue(name: str, database: sqlite3.Connection) -> None:
    assert any("INDEX workloads_queued" in step for step in plan(database, SQL[name]))


def test_counting_a_line_reads_nothing_but_the_index(database: sqlite3.Connection) -> None:
    assert any("COVERING INDEX workloads_queued" in step for step in plan(database, SQL["stands_behind"]))


def test_a_plan_that_grows_would_be_seen(database: sqlite3.Connection) -> None:
    steps = plan(database, "SELECT seq FROM workloads WHERE priority = :x ORDER BY due_at")
    assert [bool(STEPS_THAT_GROW.search(step)) for step in steps] == [True, True]


async def test_a_workload_takes_as_many_of_the_databases_steps_behind_thousands_as_behind_a_few(
    tmp_path: Path,
) -> None:
    short, long = [await steps_of_a_workload(tmp_path / f"{waiting}.db", waiting) for waiting in (20, 4_000)]
    assert long == pytest.approx(short, rel=0.02)


async def steps_of_a_workload(path: Path, waiting: int) -> float:
    """Of SQLite's virtual machine, from submit to finish, on the average of many; tenants and priorities among them."""
    store = await open_sqlite(path, clock=HandWound())
    wishes = [NO_WISH, Wish(priority=3), Wish(tenant="navy")]
    await asyncio.gather(*(submitted(store, wishes[number % 3]) for number in range(waiting)))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    rounds = 30
    store._session._writer.set_progress_handler(step, 1)
    for number in range(rounds):
        await submitted(store, wishes[number % 3])
        [claimed], _ = await store.claim("iris", 1)
        await store.finish(claimed.held, Completed(result=b"1"), [])
    store._session._writer.set_progress_handler(None, 1)
    await store.close()
    return steps / rounds


async def submitted(store: SqliteStore, wish: Wish) -> None:
    submission = Submission(api="iris", payload=b"{}", content_type="application/json", wish=wish)
    await store.submit(submission, limit=1_000_000)
