"""U1, R4, L5 and L6: what is told of a workload's attempts, and finding it by words."""

from __future__ import annotations

import pytest

from ringback.core.errors import Erased, UnknownWorkload
from ringback.core.workload import AttemptRecord, Ending, Failed, Spent, Status
from ringback.store.contract import SEARCH_ROWS
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, claim_one, rows_of, submission

RAISED = Failed(type="ValueError", message="no petals")
LOST = Failed(type="replica_lost", message="it was killed by SIGKILL")
STOPPED = Failed(type="interrupted", message="its server was told to stop")


async def attempts_of(store: SqliteStore, workload_id: str = "w1") -> list[tuple[int | None, Ending | None]]:
    return [(each.number, each.ending) for each in (await store.describe(API, workload_id)).attempts]


async def test_U1_one_that_completes_first_time_took_one_attempt(backend: SqliteBackend, store: SqliteStore) -> None:
    claimed = await claim_one(store, "w1")
    began = backend.clock.now()
    assert (await store.describe(API, "w1")).attempts == (AttemptRecord(number=1, started_at=began),)
    backend.clock.wind(5)
    await store.finish(claimed.held, DONE, [HOOK])

    record = await store.describe(API, "w1")
    assert record.attempts == (
        AttemptRecord(number=1, started_at=began, ended_at=backend.clock.now(), ending=Ending.COMPLETED),
    )
    assert (record.payload_bytes, record.result_bytes, record.deliveries) == (2, len(DONE.result), {"pending": 1})
    assert record.workload.result is None
    assert await rows_of(store, "SELECT count(*) FROM past_attempts") == [(0,)]


@pytest.mark.parametrize(
    ("spent", "why", "ending"),
    [
        (Spent.ATTEMPT, RAISED, Ending.FAILED),
        (Spent.LOSS, LOST, Ending.LOST),
        (Spent.NOTHING, STOPPED, Ending.INTERRUPTED),
    ],
)
async def test_R4_U1_an_attempt_that_was_not_the_last_stays_readable(
    backend: SqliteBackend, store: SqliteStore, spent: Spent, why: Failed, ending: Ending
) -> None:
    first = await claim_one(store, "w1")
    began = backend.clock.now()
    backend.clock.wind(3)
    ended = backend.clock.now()
    await store.requeue(first.held, spent=spent, why=why)
    noted = AttemptRecord(number=1, started_at=began, ended_at=ended, ending=ending, error=why)
    assert (await store.describe(API, "w1")).attempts == (noted,)
    assert (await store.get(API, "w1")).started_at is None

    backend.clock.wind(2)
    second = await claim_one(store)
    await store.finish(second.held, RAISED, [])
    last = AttemptRecord(
        number=2,
        started_at=backend.clock.now(),
        ended_at=backend.clock.now(),
        ending=Ending.FAILED,
        error=RAISED,
    )
    assert (await store.describe(API, "w1")).attempts == (noted, last)


async def test_U1_one_that_was_handed_back_before_it_began_is_none(store: SqliteStore) -> None:
    await store.requeue((await claim_one(store, "w1")).held, spent=Spent.NOTHING)
    assert await attempts_of(store) == []
    await claim_one(store)
    assert await attempts_of(store) == [(2, None)]


async def test_U1_an_attempt_lost_with_its_server_is_told_under_its_own_number(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await claim_one(store, "w1")
    backend.crash(store)
    [taken] = await other.take_over([API], 10)
    [lost] = (await other.describe(API, "w1")).attempts
    assert (lost.number, lost.ending) == (1, Ending.LOST)
    assert lost.error is not None
    assert "went down with its server" in lost.error.message

    await other.requeue(taken.held, spent=Spent.LOSS)
    await other.finish((await claim_one(other)).held, DONE, [])
    assert await attempts_of(other) == [(1, Ending.LOST), (3, Ending.COMPLETED)]


async def test_U1_two_servers_lost_before_one_could_judge_are_one_attempt(backend: SqliteBackend) -> None:
    store, other, third = await backend.open(), await backend.open(), await backend.open()
    await claim_one(store, "w1")
    backend.crash(store)
    await other.take_over([API], 10)
    backend.crash(other)
    [taken] = await third.take_over([API], 10)
    await third.finish(taken.held, Failed(type="replica_lost", message="three times"), [])

    assert await attempts_of(third) == [(1, Ending.LOST)]
    assert (await third.get(API, "w1")).error == Failed(type="replica_lost", message="three times")


async def test_describing_tells_unknown_from_erased(store: SqliteStore) -> None:
    await store.requeue((await claim_one(store, "w1")).held, spent=Spent.ATTEMPT, why=RAISED)
    await store.finish((await claim_one(store)).held, DONE, [])
    await store.erase_expired({API: 0.0}, 10)

    with pytest.raises(Erased):
        await store.describe(API, "w1")
    with pytest.raises(UnknownWorkload):
        await store.describe(API, "w2")
    assert await rows_of(store, "SELECT count(*) FROM past_attempts") == [(0,)]


# ── By words ────────────────────────────────────────────────────────────────────────────────────


async def found(store: SqliteStore, words: str, status: Status | None = None) -> list[str]:
    page = await store.page([API, "rose"], status=status, limit=10, cursor=None, words=words)
    assert page.cursor is None
    return [each.id for each in page.workloads]


async def test_L5_words_are_found_in_ids_keys_and_errors(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="Order-17", key="customer%9"))
    await store.finish((await claim_one(store)).held, RAISED, [])
    await store.submit(submission(workload_id="order-18", api="rose"))
    await store.submit(submission(workload_id="another", api="elsewhere"))

    assert await found(store, "order-") == ["order-18", "Order-17"]
    assert await found(store, "ORDER-", Status.FAILED) == ["Order-17"]
    assert await found(store, "r%9") == ["Order-17"]
    assert await found(store, "valueerror") == ["Order-17"]
    assert await found(store, "Petals") == ["Order-17"]
    for wild in ("_rder", "o%17", "!", "another"):
        assert await found(store, wild) == []


async def test_L6_a_search_is_bounded_and_goes_on_where_it_ended(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="old-needle"))
    await backend.number_on(store, "workloads", 2 * SEARCH_ROWS)  # far apart without that many rows between
    await store.submit(submission(workload_id="new-needle"))

    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await store.page([API], status=None, limit=10, cursor=cursor, words="needle")
        pages.append([each.id for each in page.workloads])
        if (cursor := page.cursor) is None:
            break
    assert pages == [["new-needle"], [], ["old-needle"]]


async def test_L5_pages_of_a_search_neither_skip_nor_repeat(store: SqliteStore) -> None:
    for number in range(7):
        await store.submit(submission(workload_id=f"w{number}", api=(API, "rose")[number % 2]))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = await store.page([API, "rose"], status=None, limit=3, cursor=cursor, words="w")
        seen += [each.id for each in page.workloads]
        cursor = page.cursor
    assert seen == [f"w{number}" for number in reversed(range(7))]
    assert cursor is None
