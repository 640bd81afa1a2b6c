"""The contract, section by section: many workloads handed in as one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from ringback.core.batch import BATCHES, BatchStatus, Counts
from ringback.core.errors import Conflict, Erased, QueueFull, Unavailable, UnknownBatch, UnknownWorkload
from ringback.core.queueing import Wish
from ringback.core.spec import Event, guest_endpoint
from ringback.core.workload import Failed, Held, Status, Submission
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, claim_one, submission, take_one

WHY = Failed(type="ValueError", message="no")
ALL = replace(HOOK, events=frozenset(Event))


def template(key: str | None = None, **wish: object) -> Submission:
    return replace(submission(key=key), wish=Wish(**wish))  # type: ignore[arg-type]


async def staged(store: SqliteStore, count: int, shared: Submission | None = None) -> tuple[int, str]:
    opened = await store.batches.open(shared or template())
    await store.batches.stage(opened.seq, 1, [str(number).encode() for number in range(count)])
    return opened.seq, opened.id


async def taken_in(store: SqliteStore, count: int, shared: Submission | None = None) -> tuple[int, str]:
    seq, batch_id = await staged(store, count, shared)
    await store.batches.accept(seq, count, b"print")
    while await store.batches.pour(seq, 3):
        pass
    return seq, batch_id


async def held(store: SqliteStore, room: int = 100) -> list[Held]:
    return [each.held for each in (await store.claim(API, room))[0]]


async def told(store: SqliteStore, endpoint: str = HOOK.key) -> list[dict[str, object]]:
    """The bodies of the batch events there are for an endpoint."""
    found, _ = await store.take_due(endpoint, 1_000, again=False)
    return [json.loads(each.body) for each in found if each.event is Event.BATCH_COMPLETED]


# ── Taken in whole or not at all ────────────────────────────────────────────────────────────────


async def test_B1_nothing_is_seen_before_it_is_accepted(store: SqliteStore, other: SqliteStore) -> None:
    _, batch_id = await staged(store, 5)
    assert await store.depths() == {}
    assert await held(other) == []
    assert (await other.page([API], status=None, limit=9, cursor=None)).workloads == ()
    with pytest.raises(UnknownBatch):
        await other.batches.get(batch_id)
    assert (await other.batches.find(None, limit=9, cursor=None)).batches == ()


async def test_B2_one_that_is_accepted_is_in_the_queue_in_the_order_of_its_lines(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="before", payload=b'"before"'))
    seq, batch_id = await taken_in(store, 8)
    await store.submit(submission(workload_id="after", payload=b'"after"'))
    claimed, _ = await store.claim(API, 100)
    assert [json.loads(each.payload) for each in claimed] == ["before", *range(8), "after"]
    page = await store.batches.page(seq, status=None, limit=100, cursor=None)
    assert [each.id for each in page.workloads] == [each.held.id for each in claimed[1:-1]]
    batch = await store.batches.get(batch_id)
    assert (batch.api, batch.counts, batch.in_progress) == (API, Counts(total=8), 8)
    assert (batch.status, batch.finished_at) == (BatchStatus.IN_PROGRESS, None)


async def test_B2_it_stands_where_it_was_accepted_however_late_it_is_poured(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    seq, _ = await staged(store, 4)
    backend.clock.wind(10)
    await store.submit(submission(payload=b'"before"'))
    backend.clock.wind(10)
    await store.batches.accept(seq, 4, b"print")
    backend.clock.wind(10)
    await store.submit(submission(payload=b'"after"'))
    while await store.batches.pour(seq, 1):
        pass
    claimed, _ = await store.claim(API, 100)
    assert [json.loads(each.payload) for each in claimed] == ["before", 0, 1, 2, 3, "after"]


async def test_B2_what_a_killed_member_has_accepted_another_pours(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    seq, batch_id = await staged(store, 5)
    await store.batches.accept(seq, 5, b"print")
    assert await store.batches.pour(seq, 2)
    backend.crash(store)
    assert [await other.batches.mend(2) for _ in range(3)] == [True, True, False]
    assert [json.loads(each.payload) for each in (await other.claim(API, 100))[0]] == [0, 1, 2, 3, 4]
    assert (await other.batches.get(batch_id)).counts == Counts(total=5)


async def test_B2_any_number_may_pour_at_once(store: SqliteStore, other: SqliteStore) -> None:
    seq, _ = await staged(store, 50)
    await store.batches.accept(seq, 50, b"print")
    await asyncio.gather(*(each.batches.pour(seq, 7) for each in (store, other) for _ in range(8)))
    assert len(await held(store)) == 50
    assert not await other.batches.pour(seq, 7)


async def test_B3_one_that_is_dropped_leaves_nothing(backend: SqliteBackend, store: SqliteStore) -> None:
    seq, batch_id = await staged(store, 5, template(key="k"))
    await store.batches.drop(seq)
    await store.batches.drop(seq)
    with pytest.raises(Unavailable):
        await store.batches.stage(seq, 6, [b"6"])
    with pytest.raises(Unavailable):
        await store.batches.accept(seq, 5, b"print")
    assert [await store.batches.mend(3) for _ in range(4)] == [True, True, True, False]
    assert await rows_left(store) == [0, 0]
    again, _ = await staged(store, 1, template(key="k"))
    await store.batches.accept(again, 1, b"print")
    with pytest.raises(UnknownBatch):
        await store.batches.get(batch_id)


async def test_B3_nor_does_one_whose_member_has_died(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await staged(store, 3)
    mine, _ = await staged(other, 3)
    backend.crash(store)
    assert not await other.batches.mend(9)  # nobody knows yet
    await other.take_over([API], 1)
    while await other.batches.mend(9):
        pass
    assert await rows_left(other) == [1, 3]
    await other.batches.accept(mine, 3, b"print")


async def test_B3_a_member_that_others_believed_dead_cannot_accept_what_they_have_dropped(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    seq, _ = await staged(store, 3)
    backend.clock.wind(20)
    await other.heartbeat()
    backend.clock.wind(20)
    await other.take_over([API], 1)
    with pytest.raises(Unavailable, match="send it again"):
        await store.batches.accept(seq, 3, b"print")


# ── Counted ─────────────────────────────────────────────────────────────────────────────────────


async def test_B4_each_end_is_counted_and_a_retry_counts_it_back(backend: SqliteBackend, store: SqliteStore) -> None:
    seq, batch_id = await taken_in(store, 6)
    first, second, third = await held(store, 3)
    await store.finish(first, DONE, [])
    await store.finish(first, DONE, [])  # once more is the same
    await store.finish(second, WHY, [])
    await store.cancel(API, third.id, [])
    await store.finish(third, DONE, [])  # too late: it is canceled
    fourth = (await store.batches.page(seq, status=Status.IN_QUEUE, limit=1, cursor=None)).workloads[0]
    await store.cancel(API, fourth.id, [])
    counts = (await store.batches.get(batch_id)).counts
    assert counts == Counts(total=6, completed=1, failed=1, canceled=2)

    await store.retry(API, second.id)
    await store.retry(API, third.id)
    assert (await store.batches.get(batch_id)).counts == Counts(total=6, completed=1, canceled=1)
    for each in await held(store):
        await store.finish(each, DONE, [])
    backend.clock.wind(1)
    batch = await store.batches.get(batch_id)
    assert batch.counts == Counts(total=6, completed=5, canceled=1)
    assert batch.status is BatchStatus.COMPLETED
    assert batch.finished_at == backend.clock.now() - 1_000_000
    assert (await store.depths())[API].in_queue == 0


async def test_B4_what_expires_is_counted_as_failed(backend: SqliteBackend, store: SqliteStore) -> None:
    _, batch_id = await taken_in(store, 3, template(expires_seconds=5))
    backend.clock.wind(5)
    assert await store.expire(API, [HOOK], 9) == 3
    assert (await store.batches.get(batch_id)).counts == Counts(total=3, failed=3)
    assert len(await told(store)) == 1


# ── Told ────────────────────────────────────────────────────────────────────────────────────────


async def test_B5_the_last_end_tells_each_endpoint_once(backend: SqliteBackend, store: SqliteStore) -> None:
    _, batch_id = await taken_in(store, 3)
    *early, last = await held(store)
    for each in early:
        await store.finish(each, DONE, [HOOK, OTHER_HOOK])
    assert await told(store) == []
    await store.finish(last, WHY, [HOOK, OTHER_HOOK])
    expected = {
        "batch": batch_id,
        "api": API,
        "status": "completed",
        "event": "batch.completed",
        "counts": {"total": 3, "completed": 2, "failed": 1, "canceled": 0},
        "timestamp": "2023-11-14T22:13:20.000000+00:00",
    }
    assert await told(store) == [expected]
    assert await told(store, OTHER_HOOK.key) == [expected]
    assert await store.batches.tell(API, [HOOK], 9) == 0
    [first, second] = await store.deliveries(BATCHES, batch_id)
    assert first.message_id == second.message_id


async def test_B5_only_those_that_asked(store: SqliteStore) -> None:
    only = replace(HOOK, events=frozenset({Event.COMPLETED}))
    await taken_in(store, 1)
    await store.finish((await claim_one(store)).held, DONE, [only])
    assert await told(store) == []


async def test_B5_guests_of_the_submit_are_told_as_well(store: SqliteStore) -> None:
    guest = guest_endpoint("http://1.1.1.1/")
    await taken_in(store, 1, replace(template(), webhooks=(guest,)))
    await store.finish((await claim_one(store)).held, DONE, [])
    assert len(await told(store, guest.key)) == 1


async def test_B5_after_a_retry_it_is_told_once_more_by_another_event(store: SqliteStore) -> None:
    _, batch_id = await taken_in(store, 2)
    for each in await held(store):
        await store.finish(each, WHY, [HOOK])
    [before] = await told(store)
    [failed, _] = (await store.page([API], status=Status.FAILED, limit=9, cursor=None)).workloads
    await store.retry(API, failed.id)
    await store.finish((await claim_one(store)).held, DONE, [HOOK])
    [after] = await told(store)
    assert (before["counts"], after["counts"]) == (
        {"total": 2, "completed": 0, "failed": 2, "canceled": 0},
        {"total": 2, "completed": 1, "failed": 1, "canceled": 0},
    )
    first, second = await store.deliveries(BATCHES, batch_id)
    assert first.message_id != second.message_id
    assert first.sequence < second.sequence


async def test_B5_one_whose_last_was_erased_is_told_by_whoever_comes_by(store: SqliteStore, other: SqliteStore) -> None:
    _, batch_id = await taken_in(store, 2)
    [first] = await held(store, 1)
    await store.finish(first, DONE, [HOOK])
    [second] = (await store.page([API], status=Status.IN_QUEUE, limit=9, cursor=None)).workloads
    await store.erase(API, second.id)
    assert await told(store) == []
    counts = await asyncio.gather(*(each.batches.tell(API, [HOOK], 9) for each in (store, other)))
    assert sorted(counts) == [0, 1]
    [event] = await told(other)
    assert event["counts"] == {"total": 2, "completed": 1, "failed": 0, "canceled": 1}
    assert (await store.batches.get(batch_id)).status is BatchStatus.COMPLETED


async def test_B5_its_webhook_is_kept_from_retention_until_it_has_arrived(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    _, batch_id = await taken_in(store, 1)
    await store.finish((await claim_one(store)).held, DONE, [ALL])
    backend.clock.wind(1_000)
    assert await store.erase_expired({BATCHES: 10, API: 10}, 9) == 0
    delivery = await take_one(store)
    await store.release([delivery])
    assert len(await store.deliveries(BATCHES, batch_id)) == 1


# ── As single ones ──────────────────────────────────────────────────────────────────────────────


async def test_B6_they_have_what_was_asked_for_the_batch(backend: SqliteBackend, store: SqliteStore) -> None:
    shared = replace(
        template(priority=5, tenant="t", delay_seconds=10), headers=b'{"x":"y"}', trace_id="a" * 32, order_key="o"
    )
    await taken_in(store, 1, shared)
    assert await store.claim(API, 1) == ([], 10.0)
    backend.clock.wind(10)
    claimed = await claim_one(store)
    assert (claimed.headers, claimed.trace_id, claimed.content_type) == (b'{"x":"y"}', "a" * 32, "application/json")
    told_of = await store.describe(API, claimed.held.id)
    assert (told_of.priority, told_of.tenant, told_of.order_key) == (5, "t", "o")


async def test_B6_a_tenants_batch_takes_no_more_than_its_share(store: SqliteStore) -> None:
    await taken_in(store, 50, template(tenant="a"))
    await held(store, 3)
    await store.submit(replace(submission(workload_id="single"), wish=Wish(tenant="b")))
    assert [each.id for each in await held(store, 1)] == ["single"]


async def test_B6_they_are_not_counted_against_the_limit(store: SqliteStore) -> None:
    await taken_in(store, 50)
    assert (await store.submit(submission(), limit=1)).created
    with pytest.raises(QueueFull):
        await store.submit(submission(), limit=1)
    assert (await store.depths())[API].in_queue == 51


async def test_each_tells_of_its_batch(store: SqliteStore) -> None:
    _, batch_id = await taken_in(store, 1)
    [of_batch] = await held(store)
    alone = (await claim_one(store, "alone")).held
    assert (await store.describe(API, of_batch.id)).batch == batch_id
    assert (await store.describe(API, alone.id)).batch is None


async def test_B6_one_of_a_batch_can_be_erased(store: SqliteStore) -> None:
    seq, _ = await taken_in(store, 1)
    [each] = (await store.batches.page(seq, status=None, limit=9, cursor=None)).workloads
    await store.erase(API, each.id)
    with pytest.raises(Erased):
        await store.get(API, each.id)


# ── The same again ──────────────────────────────────────────────────────────────────────────────


async def test_B7_the_same_key_is_the_same_batch(store: SqliteStore, other: SqliteStore) -> None:
    opened = await store.batches.open(template(key="k"))
    assert not opened.is_known
    with pytest.raises(Conflict, match="being taken in"):
        await other.batches.open(template(key="k"))
    await store.batches.stage(opened.seq, 1, [b"1"])
    await store.batches.accept(opened.seq, 1, b"print")
    again = await other.batches.open(template(key="k"))
    assert (again.is_known, again.seq, again.id) == (True, opened.seq, opened.id)
    assert await other.batches.is_same(again.seq, b"print")
    assert not await other.batches.is_same(again.seq, b"another")
    elsewhere = await other.batches.open(replace(template(key="k"), api="rose"))
    assert not elsewhere.is_known


async def test_B8_it_is_told_of_until_all_its_workloads_are_gone(backend: SqliteBackend, store: SqliteStore) -> None:
    seq, batch_id = await taken_in(store, 2)
    for each in await held(store):
        await store.finish(each, DONE, [])
    backend.clock.wind(1_000)
    assert await store.erase_expired({API: 10}, 9) == 2
    assert await store.batches.forget(10, 9) == 0
    assert (await store.batches.get(batch_id)).counts.completed == 2
    assert len((await store.batches.page(seq, status=None, limit=9, cursor=None)).workloads) == 2
    backend.clock.wind(31 * 86_400)
    await store.erase_expired({API: 10}, 9)
    assert await store.batches.forget(10, 9) == 1
    with pytest.raises(UnknownBatch):
        await store.batches.get(batch_id)


async def test_B9_pages_follow_the_lines_while_workloads_move(store: SqliteStore) -> None:
    seq, _ = await taken_in(store, 25)
    wanted = [each.id for each in (await store.batches.page(seq, status=None, limit=100, cursor=None)).workloads]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.batches.page(seq, status=None, limit=4, cursor=cursor)
        seen += [each.id for each in page.workloads]
        for each in await held(store, 3):
            await store.finish(each, DONE, [])
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == wanted
    done = await store.batches.page(seq, status=Status.COMPLETED, limit=100, cursor=None)
    assert all(each.result == DONE.result for each in done.workloads)


async def test_batches_are_listed_newest_first(store: SqliteStore) -> None:
    ids = [(await taken_in(store, 1))[1] for _ in range(3)]
    await taken_in(store, 1, replace(template(), api="rose"))
    page = await store.batches.find(API, limit=2, cursor=None)
    assert [each.id for each in page.batches] == ids[:0:-1]
    rest = await store.batches.find(API, limit=2, cursor=page.cursor)
    assert ([each.id for each in rest.batches], rest.cursor) == (ids[:1], None)
    assert len((await store.batches.find(None, limit=9, cursor=None)).batches) == 4


async def test_a_batch_is_no_workload(store: SqliteStore) -> None:
    _, batch_id = await taken_in(store, 1)
    await store.finish((await claim_one(store)).held, DONE, [HOOK])
    with pytest.raises(UnknownWorkload):
        await store.get(API, batch_id)
    assert API in await store.depths()
    assert BATCHES not in await store.depths()


async def rows_left(store: SqliteStore) -> list[int]:
    def read(connection) -> list[int]:  # type: ignore[no-untyped-def]
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in ("batches", "staged")]

    return await store._session.scan(read)
