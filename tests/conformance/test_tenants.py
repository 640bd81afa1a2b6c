"""The contract, section by section: tenants that share an API."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ringback.core.errors import QueueFull
from ringback.core.queueing import TURNS_AHEAD, Wish
from ringback.core.workload import Spent
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, SqliteBackend, claim_one, submission


async def put(store: SqliteStore, name: str, tenant: str = "", **wish: object) -> None:
    await store.submit(submission(workload_id=name, wish=Wish(tenant=tenant, **wish)))  # type: ignore[arg-type]


async def flood(store: SqliteStore, tenant: str, count: int) -> None:
    await asyncio.gather(*(put(store, f"{tenant or 'plain'}{number:04}", tenant) for number in range(count)))


async def claimed(store: SqliteStore, room: int = 100) -> list[str]:
    return [each.held.id for each in (await store.claim(API, room))[0]]


async def one_by_one(store: SqliteStore, count: int) -> list[str]:
    return [name for _ in range(count) for name in await claimed(store, 1)]


async def test_T1_each_in_its_turn_however_many_each_has_submitted(store: SqliteStore) -> None:
    await flood(store, "a", 50)
    await flood(store, "b", 5)
    await flood(store, "c", 2)
    served = await one_by_one(store, 57)
    assert [name[0] for name in served[:12]] == ["a", "b", "c", "a", "b", "c", "a", "b", "a", "b", "a", "b"]
    assert len(set(served)) == 57


@pytest.mark.parametrize("room", [2, 3, 7, 64])
async def test_T1_also_when_many_are_claimed_at_once(room: int, store: SqliteStore) -> None:
    for tenant in "abcde":
        await flood(store, tenant, 60)
    served: Counter[str] = Counter()
    for _ in range(3 * 64 // room):
        served.update(name[0] for name in await claimed(store, room))
        assert max(served[each] for each in "abcde") - min(served[each] for each in "abcde") <= 1


async def test_T1_between_members(store: SqliteStore, other: SqliteStore) -> None:
    await flood(store, "a", 20)
    await flood(other, "b", 20)
    served = [name for _ in range(10) for member in (store, other) for name in await claimed(member, 1)]
    assert Counter(name[0] for name in served) == {"a": 10, "b": 10}


async def test_T1_one_that_submits_the_next_only_when_the_last_is_done_gets_no_more_than_its_share(
    store: SqliteStore,
) -> None:
    await flood(store, "bulk", 50)
    await put(store, "single0", "single")
    served: list[str] = []
    for number in range(1, 11):
        served += await one_by_one(store, 2)
        await put(store, f"single{number}", "single")
    assert Counter(name[:4] for name in served) == {"bulk": 10, "sing": 10}


async def test_T2_a_single_one_goes_next_whatever_the_backlog(store: SqliteStore) -> None:
    await flood(store, "a", 500)
    await one_by_one(store, 3)
    await put(store, "b", "b")
    await put(store, "c", "c")
    assert await one_by_one(store, 3) == ["b", "c", "a0003"]


async def test_T2_so_does_one_without_a_tenant(store: SqliteStore) -> None:
    await flood(store, "a", 50)
    await one_by_one(store, 3)
    await put(store, "plain")
    assert await claimed(store, 1) == ["plain"]


async def test_T2_and_one_with_a_tenant_where_nobody_had_one(store: SqliteStore) -> None:
    await flood(store, "", 50)
    await one_by_one(store, 3)
    await put(store, "b", "b")
    assert await one_by_one(store, 3) == ["b", "plain0003", "plain0004"]


async def test_T2_newcomers_without_end_do_not_starve_those_who_have_waited_for_many_turns(store: SqliteStore) -> None:
    await flood(store, "a", 3)
    await one_by_one(store, 1)
    for number in range(TURNS_AHEAD + 1):
        await put(store, f"new{number}", f"t{number}")
        await put(store, f"newer{number}", f"u{number}")
        [served] = await claimed(store, 1)
        if served == "a0001":
            break
    assert number == TURNS_AHEAD


async def test_T3_within_a_share_priority_decides_and_takes_nothing_from_others(store: SqliteStore) -> None:
    await flood(store, "a", 10)
    await put(store, "a urgent", "a", priority=100)
    await put(store, "b low", "b", priority=-100)
    await put(store, "b", "b")
    assert await one_by_one(store, 4) == ["a urgent", "b", "a0000", "b low"]


async def test_T3_what_a_tenant_delays_comes_in_its_turn(backend: SqliteBackend, store: SqliteStore) -> None:
    await put(store, "b later", "b", delay_seconds=5)
    await flood(store, "a", 10)
    await one_by_one(store, 3)
    backend.clock.wind(5)
    assert await one_by_one(store, 2) == ["b later", "a0003"]


async def test_T4_what_a_tenant_gets_back_is_taken_again(store: SqliteStore) -> None:
    await put(store, "a", "a")
    first = await claim_one(store)
    assert await claimed(store) == []  # finds out that nobody waits
    await store.requeue(first.held, spent=Spent.NOTHING)
    assert await claimed(store) == ["a"]


async def test_T4_nothing_is_stranded_by_a_wrong_mark(store: SqliteStore, other: SqliteStore) -> None:
    await put(store, "a", "a")
    await put(store, "b", "b")
    await put(store, "plain")

    def wipe(tx) -> None:  # type: ignore[no-untyped-def]
        tx.execute("UPDATE turns SET waiting = 0")

    await store._session.commits.write(wipe)
    assert sorted(await claimed(other)) == ["a", "b", "plain"]


async def test_T4_a_member_that_others_have_declared_dead_marks_nothing(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await put(store, "a", "a")
    backend.clock.wind(20)
    await other.heartbeat()
    backend.clock.wind(20)
    await other.take_over([API], 1)
    assert await claimed(store) == []
    await flood(other, "b", 3)
    assert await one_by_one(other, 2) == ["a", "b0000"]


async def test_T5_the_limit_is_each_tenants_own(store: SqliteStore, other: SqliteStore) -> None:
    for number in range(2):
        await store.submit(submission(workload_id=f"a{number}", wish=Wish(tenant="a")), limit=2)
    with pytest.raises(QueueFull):
        await other.submit(submission(wish=Wish(tenant="a")), limit=2)
    assert (await other.submit(submission(wish=Wish(tenant="b")), limit=2)).created
    assert (await store.submit(submission(), limit=2)).created
    held = {each.held.id: each.held for each in (await store.claim(API, 4))[0]}
    await store.finish(held["a0"], DONE, [])
    assert (await other.submit(submission(wish=Wish(tenant="a")), limit=2)).created
    with pytest.raises(QueueFull):
        await store.submit(submission(wish=Wish(tenant="a")), limit=2)


async def test_T6_tenants_with_nothing_to_do_are_forgotten_and_nothing_else_changes(store: SqliteStore) -> None:
    for tenant in "abc":
        await put(store, tenant, tenant)
    await put(store, "plain")
    assert await store.forget_tenants([API], 100) == 0
    for _ in range(4):
        await store.finish((await claim_one(store)).held, DONE, [])
    assert await claimed(store) == []
    assert await store.forget_tenants([API], 2) == 2
    assert await store.forget_tenants([API], 100) == 5  # four turns and three sums in all, the plain one's stays
    assert await store.forget_tenants([API], 100) == 0

    await put(store, "plain again")
    assert (await store.depths())[API].in_queue == 1
    assert await claimed(store) == ["plain again"]


async def test_T6_whose_turn_it_is_is_kept_while_others_wait(store: SqliteStore) -> None:
    await flood(store, "a", 10)
    await put(store, "b0", "b")
    assert await one_by_one(store, 3) == ["a0000", "b0", "a0001"]
    await put(store, "b1", "b")
    assert await one_by_one(store, 1) == ["b1"]
    assert await one_by_one(store, 1) == ["a0002"]
    assert await store.forget_tenants([API], 100) == 0  # b has nothing left, but would come back too early
    await put(store, "c", "c")
    await put(store, "b2", "b")
    assert await one_by_one(store, 3) == ["c", "b2", "a0003"]
