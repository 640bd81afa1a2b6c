"""A store that moves from its file into PostgreSQL: all of it, once, however often the move is killed."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ringback.core.clock import HandWound
from ringback.core.delivery import Delivered
from ringback.core.errors import StoreError, StoreInUse, StoreMoved
from ringback.core.workload import Status
from ringback.runtime.moving import move, take_back
from ringback.store.moving import LEFT_BEHIND, OF_THE_PLACE
from ringback.store.postgres import PostgresStore, open_postgres
from ringback.store.sqlite import open_sqlite
from ringback.store.sqlite.leaving import Portion, SqliteSource
from support.everything import INBOX, OTHER_API, REGISTERED, fill_with_everything
from support.postgres import empty_database
from support.stores import API, HOOK, LEASE_SECONDS, attempt, submission

Rows = dict[str, list[tuple[Any, ...]]]
SMALL = Portion(rows=7, size_bytes=600)


class Killed(Exception):
    """What ends a move at a point of the test's choosing, as a kill does: nothing is tidied up in the file."""


@pytest.fixture
def clock() -> HandWound:
    return HandWound()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture
async def url() -> str:
    return await asyncio.to_thread(empty_database)


async def filled(file: Path, clock: HandWound, *, many: int = 40) -> None:
    """A store with everything in it whose one server has been killed."""
    store = await open_sqlite(file, clock=clock, lease_seconds=LEASE_SECONDS)
    await fill_with_everything(store, many=many)
    store.abandon()


async def moved(file: Path, url: str, clock: HandWound, **more: Any) -> Any:
    return await move(file, url, clock=clock, told=lambda *_: None, portion=SMALL, **more)


def in_file(file: Path) -> Rows:
    """All that has to come along, row by row."""
    connection = sqlite3.connect(file)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: Rows = {}
    for name in sorted(names):
        if name.startswith("sqlite_") or name in LEFT_BEHIND:
            continue
        columns = [column[1] for column in connection.execute(f"PRAGMA table_info({name})")]
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()
        found[name] = comparable(name, columns, rows)
    connection.close()
    return found


async def in_database(url: str, like: Rows) -> Rows:
    connection = await asyncpg.connect(url)
    found: Rows = {}
    for name in like:
        rows = await connection.fetch(f"SELECT * FROM {name}")
        columns = [
            row[0]
            for row in await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum", name
            )
        ]
        found[name] = comparable(name, columns, [tuple(row) for row in rows])
    await connection.close()
    return found


def comparable(table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows as pairs of column and value, sorted; without what belongs to the place alone."""
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    if table == "keys":
        named = [row for row in named if row["name"] not in OF_THE_PLACE]
    if table == "deliveries":  # those held by the killed are let go
        named = [{**row, "holder": None} for row in named]
    return sorted((tuple(sorted(row.items())) for row in named), key=repr)


@pytest.fixture
async def opened(url: str, clock: HandWound) -> AsyncIterator[list[PostgresStore]]:
    stores: list[PostgresStore] = []
    yield stores
    for store in stores:
        await store.close()


async def serve(url: str, clock: HandWound, opened: list[PostgresStore]) -> PostgresStore:
    store = await open_postgres(url, clock=clock, lease_seconds=LEASE_SECONDS)
    opened.append(store)
    return store


async def test_every_row_of_every_table_comes_along(file: Path, url: str, clock: HandWound) -> None:
    await filled(file, clock)
    before = in_file(file)
    assert [name for name, rows in before.items() if not rows] == [], "the generator leaves a table empty"

    done = await moved(file, url, clock)

    assert await in_database(url, before) == before
    assert done.rows == {name: len(rows) for name, rows in before.items()}
    assert done.blobs == 2
    assert in_file(file) == before


async def test_killed_after_any_portion_and_repeated_it_loses_nothing_and_doubles_nothing(
    file: Path, clock: HandWound
) -> None:
    await filled(file, clock, many=24)
    before = in_file(file)
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    url = await asyncio.to_thread(empty_database)
    kills = 0
    while True:
        left = chance.randrange(5)

        def told(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        try:
            await move(file, url, clock=clock, told=told, portion=SMALL)
        except Killed:
            kills += 1
            with pytest.raises(StoreMoved, match=r"is on its way to .*--undo"):
                await open_sqlite(file, clock=clock)
        else:
            break
    assert kills > 3, f"seed {seed}"
    assert await in_database(url, before) == before, f"seed {seed}"


async def test_the_same_ids_answer_and_pending_webhooks_go_out_once(
    file: Path, url: str, clock: HandWound, opened: list[PostgresStore]
) -> None:
    await filled(file, clock)
    await moved(file, url, clock)
    clock.wind(LEASE_SECONDS)
    store = await serve(url, clock, opened)

    assert (await store.get(API, "w1")).id == "w1"
    assert (await store.submit(submission(api=OTHER_API, workload_id="retried"))).created is False
    assert store.registered(REGISTERED) is not None
    assert (await store.inboxes.get(INBOX)).captured == 3
    assert (await store.get(OTHER_API, "canceled")).status is Status.CANCELED
    first = {each.message_id for each in (await store.take_due(HOOK.key, 1_000, again=False))[0]}
    assert first
    assert (await store.take_due(HOOK.key, 1_000, again=True))[0] == []  # two hours are not over
    clock.wind(7_200 - LEASE_SECONDS)
    again, _ = await store.take_due(HOOK.key, 1_000, again=True)
    assert [each.tries for each in again] == [1, 1]
    for each in again:
        await store.record(each, attempt(2, store), Delivered())
    taken_over = await store.take_over([API], 1_000)
    assert taken_over  # what ran when the server was killed runs again
    assert all(each.held.attempt == 2 for each in taken_over)
    fresh = await store.submit(submission(workload_id="fresh"))
    assert fresh.created
    [(most, least)] = await rows(store, "SELECT max(seq), min(seq) FROM workloads")
    assert (await store.get(API, "fresh")).seq == most > least


async def rows(store: PostgresStore, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await store._session.scan(lambda tables: tables.execute(statement).fetchall())]


async def test_numbers_once_given_are_not_given_again(
    file: Path, url: str, clock: HandWound, opened: list[PostgresStore]
) -> None:
    await filled(file, clock)
    connection = sqlite3.connect(file)
    connection.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'workloads'")
    connection.commit()
    connection.close()
    await moved(file, url, clock)
    store = await serve(url, clock, opened)
    await store.submit(submission(workload_id="fresh"))
    assert (await store.get(API, "fresh")).seq == 5_001


# ── Who is in the way ───────────────────────────────────────────────────────────────────────────


async def test_a_file_that_is_served_from_is_not_moved(file: Path, url: str, clock: HandWound) -> None:
    store = await open_sqlite(file, clock=clock)
    with pytest.raises(StoreInUse, match=r"1 server runs on .*stop it first"):
        await moved(file, url, clock)
    await store.submit(submission(workload_id="w1"))  # and goes on
    await store.close()
    assert (await moved(file, url, clock)).rows["workloads"] == 1


async def test_nobody_serves_from_a_place_that_has_moved_until_it_is_taken_back(
    file: Path, url: str, clock: HandWound
) -> None:
    await filled(file, clock, many=5)
    await moved(file, url, clock)
    with pytest.raises(StoreMoved, match=r"has moved: serve from postgresql://.*--undo"):
        await open_sqlite(file, clock=clock)
    assert (await moved(file, url, clock)).was_done
    assert take_back(file, clock=clock)
    assert not take_back(file, clock=clock)
    store = await open_sqlite(file, clock=clock)
    assert (await store.get(API, "w1")).id == "w1"
    await store.close()


async def test_nobody_serves_from_a_place_that_is_being_filled(file: Path, url: str, clock: HandWound) -> None:
    await filled(file, clock, many=5)
    await killed_at(file, url, clock, 2)
    with pytest.raises(StoreMoved, match="not all of it has arrived"):
        await open_postgres(url, clock=clock)


async def killed_at(file: Path, url: str, clock: HandWound, portions: int) -> None:
    left = portions

    def told(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        await move(file, url, clock=clock, told=told, portion=SMALL)


async def test_killed_between_the_two_last_notes_it_is_known_as_done(file: Path, url: str, clock: HandWound) -> None:
    await filled(file, clock, many=5)

    def told(table: str, _: int) -> None:
        if table == "all":
            raise Killed

    with pytest.raises(Killed):
        await move(file, url, clock=clock, told=told)
    with pytest.raises(StoreMoved, match="on its way"):
        await open_sqlite(file, clock=clock)
    assert (await moved(file, url, clock)).was_done
    with pytest.raises(StoreMoved, match="has moved"):
        await open_sqlite(file, clock=clock)


async def test_a_target_with_other_content_is_refused_and_the_file_stays_as_it_was(
    file: Path, url: str, clock: HandWound
) -> None:
    await filled(file, clock, many=5)
    store = await open_postgres(url, clock=clock)
    with pytest.raises(StoreInUse, match="servers run on"):
        await moved(file, url, clock)
    await store.submit(submission(workload_id="theirs"))
    await store.close()
    with pytest.raises(StoreError, match="a store in use: it has rows in tallies, workloads"):
        await moved(file, url, clock)
    here = await open_sqlite(file, clock=clock)
    await here.close()


async def test_a_target_that_was_tried_out_and_is_empty_is_taken(
    file: Path, url: str, clock: HandWound, opened: list[PostgresStore]
) -> None:
    await filled(file, clock, many=5)
    before = in_file(file)
    tried = await open_postgres(url, clock=clock)
    await tried.close()
    await moved(file, url, clock)
    assert await in_database(url, before) == before


async def test_a_database_of_another_program_is_refused(file: Path, url: str, clock: HandWound) -> None:
    await filled(file, clock, many=5)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE theirs (a INT)")
    with pytest.raises(StoreError, match=r"has other tables in it \(theirs\)"):
        await moved(file, url, clock)
    assert await connection.fetch("SELECT relname FROM pg_class WHERE relname = 'workloads'") == []
    await connection.close()


async def test_a_move_given_up_and_begun_again_starts_over(file: Path, url: str, clock: HandWound) -> None:
    await filled(file, clock, many=20)
    await killed_at(file, url, clock, 6)
    assert take_back(file, clock=clock)
    clock.wind(LEASE_SECONDS)
    store = await open_sqlite(file, clock=clock)
    await store.submit(submission(workload_id="later"))
    await store.close()
    before = in_file(file)
    await moved(file, url, clock)
    assert await in_database(url, before) == before


async def test_a_target_that_another_store_is_on_its_way_to_is_refused(
    file: Path, url: str, clock: HandWound, tmp_path: Path
) -> None:
    await filled(file, clock, many=5)
    await killed_at(file, url, clock, 2)
    another = tmp_path / "another.db"
    await filled(another, clock, many=3)
    with pytest.raises(StoreError, match=f"holds a part of sqlite:///{file}"):
        await moved(another, url, clock)
    with pytest.raises(StoreMoved, match=r"is on its way to .*, not to postgresql://other"):
        await _held_for(file, clock, "postgresql://other/x")


async def _held_for(file: Path, clock: HandWound, target: str) -> None:
    source = SqliteSource(file, clock=clock)
    try:
        source.hold(target)
    finally:
        source.close()


async def test_two_moves_at_once_do_not_mix(file: Path, url: str, clock: HandWound) -> None:
    await filled(file, clock)
    before = in_file(file)
    ended = await asyncio.gather(*(moved(file, url, clock) for _ in range(2)), return_exceptions=True)
    for fault in ended:
        assert not isinstance(fault, BaseException) or "another command" in str(fault), fault
    await moved(file, url, clock)
    assert await in_database(url, before) == before


async def test_a_file_that_is_not_there_is_not_made(file: Path, url: str, clock: HandWound) -> None:
    with pytest.raises(StoreError, match="is not there"):
        await moved(file, url, clock)
    assert await asyncio.to_thread(file.exists) is False
