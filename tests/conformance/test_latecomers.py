"""What comes after its time: a former holder, a member declared dead, waits that outlive a store."""

from __future__ import annotations

import asyncio

import pytest

from ringback.core.delivery import AttemptClass, Delivered, DeliveryState, Park, TryAgain
from ringback.core.errors import LeaseLost, StoreError
from ringback.core.workload import Progress, Spent, Status
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, LEASE_SECONDS, SqliteBackend, attempt, claim_one, submission, take_one

WEEK = 7 * 86_400.0


async def finished(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])


async def test_D6_a_number_that_a_former_holder_has_written_down_meanwhile_is_kept_twice(
    store: SqliteStore, other: SqliteStore
) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.release([delivery])
    again = await take_one(other)
    await store.record(delivery, attempt(1, store, AttemptClass.RESET), TryAgain(wait_seconds=0))
    await other.record(again, attempt(1, other), Delivered())

    [record] = await store.deliveries(API, "w1")
    assert record.state is DeliveryState.DELIVERED
    assert [(made.number, made.outcome) for made in record.attempts] == [(1, AttemptClass.RESET), (2, AttemptClass.OK)]


async def test_D6_an_arrival_told_late_settles_what_nobody_holds(store: SqliteStore, other: SqliteStore) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.release([delivery])
    await store.record(delivery, attempt(1, store), Delivered())
    for again in (False, True):
        assert (await other.take_due(HOOK.key, 1, again=again)) == ([], None)


async def test_D6_an_arrival_told_late_leaves_a_parked_one_or_settles_it_but_never_reopens_it(
    store: SqliteStore, other: SqliteStore
) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.release([delivery])
    await other.record(await take_one(other), attempt(1, other), Park(reason="spent"))
    await store.record(delivery, attempt(2, store), TryAgain(wait_seconds=0))
    [record] = await store.deliveries(API, "w1")
    assert (record.state, record.reason) == (DeliveryState.PARKED, "spent")


async def test_E1_an_attempt_of_what_has_been_erased_is_dropped(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.release([delivery])
    await other.record(await take_one(other), attempt(1, other), Delivered())
    backend.clock.wind(WEEK)
    await store.heartbeat()
    await store.erase_expired({API: WEEK}, 10)

    await store.record(delivery, attempt(2, store), Delivered())
    assert await store.deliveries(API, "w1") == ()


async def test_M_a_member_declared_dead_takes_nothing_over(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await store.submit(submission(workload_id="w1"))
    backend.clock.wind(LEASE_SECONDS + 1)
    await other.heartbeat()
    await other.take_over([API], 10)
    for verb in (store.heartbeat, lambda: store.take_over([API], 10)):
        with pytest.raises(LeaseLost, match="others have taken over"):
            await verb()


async def test_V_whoever_waits_when_the_store_is_closed_is_told(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    waiting = [asyncio.ensure_future(store.ended(API, "w1", 60)) for _ in range(2)]
    await asyncio.sleep(0)
    await store.close()
    for each in waiting:
        with pytest.raises(StoreError, match="closed"):
            await each


async def test_V_one_who_gives_up_waiting_leaves_the_others_waiting(store: SqliteStore) -> None:
    claimed = await claim_one(store, "w1")
    patient, gone = (asyncio.ensure_future(store.ended(API, "w1", 60)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    await store.finish(claimed.held, DONE, [])
    assert (await patient).status is Status.COMPLETED


async def test_W2_an_id_of_the_stores_own_making_may_be_sent_again(store: SqliteStore) -> None:
    accepted = await store.submit(submission())
    again = await store.submit(submission(workload_id=accepted.id))
    assert (again.id, again.created) == (accepted.id, False)


async def test_F2_R2_P2_an_earlier_attempt_of_ones_own_is_worth_nothing(store: SqliteStore) -> None:
    old = (await claim_one(store, "w1")).held
    await store.requeue(old, spent=Spent.ATTEMPT)
    new = (await claim_one(store)).held
    for verb in (
        lambda: store.finish(old, DONE, []),
        lambda: store.requeue(old, spent=Spent.NOTHING),
        lambda: store.progress(old, Progress(fraction=0.5)),
    ):
        with pytest.raises(LeaseLost):
            await verb()
    seen = await store.get(API, "w1")
    assert (seen.status, seen.attempt, seen.progress) == (Status.IN_PROGRESS, 2, None)

    await store.finish(new, DONE, [])
    with pytest.raises(LeaseLost):
        await store.finish(old, DONE, [])


async def test_D4_an_attempt_that_has_been_counted_does_not_settle_what_is_tried_anew(store: SqliteStore) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.record(delivery, attempt(1, store, AttemptClass.RESET), TryAgain(wait_seconds=0))
    await take_one(store)
    await store.record(delivery, attempt(1, store, AttemptClass.RESET), Park(reason="no"))
    [record] = await store.deliveries(API, "w1")
    assert (record.state, record.tries) == (DeliveryState.PENDING, 1)


async def test_D7_nobody_lets_go_of_what_another_holds(store: SqliteStore, other: SqliteStore) -> None:
    await finished(store)
    delivery = await take_one(store)
    await store.release([delivery])
    await take_one(other)
    await store.release([delivery])
    assert (await store.take_due(HOOK.key, 1, again=False)) == ([], None)


async def test_D1_a_member_declared_dead_is_given_no_delivery(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await finished(store)
    backend.clock.wind(LEASE_SECONDS)
    await other.heartbeat()
    await other.take_over([API], 10)
    assert (await store.take_due(HOOK.key, 1, again=False))[0] == []
    assert (await take_one(other)).tries == 0


async def test_M_who_leaves_gives_back_its_deliveries_at_once(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await finished(store)
    await take_one(store)
    await backend.leave(store)
    assert (await take_one(other)).tries == 0
