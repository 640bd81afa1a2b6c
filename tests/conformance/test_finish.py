"""The contract, section by section: finish."""

from __future__ import annotations

import json

import pytest

from ringback.core.clock import HandWound, Instant, isoformat
from ringback.core.delivery import Delivery
from ringback.core.errors import LeaseLost
from ringback.core.workload import Failed, Spent, Status
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    DONE,
    HOOK,
    LEASE_SECONDS,
    OTHER_HOOK,
    SqliteBackend,
    claim_one,
    take_one,
)


async def test_F1_status_result_and_deliveries_are_visible_together(store: SqliteStore, other: SqliteStore) -> None:
    await store.finish((await claim_one(store, "a")).held, DONE, [HOOK, OTHER_HOOK])
    seen = await other.get(API, "a")
    assert (seen.status, seen.result) == (Status.COMPLETED, DONE.result)
    assert {record.endpoint for record in await other.deliveries(API, "a")} == {"hook", "other"}


async def test_F2_an_old_holder_changes_nothing(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    held = (await claim_one(store, "a")).held
    backend.clock.wind(LEASE_SECONDS - 1)
    await other.heartbeat()
    backend.clock.wind(1)
    await other.take_over([API], 1)
    with pytest.raises(LeaseLost):
        await store.finish(held, DONE, [HOOK])
    assert (await other.get(API, "a")).status is Status.IN_PROGRESS
    assert await other.deliveries(API, "a") == ()


async def test_F3_finishing_again_is_accepted_and_changes_nothing(backend: SqliteBackend, store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    await store.finish(held, DONE, [HOOK])
    ended = await store.get(API, "a")
    backend.clock.wind(1)
    await store.finish(held, DONE, [HOOK])
    assert await store.get(API, "a") == ended
    assert len(await store.deliveries(API, "a")) == 1


async def test_F4_a_terminal_status_never_changes(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    await store.finish(held, DONE, [])
    ended = await store.get(API, "a")
    with pytest.raises(LeaseLost):
        await store.finish(held, Failed(type="ValueError", message="no"), [HOOK])
    with pytest.raises(LeaseLost):
        await store.requeue(held, spent=Spent.ATTEMPT)
    assert await store.get(API, "a") == ended


async def test_F5_one_event_has_one_message_id(store: SqliteStore) -> None:
    for name in ("a", "b"):
        await store.finish((await claim_one(store, name)).held, DONE, [HOOK, OTHER_HOOK])
    ids = [{record.message_id for record in await store.deliveries(API, name)} for name in ("a", "b")]
    assert [len(each) for each in ids] == [1, 1]
    assert ids[0] != ids[1]


class Room:
    """An outlet with a fixed room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.got: list[str] = []

    def has_room(self, endpoint: str) -> bool:
        return len(self.got) < self.room

    def put(self, delivery: Delivery) -> None:
        self.got.append(delivery.workload_id)


async def test_F6_what_the_outlet_has_no_room_for_is_due_at_once(store: SqliteStore, other: SqliteStore) -> None:
    outlet = Room(1)
    store.hand_on(outlet)
    for name in ("a", "b"):
        await store.finish((await claim_one(store, name)).held, DONE, [HOOK])
    assert outlet.got == ["a"]
    assert [delivery.workload_id for delivery in (await other.take_due(HOOK.key, 10, again=False))[0]] == ["b"]


class Restless(HandWound):
    """A clock on which no two looks show the same time, as on any real one."""

    def now(self) -> Instant:
        self.wind(0.000001)
        return Instant(self.at)


async def test_F10_deliveries_tell_the_moment_of_the_end_itself(backend: SqliteBackend) -> None:
    store = await backend.open(clock=Restless())
    await store.finish((await claim_one(store, "a")).held, DONE, [HOOK])
    finished_at = (await store.get(API, "a")).finished_at
    assert finished_at is not None
    assert json.loads((await take_one(store)).body)["timestamp"] == isoformat(finished_at)
