"""The contract, section by section: deliveries."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ringback.core.delivery import AttemptClass, Delivered, DeliveryState, Park, Trace, TryAgain
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    DONE,
    HOOK,
    SqliteBackend,
    attempt,
    claim_one,
    take_one,
)


async def finished(store: SqliteStore, name: str = "a") -> None:
    await store.finish((await claim_one(store, name)).held, DONE, [HOOK])


async def test_D1_no_delivery_is_in_two_hands(store: SqliteStore, other: SqliteStore) -> None:
    for number in range(10):
        await finished(store, f"w{number}")
    takes = [member.take_due(HOOK.key, 6, again=False) for member in (store, other)]
    seqs = [delivery.seq for take in takes for delivery in (await take)[0]]
    assert len(seqs) == len(set(seqs)) == 10


async def test_D2_one_whose_time_has_not_come_is_not_taken(backend: SqliteBackend, store: SqliteStore) -> None:
    await finished(store)
    await store.record(await take_one(store), attempt(1, store, AttemptClass.RESET), TryAgain(wait_seconds=5))
    backend.clock.wind(4.999_999)
    assert await store.take_due(HOOK.key, 1, again=True) == ([], 0.000_001)
    backend.clock.wind(0.000_001)
    assert (await take_one(store)).tries == 1


async def test_D2_those_tried_before_and_those_not_are_taken_apart(store: SqliteStore) -> None:
    await finished(store, "tried")
    await store.record(await take_one(store), attempt(1, store, AttemptClass.RESET), TryAgain(wait_seconds=0))
    await finished(store, "fresh")
    assert [each.workload_id for each in (await store.take_due(HOOK.key, 9, again=False))[0]] == ["fresh"]
    assert [each.workload_id for each in (await store.take_due(HOOK.key, 9, again=True))[0]] == ["tried"]


async def test_D3_try_again_lets_anyone_take_it(store: SqliteStore, other: SqliteStore) -> None:
    await finished(store)
    made = attempt(1, store, AttemptClass.STATUS)
    await store.record(await take_one(store), made, TryAgain(wait_seconds=0))
    record = (await other.deliveries(API, "a"))[0]
    assert (record.state, record.attempts) == (DeliveryState.PENDING, (made,))
    assert (await take_one(other)).tries == 1


async def test_D4_the_same_attempt_counts_once(store: SqliteStore) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.record(delivery, attempt(1, store), Delivered())
    before = await store.deliveries(API, "a")
    await store.record(delivery, attempt(1, store, AttemptClass.RESET), Park(reason="no"))
    assert await store.deliveries(API, "a") == before


async def test_D5_a_settled_delivery_never_becomes_pending(store: SqliteStore) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.record(delivery, attempt(1, store), Delivered())
    await store.record(delivery, attempt(2, store), TryAgain(wait_seconds=0))
    assert (await store.deliveries(API, "a"))[0].state is DeliveryState.DELIVERED


@pytest.mark.parametrize(
    ("verdict", "state"),
    [(Delivered(), DeliveryState.DELIVERED), (Park(reason="no"), DeliveryState.PENDING)],
)
async def test_D6_a_late_attempt_is_kept_but_only_delivered_moves(
    store: SqliteStore, other: SqliteStore, verdict: Delivered | Park, state: DeliveryState
) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.release([delivery])
    await take_one(other)
    await store.record(delivery, attempt(1, store), verdict)
    record = (await store.deliveries(API, "a"))[0]
    assert (record.state, len(record.attempts)) == (state, 1)


async def test_D3_many_that_arrive_at_once_are_each_written_down_as_they_were(store: SqliteStore) -> None:
    for number in range(20):
        await finished(store, f"w{number}")
    taken, _ = await store.take_due(HOOK.key, 20, again=False)
    made = [
        replace(
            attempt(1, store),
            duration_us=100 + delivery.seq,
            status=200 + delivery.seq % 3,
            address=None if delivery.seq % 2 else f"[::1]:{delivery.seq}",
            trace=Trace(dns_us=None if delivery.seq % 2 else 7, connect_us=8, wait_us=9, read_us=10),
        )
        for delivery in taken
    ]
    await asyncio.gather(*(store.record(each, one, Delivered()) for each, one in zip(taken, made, strict=True)))
    for each, one in zip(taken, made, strict=True):
        [record] = await store.deliveries(API, each.workload_id)
        assert (record.state, record.attempts) == (DeliveryState.DELIVERED, (one,))
        assert record.settled_at == store.clock.now()


async def test_D4_D6_among_many_that_arrive_at_once_one_may_be_lost_and_one_said_twice(
    store: SqliteStore, other: SqliteStore
) -> None:
    for name in "abcdef":
        await finished(store, name)
    taken, _ = await store.take_due(HOOK.key, 6, again=False)
    lost = taken[2]
    await store.release([lost])
    await take_one(other)
    await store.erase(API, "e")
    made = attempt(1, store)
    again = replace(made, duration_us=made.duration_us + 1)
    said = [(each, made) for each in taken] + [(taken[0], again)]
    await asyncio.gather(*(store.record(delivery, one, Delivered()) for delivery, one in said))
    for name in "abcdf":
        [record] = await store.deliveries(API, name)
        assert (record.state, record.attempts) == (DeliveryState.DELIVERED, (made,))
    assert (await store.take_due(HOOK.key, 6, again=False))[0] == []


async def test_D7_released_ones_are_due_at_once_uncounted(store: SqliteStore, other: SqliteStore) -> None:
    await finished(store)
    await store.release([await take_one(store)])
    assert (await take_one(other)).tries == 0
