"""H: endpoints at rest, known to every member, kept over restarts, and nothing of theirs lost."""

from __future__ import annotations

import asyncio

from ringback.core.delivery import DeliveryState, Pause, PauseKind
from ringback.store.contract import NOTICE_SECONDS
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, claim_one, take_one


def gone(store: SqliteStore) -> Pause:
    return Pause(kind=PauseKind.GONE, reason="the receiver answered 410 Gone", since=store.clock.now())


async def test_H1_a_pause_shows_here_at_once_elsewhere_soon_and_after_reopening(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    told = asyncio.Event()
    other.on_due(HOOK.key, told.set)
    await store.pause(HOOK.key, gone(store))
    assert store.paused(HOOK.key) == gone(store)
    async with asyncio.timeout(2 * NOTICE_SECONDS):
        while other.paused(HOOK.key) is None:
            told.clear()
            await told.wait()
    assert other.paused(HOOK.key) == gone(store)
    backend.crash(store)
    assert (await backend.open()).paused(HOOK.key) == gone(other)


async def test_H1_a_later_pause_replaces_the_earlier_one(store: SqliteStore) -> None:
    await store.pause(HOOK.key, gone(store))
    by_hand = Pause(kind=PauseKind.DISABLED, reason="by hand", since=store.clock.now())
    await store.pause(HOOK.key, by_hand)
    assert store.paused(HOOK.key) == by_hand


async def test_H2_its_deliveries_wait_and_new_ones_are_made(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    await store.pause(HOOK.key, gone(store))
    await store.finish((await claim_one(store, "w2")).held, DONE, [HOOK])
    for workload_id in ("w1", "w2"):
        [record] = await store.deliveries(API, workload_id)
        assert (record.state, record.tries) == (DeliveryState.PENDING, 0)


async def test_H3_resuming_wakes_whoever_sends_and_may_be_repeated(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    await store.pause(HOOK.key, gone(store))
    woken = asyncio.Event()
    store.on_due(HOOK.key, woken.set)
    await asyncio.sleep(0)
    woken.clear()
    await store.resume(HOOK.key)
    await store.resume(HOOK.key)
    assert store.paused(HOOK.key) is None
    async with asyncio.timeout(1):
        await woken.wait()
    assert (await take_one(store)).workload_id == "w1"
