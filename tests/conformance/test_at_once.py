"""What comes at once may share statements; each still gets its own answer, as if it had come alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ringback.core.delivery import Delivered, Delivery, DeliveryState
from ringback.core.errors import AlreadyEnded, Erased, IdTaken, LeaseLost, QueueFull
from ringback.core.spec import Event, Order
from ringback.core.workload import Completed, Failed, Spent, Started, Status
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, attempt, claim_one, rows_of, submission

FIFO = replace(HOOK, order=Order.FIFO)
EVERY = replace(HOOK, events=frozenset(Event))
OTHER = Completed(result=b"something else")


async def test_W1_C4_a_heap_that_comes_at_once_stands_in_its_order(store: SqliteStore) -> None:
    await asyncio.gather(*(store.submit(submission(workload_id=f"w{each}")) for each in range(600)))
    claimed, _ = await store.claim(API, 600)
    assert [each.held.id for each in claimed] == [f"w{each}" for each in range(600)]


async def test_W2_W3_of_those_with_one_id_or_key_the_first_counts(store: SqliteStore) -> None:
    answers = await asyncio.gather(
        store.submit(submission(workload_id="same")),
        store.submit(submission(key="k")),
        store.submit(submission(workload_id="same")),
        store.submit(submission(key="k")),
        store.submit(submission(workload_id="same", payload=b"[]")),
        store.submit(submission(key="k", payload=b"[]")),
        store.submit(submission(workload_id="another")),
        return_exceptions=True,
    )
    first, by_key, again, by_key_again, *conflicts, another = answers
    assert not isinstance(first, BaseException)
    assert not isinstance(again, BaseException)
    assert not isinstance(by_key, BaseException)
    assert not isinstance(by_key_again, BaseException)
    assert not isinstance(another, BaseException)
    assert (first.created, again.created, by_key.created, by_key_again.created) == (True, False, True, False)
    assert by_key_again.id == by_key.id
    assert [type(each) for each in conflicts] == [IdTaken, IdTaken]
    assert another.created
    assert await rows_of(store, "SELECT count(*) FROM workloads") == [(3,)]


async def test_W4_the_limit_holds_for_those_that_come_at_once(store: SqliteStore) -> None:
    answers = await asyncio.gather(*(store.submit(submission(), limit=4) for _ in range(10)), return_exceptions=True)
    assert [isinstance(each, QueueFull) for each in answers] == [False] * 4 + [True] * 6
    assert (await store.depths())[API].in_queue == 4


async def test_F1_F5_ends_that_come_at_once_each_have_their_own_deliveries(store: SqliteStore) -> None:
    await asyncio.gather(*(store.submit(submission(workload_id=f"w{each}")) for each in range(20)))
    claimed, _ = await store.claim(API, 20)
    await asyncio.gather(
        *(store.finish(each.held, Completed(result=each.held.id.encode()), [HOOK, FIFO]) for each in claimed)
    )
    seen: set[str] = set()
    for each in claimed:
        workload = await store.get(API, each.held.id)
        assert (workload.status, workload.result) == (Status.COMPLETED, each.held.id.encode())
        deliveries = await store.deliveries(API, each.held.id)
        assert len({delivery.message_id for delivery in deliveries}) == 1
        assert len(deliveries) == 2
        seen.add(deliveries[0].message_id)
    assert len(seen) == 20


async def test_F2_F3_ends_of_one_workload_that_come_at_once(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    beside = (await claim_one(store, "w2")).held
    told = await asyncio.gather(
        store.finish(held, DONE, [HOOK]),
        store.finish(beside, Failed(type="x", message="y"), [HOOK]),
        store.finish(held, DONE, [HOOK]),
        store.finish(held, OTHER, [HOOK]),
        return_exceptions=True,
    )
    assert told[:3] == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
    assert isinstance(told[3], LeaseLost)
    assert len(await store.deliveries(API, "w1")) == 1


async def test_D3_D4_attempts_recorded_at_once_count_once_each(store: SqliteStore) -> None:
    for name in ("w1", "w2"):
        await store.finish((await claim_one(store, name)).held, DONE, [HOOK])
    taken, _ = await store.take_due(HOOK.key, 2, again=False)
    first, second = taken
    await asyncio.gather(
        store.record(first, attempt(1, store), Delivered()),
        store.record(second, attempt(1, store), Delivered()),
        store.record(first, attempt(1, store), Delivered()),
    )
    for name in ("w1", "w2"):
        [delivery] = await store.deliveries(API, name)
        assert (delivery.state, delivery.tries, len(delivery.attempts)) == (DeliveryState.DELIVERED, 1, 1)


async def test_O1_O3_of_ends_in_one_line_that_come_at_once_one_is_due(store: SqliteStore) -> None:
    for name in ("w1", "w2", "w3"):
        await store.submit(replace(submission(workload_id=name), order_key="line"))
    claimed, _ = await store.claim(API, 3)
    await asyncio.gather(*(store.finish(each.held, DONE, [FIFO]) for each in claimed))
    for name in ("w1", "w2", "w3"):
        taken, _ = await store.take_due(HOOK.key, 3, again=False)
        assert [each.workload_id for each in taken] == [name]
        await store.record(taken[0], attempt(1, store), Delivered())


@pytest.mark.parametrize("count", [1, 40])
async def test_C1_C2_a_claim_that_comes_with_its_submits_takes_each_once(store: SqliteStore, count: int) -> None:
    submits = [asyncio.ensure_future(store.submit(submission(workload_id=f"w{each}"))) for each in range(count)]
    claims = await asyncio.gather(*(store.claim(API, count) for _ in range(3)))
    await asyncio.gather(*submits)
    last, _ = await store.claim(API, count)
    ids = [each.held.id for claimed in (*(found for found, _ in claims), last) for each in claimed]
    assert sorted(ids) == sorted(f"w{each}" for each in range(count))


async def test_X4_F2_of_an_end_and_a_cancel_that_come_at_once_one_counts(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    beside = (await claim_one(store, "w2")).held
    ended, asked, told = await asyncio.gather(
        store.finish(held, DONE, [EVERY]),
        store.cancel(API, "w1", [EVERY]),
        store.finish(beside, DONE, [EVERY]),
        return_exceptions=True,
    )
    assert told is Status.COMPLETED
    if ended is Status.COMPLETED:
        assert isinstance(asked, AlreadyEnded)
    else:
        assert not isinstance(asked, BaseException)
        assert (ended, asked.status) == (Status.CANCELED, Status.IN_PROGRESS)
    assert (await store.get(API, "w1")).status is ended
    for name, status in (("w1", ended), ("w2", Status.COMPLETED)):
        assert [each.event.value for each in await store.deliveries(API, name)] == [status]


async def test_F2_F4_R2_of_an_end_and_a_return_that_come_at_once_one_counts(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    ended, returned, (claimed, _) = await asyncio.gather(
        store.finish(held, DONE, [HOOK]),
        store.requeue(held, spent=Spent.NOTHING),
        store.claim(API, 1),
        return_exceptions=True,
    )
    workload, deliveries = await store.get(API, "w1"), await store.deliveries(API, "w1")
    if ended is Status.COMPLETED:
        assert isinstance(returned, LeaseLost)
        assert (workload.status, workload.attempt, len(deliveries), claimed) == (Status.COMPLETED, 1, 1, [])
    else:
        assert (type(ended), returned, len(deliveries)) == (LeaseLost, None, 0)
        assert workload.status is (Status.IN_PROGRESS if claimed else Status.IN_QUEUE)


async def test_A2_A3_of_an_end_nothing_comes_after_that_is_told_at_once(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    ended, told = await asyncio.gather(
        store.finish(held, DONE, [EVERY]), store.announce(held, Started(), [EVERY]), return_exceptions=True
    )
    assert ended is Status.COMPLETED
    events = [each.event for each in sorted(await store.deliveries(API, "w1"), key=lambda each: each.sequence)]
    assert events == ([Event.COMPLETED] if isinstance(told, LeaseLost) else [Event.STARTED, Event.COMPLETED])


async def test_U2_of_one_that_ends_while_it_is_erased_nothing_is_left(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await asyncio.gather(store.finish(held, DONE, [HOOK]), store.erase(API, "w1"))
    with pytest.raises(Erased):
        await store.get(API, "w1")
    assert await rows_of(store, "SELECT count(*) FROM deliveries") == [(0,)]


async def test_F6_M_what_a_member_ends_while_it_leaves_is_for_the_others_to_send(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    store.hand_on(Ample())
    held = [(await claim_one(store, name)).held for name in ("w1", "w2")]
    ends = [asyncio.ensure_future(store.finish(each, DONE, [HOOK])) for each in held]
    await asyncio.sleep(0)
    await backend.leave(store)
    assert await asyncio.gather(*ends) == [Status.COMPLETED] * 2
    taken, _ = await other.take_due(HOOK.key, 9, again=False)
    assert sorted(each.workload_id for each in taken) == ["w1", "w2"]


class Ample:
    """An outlet with room for anything, that sends nothing."""

    def has_room(self, endpoint: str) -> bool:
        return True

    def put(self, delivery: Delivery) -> None:
        pass
