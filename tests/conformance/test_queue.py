"""The contract, section by section: the order of the queue, delays and longest waits."""

from __future__ import annotations

import asyncio

import pytest

from ringback.core.queueing import STEP_SECONDS, Wish
from ringback.core.workload import Failed, Spent, Status
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, claim_one, submission

WHY = Failed(type="ValueError", message="no")


async def put(store: SqliteStore, name: str, **wish: object) -> None:
    await store.submit(submission(workload_id=name, wish=Wish(**wish)))  # type: ignore[arg-type]


async def claimed(store: SqliteStore, room: int = 100) -> list[str]:
    return [each.held.id for each in (await store.claim(API, room))[0]]


# ── Priority and its ageing ─────────────────────────────────────────────────────────────────────


async def test_Q1_the_higher_priority_goes_first_and_equals_in_their_order(store: SqliteStore) -> None:
    for name, priority in (("a", 0), ("b", -100), ("c", 100), ("d", 0), ("e", 1), ("f", 100)):
        await put(store, name, priority=priority)
    assert await claimed(store) == ["c", "f", "e", "a", "d", "b"]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-100, 100), (-3, 7)])
async def test_Q1_a_step_is_worth_a_minute_and_not_a_microsecond_more(
    low: int, high: int, backend: SqliteBackend, store: SqliteStore
) -> None:
    await put(store, "low", priority=low)
    backend.clock.wind((high - low) * STEP_SECONDS - 0.000_001)
    await put(store, "in time", priority=high)
    backend.clock.wind(0.000_001)
    await put(store, "as old", priority=high)
    backend.clock.wind(0.000_001)
    await put(store, "late", priority=high)
    assert await claimed(store) == ["in time", "low", "as old", "late"]


async def test_Q1_a_stream_of_urgent_ones_never_starves_a_low_one(backend: SqliteBackend, store: SqliteStore) -> None:
    """One urgent workload comes in for each that is done: as much as can be served, for ever."""
    await put(store, "low", priority=-100)
    for minute in range(201):
        await put(store, f"urgent{minute}", priority=100)
        [served] = await claimed(store, 1)
        if served == "low":
            break
        backend.clock.wind(STEP_SECONDS)
    assert (served, minute) == ("low", 200)


async def test_Q1_what_is_put_back_keeps_its_place(store: SqliteStore) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 9)):
        await put(store, name, priority=priority)
    [first, second], _ = await store.claim(API, 2)
    await store.requeue(first.held, spent=Spent.LOSS, why=WHY)
    await store.requeue(second.held, spent=Spent.NOTHING)
    assert await claimed(store) == ["c", "b", "a"]


async def test_Q1_what_is_retried_stands_in_line_by_its_priority(store: SqliteStore) -> None:
    await put(store, "urgent", priority=5)
    await store.finish((await claim_one(store)).held, WHY, [])
    await put(store, "plain")
    await store.retry(API, "urgent")
    assert await claimed(store) == ["urgent", "plain"]


# ── Waiting for its time ────────────────────────────────────────────────────────────────────────


async def test_Q2_a_delayed_one_is_not_taken_before_its_time(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "later", delay_seconds=30)
    assert await store.claim(API, 1) == ([], 30.0)
    backend.clock.wind(29.999_999)
    assert await store.claim(API, 1) == ([], 0.000_001)
    backend.clock.wind(0.000_001)
    assert await claimed(store) == ["later"]


async def test_Q2_its_place_is_of_the_moment_it_was_due(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "later", delay_seconds=30)
    await put(store, "urgent later", delay_seconds=30, priority=1)
    await put(store, "now")
    backend.clock.wind(31)
    await put(store, "after")
    assert await claimed(store) == ["urgent later", "now", "later", "after"]


async def test_Q2_a_retry_with_a_delay_comes_back_by_its_priority(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "urgent", priority=50)
    first = await claim_one(store)
    await store.requeue(first.held, spent=Spent.ATTEMPT, delay_seconds=5, why=WHY)
    await put(store, "plain")
    assert await claimed(store, 1) == ["plain"]
    await put(store, "plain too")
    backend.clock.wind(5)
    assert await claimed(store) == ["urgent", "plain too"]


async def test_Q2_more_than_one_transaction_sees_to_are_all_taken_in_the_end(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await asyncio.gather(*(put(store, f"w{number}", delay_seconds=1) for number in range(2_500)))
    backend.clock.wind(1)
    taken: list[str] = []
    for _ in range(3):
        found, following = await store.claim(API, 1_000)
        taken += [each.held.id for each in found]
        assert following in {None, 0.0}
    assert len(set(taken)) == 2_500


# ── The longest wait ────────────────────────────────────────────────────────────────────────────


async def test_Q3_what_has_waited_too_long_is_not_taken(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "a", expires_seconds=30)
    await put(store, "b", expires_seconds=30)
    backend.clock.wind(29.999_999)
    assert await claimed(store, 1) == ["a"]
    backend.clock.wind(0.000_001)
    await put(store, "c")
    assert await claimed(store) == ["c"]
    assert (await store.get(API, "b")).status is Status.IN_QUEUE


async def test_Q3_the_wait_counts_from_when_it_was_due(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "a", delay_seconds=100, expires_seconds=30)
    await put(store, "b", delay_seconds=100, expires_seconds=30)
    backend.clock.wind(129.999_999)
    assert await claimed(store, 1) == ["a"]
    backend.clock.wind(0.000_001)
    assert await claimed(store) == []


async def test_Q3_also_when_nobody_looked_between_its_time_and_its_end(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await put(store, "a", delay_seconds=100, expires_seconds=30)
    backend.clock.wind(1_000)
    assert await claimed(store) == []
    assert await store.expire(API, [], 9) == 1


async def test_Q3_more_than_one_transaction_sees_to_hold_up_the_others_but_not_for_good(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await asyncio.gather(*(put(store, f"late{number}", expires_seconds=1) for number in range(1_500)))
    await put(store, "good")
    backend.clock.wind(1)
    assert await store.claim(API, 5) == ([], 0.0)
    assert await claimed(store) == ["good"]


async def test_Q4_it_ends_as_expired_once_with_its_deliveries(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await put(store, "a", expires_seconds=30)
    await put(store, "b", expires_seconds=60)
    assert await store.expire(API, [HOOK, OTHER_HOOK], 9) == 0
    backend.clock.wind(30)
    counts = await asyncio.gather(*(each.expire(API, [HOOK, OTHER_HOOK], 9) for each in (store, other, store)))
    assert sum(counts) == 1

    ended = await other.get(API, "a")
    assert (ended.status, ended.finished_at) == (Status.FAILED, backend.clock.now())
    assert ended.error is not None
    assert ended.error.type == "expired"
    assert [each.endpoint for each in await store.deliveries(API, "a")] == [HOOK.key, OTHER_HOOK.key]
    assert (await store.get(API, "b")).status is Status.IN_QUEUE
    assert (await store.depths())[API].in_queue == 1


async def test_Q4_in_portions(backend: SqliteBackend, store: SqliteStore) -> None:
    for number in range(5):
        await put(store, f"w{number}", expires_seconds=1)
    backend.clock.wind(1)
    assert await claimed(store) == []
    assert [await store.expire(API, [], 2) for _ in range(4)] == [2, 2, 1, 0]


async def test_Q4_one_that_was_put_aside_can_still_be_canceled(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "a", expires_seconds=1)
    backend.clock.wind(1)
    assert await claimed(store) == []
    assert (await store.cancel(API, "a", [HOOK])).status is Status.CANCELED
    assert await store.expire(API, [HOOK], 9) == 0


async def test_Q4_an_expired_one_can_be_retried_and_then_waits_as_long_as_it_takes(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await put(store, "a", expires_seconds=1)
    backend.clock.wind(1)
    assert await store.expire(API, [HOOK], 9) == 1
    await store.retry(API, "a")
    backend.clock.wind(1_000)
    assert await claimed(store) == ["a"]


async def test_Q5_an_attempt_that_has_begun_ends_the_wait(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "a", expires_seconds=30)
    first = await claim_one(store)
    backend.clock.wind(1_000)
    assert await store.expire(API, [], 9) == 0
    await store.requeue(first.held, spent=Spent.NOTHING, why=WHY)
    assert await store.expire(API, [], 9) == 0
    assert await claimed(store) == ["a"]


async def test_Q5_what_is_put_back_untouched_goes_on_waiting(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "a", expires_seconds=30)
    first = await claim_one(store)
    await store.requeue(first.held, spent=Spent.NOTHING)
    backend.clock.wind(30)
    assert await claimed(store) == []
    assert await store.expire(API, [], 9) == 1


# ── Where one stands ────────────────────────────────────────────────────────────────────────────


async def test_Q6_positions_are_those_of_the_next_claim(backend: SqliteBackend, store: SqliteStore) -> None:
    for name, priority in (("a", 0), ("b", 0), ("c", 5), ("d", -5)):
        await put(store, name, priority=priority)
    await put(store, "later", delay_seconds=5)
    order = ["c", "a", "b", "d"]
    assert [await store.position(API, name, 10) for name in order] == [1, 2, 3, 4]
    assert [await store.position(API, name, 2) for name in order] == [1, 2, None, None]
    assert [await store.position(API, name, 9) for name in ("later", "unknown")] == [None, None]
    await store.finish((await claim_one(store)).held, DONE, [])
    assert [await store.position(API, name, 10) for name in order] == [None, 1, 2, 3]

    told = await store.describe(API, "b")
    assert (told.position, told.priority, told.tenant, told.expires_at) == (2, 0, "", None)


async def test_Q6_of_a_tenant_are_told_among_its_own(backend: SqliteBackend, store: SqliteStore) -> None:
    for name in ("a1", "a2", "b1"):
        await put(store, name, tenant=name[0], expires_seconds=60)
    assert [await store.position(API, name, 10) for name in ("a1", "a2", "b1")] == [1, 2, 1]
    told = await store.describe(API, "b1")
    assert (told.tenant, told.expires_at) == ("b", backend.clock.now() + 60_000_000)
