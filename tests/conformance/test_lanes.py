"""LA: one member at a time sends to an endpoint, and the next knows what the last one found out."""

from __future__ import annotations

import asyncio

import pytest

from ringback.core.delivery import AttemptClass, Delivered, TryAgain
from ringback.core.errors import LeaseLost
from ringback.store.contract import NOTICE_SECONDS, TakenLane
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    DONE,
    HOOK,
    LEASE_SECONDS,
    OTHER_HOOK,
    SqliteBackend,
    attempt,
    claim_one,
    rows_of,
    take_one,
)
from support.waiting import eventually

KEY = HOOK.key


async def test_LA1_one_of_those_who_ask_has_it(store: SqliteStore, other: SqliteStore) -> None:
    assert await store.take_lane(KEY) == TakenLane(number=1, is_tripped=False)
    assert await other.take_lane(KEY) is None
    assert await other.take_lane("another") == TakenLane(number=1, is_tripped=False)
    assert await store.take_lane(KEY) == TakenLane(number=2, is_tripped=False)


async def test_LA1_whoever_asks_at_the_same_time(backend: SqliteBackend) -> None:
    members = [await backend.open() for _ in range(4)]
    for number in range(20):
        taken = await asyncio.gather(*(member.take_lane(f"hook-{number}") for member in members))
        assert sum(each is not None for each in taken) == 1


async def test_LA2_it_stays_until_it_is_left(store: SqliteStore, other: SqliteStore) -> None:
    taken = await store.take_lane(KEY)
    assert taken is not None
    await other.leave_lane(KEY, taken)  # not its own
    assert await other.take_lane(KEY) is None
    again = await store.take_lane(KEY)
    assert again is not None
    await store.leave_lane(KEY, taken)  # taken again since
    assert await other.take_lane(KEY) is None
    await store.leave_lane(KEY, again)
    assert await other.take_lane(KEY) == TakenLane(number=3, is_tripped=False)


async def test_LA2_whoever_leaves_the_store_or_is_struck_off_leaves_its_lanes(backend: SqliteBackend) -> None:
    gone, dead, left_over = [await backend.open() for _ in range(3)]
    await gone.take_lane("a")
    await dead.take_lane("b")
    await backend.leave(gone)
    assert await left_over.take_lane("a") is not None
    backend.clock.wind(LEASE_SECONDS - 1)
    await left_over.heartbeat()
    backend.clock.wind(1)
    assert await left_over.take_lane("b") is None
    await left_over.take_over([API], 1)
    assert await left_over.take_lane("b") is not None
    with pytest.raises(LeaseLost):
        await dead.take_lane("c")
    assert await rows_of(left_over, "SELECT endpoint FROM lanes WHERE endpoint = 'c'") == []


async def test_LA3_the_next_is_told_what_the_last_one_said(store: SqliteStore, other: SqliteStore) -> None:
    taken = await store.take_lane(KEY)
    assert taken is not None
    assert taken.is_first
    await store.note_tripped(KEY, is_tripped=True)
    await store.leave_lane(KEY, taken)
    taken = await other.take_lane(KEY)
    assert taken is not None
    assert (taken.is_first, taken.is_tripped) == (False, True)


async def test_LA4_those_who_listen_are_called_when_a_lane_is_free(store: SqliteStore, other: SqliteStore) -> None:
    taken = await store.take_lane(KEY)
    assert taken is not None
    called = asyncio.Event()
    other.on_due(KEY, called.set)
    called.clear()
    await store.leave_lane(KEY, taken)
    await asyncio.wait_for(called.wait(), 3 * NOTICE_SECONDS)


async def test_LA5_which_endpoints_do_not_work_is_known_everywhere(store: SqliteStore, other: SqliteStore) -> None:
    await store.take_lane(KEY)
    await other.note_tripped(KEY, is_tripped=True)  # it is not the one to say so
    await store.note_tripped("unknown", is_tripped=True)
    assert store.tripped == frozenset()
    await store.note_tripped(KEY, is_tripped=True)
    assert store.tripped == {KEY}
    await eventually(lambda: other.tripped == {KEY}, within=3 * NOTICE_SECONDS)
    await store.note_tripped(KEY, is_tripped=False)
    assert store.tripped == frozenset()
    await eventually(lambda: other.tripped == frozenset(), within=3 * NOTICE_SECONDS)


async def test_LA5_by_those_who_come_later_too(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.take_lane(KEY)
    await store.note_tripped(KEY, is_tripped=True)
    late = await backend.open()
    assert late.tripped == {KEY}


async def test_LA6_what_nobody_sends_is_found(store: SqliteStore, other: SqliteStore) -> None:
    assert await store.orphans() == frozenset()
    await store.finish((await claim_one(store, "w")).held, DONE, [HOOK, OTHER_HOOK])
    assert await store.orphans() == {HOOK.key, OTHER_HOOK.key}
    await other.take_lane(OTHER_HOOK.key)
    assert await store.orphans() == {HOOK.key}
    delivery = await take_one(store)
    assert await store.orphans() == frozenset()  # in somebody's hands
    await store.record(delivery, attempt(1, store, AttemptClass.STATUS), TryAgain(wait_seconds=60))
    assert await store.orphans() == {HOOK.key}


async def test_LA7_a_lane_is_forgotten_when_it_is_over(store: SqliteStore) -> None:
    async def kept() -> list[tuple[str]]:
        return list(await rows_of(store, "SELECT endpoint FROM lanes ORDER BY endpoint"))

    taken = {key: await store.take_lane(key) for key in (HOOK.key, OTHER_HOOK.key, "idle")}
    for key in (HOOK.key, "idle"):
        await store.note_tripped(key, is_tripped=True)
    await store.finish((await claim_one(store, "w")).held, DONE, [HOOK])
    await store.forget_lanes()
    assert await kept() == [(HOOK.key,), ("idle",), (OTHER_HOOK.key,)]
    for key in (HOOK.key, "idle"):
        lane = taken[key]
        assert lane is not None
        await store.leave_lane(key, lane)
    await store.forget_lanes()
    assert await kept() == [(HOOK.key,), (OTHER_HOOK.key,)]
    assert store.tripped == {HOOK.key}
    await store.record(await take_one(store), attempt(1, store), Delivered())
    await store.forget_lanes()
    assert await kept() == [(OTHER_HOOK.key,)]
