"""Y and L4: deliveries found again, and sent again."""

from __future__ import annotations

import pytest

from ringback.core.clock import Instant
from ringback.core.delivery import AttemptClass, Delivered, DeliveryRecord, DeliveryState, Park, Verdict
from ringback.core.errors import UnknownDelivery
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, attempt, claim_one, take_one

SPENT = Park(reason="all attempts failed")


async def settled(store: SqliteStore, name: str, verdict: Verdict) -> DeliveryRecord:
    await store.finish((await claim_one(store, name)).held, DONE, [HOOK])
    made = attempt(1, store, AttemptClass.OK if isinstance(verdict, Delivered) else AttemptClass.RESET)
    await store.record(await take_one(store), made, verdict)
    [record] = await store.deliveries(API, name)
    return record


@pytest.mark.parametrize("verdict", [Delivered(), SPENT])
async def test_Y1_a_settled_one_is_sent_again_as_it_was(store: SqliteStore, verdict: Verdict) -> None:
    before = await settled(store, "w1", verdict)
    await store.replay(before.seq)
    after = await store.delivery(before.seq)
    assert (after.state, after.tries, after.settled_at, after.reason) == (DeliveryState.PENDING, 1, None, None)
    assert (after.message_id, after.attempts) == (before.message_id, before.attempts)

    again = await take_one(store)
    assert (again.message_id, again.tries, again.base) == (before.message_id, 1, 1)
    await store.record(again, attempt(2, store), Delivered())
    assert [made.number for made in (await store.delivery(before.seq)).attempts] == [1, 2]


async def test_Y1_it_is_kept_from_retention_meanwhile(backend: SqliteBackend, store: SqliteStore) -> None:
    record = await settled(store, "w1", Delivered())
    await store.replay(record.seq)
    backend.clock.wind(100)
    assert await store.erase_expired({API: 1.0}, 10) == 0


async def test_Y2_one_under_way_is_left_alone(store: SqliteStore, other: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    held = await take_one(store)
    await other.replay(held.seq)
    for again in (False, True):
        assert (await other.take_due(HOOK.key, 1, again=again))[0] == []
    await store.record(held, attempt(1, store), Delivered())
    assert (await store.delivery(held.seq)).state is DeliveryState.DELIVERED


async def test_Y3_an_endpoints_parked_ones_since_then_oldest_first_in_portions(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await settled(store, "old", SPENT)
    backend.clock.wind(10)
    since = Instant(backend.clock.now())
    for name in ("a", "b", "c"):
        await settled(store, name, SPENT)
        backend.clock.wind(1)
    await settled(store, "arrived", Delivered())

    assert await store.recover(OTHER_HOOK.key, since, 10) == 0
    assert [await store.recover(HOOK.key, since, 2) for _ in range(3)] == [2, 1, 0]
    taken, _ = await store.take_due(HOOK.key, 10, again=True)
    assert [each.workload_id for each in taken] == ["a", "b", "c"]
    [left] = (await store.find_deliveries(endpoint=None, state=DeliveryState.PARKED, limit=9, cursor=None)).deliveries
    assert left.workload_id == "old"


async def test_Y_what_there_is_not(store: SqliteStore) -> None:
    with pytest.raises(UnknownDelivery, match="no delivery 77"):
        await store.replay(77)
    with pytest.raises(UnknownDelivery, match="no delivery 77"):
        await store.delivery(77)


async def test_L4_by_endpoint_and_state_newest_first(store: SqliteStore) -> None:
    await settled(store, "parked", SPENT)
    await settled(store, "delivered", Delivered())
    await store.finish((await claim_one(store, "pending")).held, DONE, [HOOK, OTHER_HOOK])

    async def found(endpoint: str | None, state: DeliveryState | None) -> list[tuple[str, str]]:
        page = await store.find_deliveries(endpoint=endpoint, state=state, limit=9, cursor=None)
        return [(each.workload_id, each.endpoint) for each in page.deliveries]

    pending = [("pending", "other"), ("pending", "hook")]
    assert await found(None, None) == [*pending, ("delivered", "hook"), ("parked", "hook")]
    assert await found("hook", None) == [("pending", "hook"), ("delivered", "hook"), ("parked", "hook")]
    assert await found(None, DeliveryState.PENDING) == pending
    for state in DeliveryState:
        assert await found("hook", state) == [(state.value, "hook")]


async def test_L4_the_cursor_neither_skips_nor_repeats(store: SqliteStore) -> None:
    for number in range(5):
        await settled(store, f"w{number}", Delivered())
    seen, cursor = [], None
    while True:
        page = await store.find_deliveries(endpoint=HOOK.key, state=None, limit=2, cursor=cursor)
        seen += [each.workload_id for each in page.deliveries]
        await settled(store, f"later{len(seen)}", Delivered())
        if (cursor := page.cursor) is None:
            break
    assert seen == ["w4", "w3", "w2", "w1", "w0"]
