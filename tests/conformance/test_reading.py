"""V and L: waiting for an end, lists, and reads of what is there, was there, or never was."""

from __future__ import annotations

import asyncio

import pytest

from ringback.core.errors import Erased, InvalidParameter, UnknownWorkload
from ringback.core.workload import Failed, Progress, Status
from ringback.store.contract import Backlog, QueueDepth
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, claim_one, submission


async def test_V1_a_wait_returns_with_the_end(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    waiting = [asyncio.create_task(store.ended(API, "w1", 30)) for _ in range(2)]
    await asyncio.sleep(0)
    await store.finish(held, DONE, [])

    for each in waiting:
        assert (await each).status is Status.COMPLETED


async def test_V1_an_end_by_another_member_is_noticed(store: SqliteStore, other: SqliteStore) -> None:
    held = (await claim_one(other, "w1")).held
    waiting = asyncio.create_task(store.ended(API, "w1", 30))
    await asyncio.sleep(0)
    await other.finish(held, DONE, [])

    assert (await asyncio.wait_for(waiting, 5)).result == DONE.result


async def test_V1_one_that_has_ended_is_told_at_once(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [])
    assert (await store.ended(API, "w1", 30)).status is Status.COMPLETED


async def test_when_time_is_up_the_state_is_told(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    assert (await store.ended(API, "w1", 0.001)).status is Status.IN_QUEUE
    assert (await store.ended(API, "w1", 0)).status is Status.IN_QUEUE


async def test_waiting_for_nothing_known_raises(store: SqliteStore) -> None:
    with pytest.raises(UnknownWorkload, match="nope"):
        await store.ended(API, "nope", 30)


async def test_get_tells_unknown_from_erased(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [])
    await store.erase_expired({API: 0.0}, 10)

    with pytest.raises(Erased, match="w1"):
        await store.get(API, "w1")
    with pytest.raises(UnknownWorkload, match="w2"):
        await store.get(API, "w2")
    with pytest.raises(UnknownWorkload):
        await store.get("another", "w1")


async def test_get_shows_every_field(backend: SqliteBackend, store: SqliteStore) -> None:
    claimed = await claim_one(store, "w1")
    await store.progress(claimed.held, Progress(fraction=0.25, message="a quarter"))
    running = await store.get(API, "w1")
    assert (running.status, running.attempt, running.progress) == (
        Status.IN_PROGRESS,
        1,
        Progress(fraction=0.25, message="a quarter"),
    )
    assert running.started_at == backend.clock.now()

    await store.finish(claimed.held, Failed(type="E", message="m"), [])
    ended = await store.get(API, "w1")
    assert (ended.error, ended.result, ended.finished_at) == (Failed(type="E", message="m"), None, backend.clock.now())


# ── Lists ───────────────────────────────────────────────────────────────────────────────────────


async def test_L1_pages_neither_skip_nor_repeat_while_others_are_added(store: SqliteStore) -> None:
    for number in range(7):
        await store.submit(submission(workload_id=f"w{number}"))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = await store.page([API], status=None, limit=2, cursor=cursor)
        seen += [workload.id for workload in page.workloads]
        cursor = page.cursor
        await store.submit(submission())

    assert seen == ["w6", "w5", "w4", "w3", "w2", "w1", "w0"]
    assert cursor is None


async def test_L1_a_full_last_page_says_that_it_is_the_last(store: SqliteStore) -> None:
    for number in range(2):
        await store.submit(submission(workload_id=f"w{number}"))
    assert (await store.page([API], status=None, limit=2, cursor=None)).cursor is None


async def test_L2_a_status_lists_only_its_own_and_erased_ones_never(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "erased")).held, DONE, [])
    await store.erase_expired({API: 0.0}, 10)
    await store.finish((await claim_one(store, "done")).held, DONE, [])
    await claim_one(store, "running")
    await store.submit(submission(workload_id="waiting"))

    async def ids(status: Status | None) -> list[str]:
        return [each.id for each in (await store.page([API], status=status, limit=10, cursor=None)).workloads]

    assert await ids(None) == ["waiting", "running", "done"]
    assert await ids(Status.COMPLETED) == ["done"]
    assert await ids(Status.IN_PROGRESS) == ["running"]
    assert await ids(Status.IN_QUEUE) == ["waiting"]
    assert await ids(Status.FAILED) == []
    [done] = (await store.page([API], status=Status.COMPLETED, limit=10, cursor=None)).workloads
    assert done.result is None


@pytest.mark.parametrize("cursor", ["", "x", "page:1", "cGFnZTox=", "ü", "cGFnZTotMQ"])
async def test_L3_a_cursor_of_somebody_elses_making_is_refused(cursor: str, store: SqliteStore) -> None:
    with pytest.raises(InvalidParameter, match="cursor"):
        await store.page([API], status=None, limit=2, cursor=cursor)


# ── Numbers ─────────────────────────────────────────────────────────────────────────────────────


async def test_depths_count_what_is_unfinished(store: SqliteStore) -> None:
    assert await store.depths() == {}
    await claim_one(store, "w1")
    await store.submit(submission(workload_id="w2"))
    await store.submit(submission(api="another"))
    await store.finish((await claim_one(store, "x", api="third")).held, DONE, [])

    assert await store.depths() == {
        API: QueueDepth(in_queue=1, in_progress=1),
        "another": QueueDepth(in_queue=1),
        "third": QueueDepth(),
    }


async def test_backlogs_count_what_is_undelivered(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    oldest = backend.clock.now()
    backend.clock.wind(5)
    await store.finish((await claim_one(store, "w2")).held, DONE, [HOOK])

    assert await store.backlogs() == {HOOK.key: Backlog(pending=2, parked=0, oldest_at=oldest)}


async def test_depths_outlive_the_members_that_counted(backend: SqliteBackend, store: SqliteStore) -> None:
    gone, silent = await backend.open(), await backend.open()
    for number, member in enumerate((store, gone, silent)):
        await member.submit(submission(workload_id=f"w{number}"))
    await claim_one(gone)
    await backend.leave(gone)
    backend.crash(silent)
    [orphan] = await store.take_over([API], 9)
    await store.finish(orphan.held, DONE, [])

    for reader in (store, await backend.open()):
        assert await reader.depths() == {API: QueueDepth(in_queue=2)}
