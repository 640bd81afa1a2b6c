"""O: deliveries that wait for each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from ringback.core.delivery import AttemptClass, Delivered, Delivery, DeliveryState, Park, TryAgain, Verdict
from ringback.core.errors import Conflict, UnknownDelivery
from ringback.core.spec import Event, Order
from ringback.core.workload import Started, Submission
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, attempt, claim_one, take_one

FIFO = replace(HOOK, order=Order.FIFO, events=frozenset(Event))
SPENT = Park(reason="all attempts failed")


async def ended(store: SqliteStore, *names: str, key: str | None = "k") -> None:
    """Workloads of one order key, each ended in its turn."""
    for name in names:
        await store.submit(Submission(api=API, id=name, payload=b"{}", content_type="application/json", order_key=key))
        await store.finish((await claim_one(store)).held, DONE, [FIFO])


async def due(store: SqliteStore) -> list[Delivery]:
    return [each for again in (False, True) for each in (await store.take_due(HOOK.key, 99, again=again))[0]]


async def names(store: SqliteStore) -> list[str]:
    return [each.workload_id for each in await due(store)]


async def record(store: SqliteStore, delivery: Delivery, verdict: Verdict) -> None:
    outcome = AttemptClass.OK if isinstance(verdict, Delivered) else AttemptClass.RESET
    await store.record(delivery, attempt(delivery.tries + 1, store, outcome), verdict)


async def test_O1_one_at_a_time_in_the_order_of_their_ends(store: SqliteStore, other: SqliteStore) -> None:
    await ended(store, "a", "b", "c")
    for expected in "abc":
        [taken] = await due(store)
        assert taken.workload_id == expected
        assert await names(other) == []
        await record(store, taken, Delivered())


async def test_O1_a_workload_without_a_key_keeps_its_own_events_in_order(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    await store.announce(held, Started(), [FIFO])
    await store.finish(held, DONE, [FIFO])
    await ended(store, "b", key=None)
    taken = await due(store)
    assert [(each.workload_id, each.event) for each in taken] == [("a", Event.STARTED), ("b", Event.COMPLETED)]
    await record(store, taken[0], Delivered())
    assert [each.event for each in await due(store)] == [Event.COMPLETED]


async def test_O2_one_that_failed_or_is_parked_holds_up_its_own_key_alone(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await ended(store, "a", "b")
    await ended(store, "x", key="other")
    first, apart = await due(store)
    assert (first.workload_id, apart.workload_id) == ("a", "x")
    await record(store, first, TryAgain(wait_seconds=60))
    assert await names(store) == []
    backend.clock.wind(60)
    [again] = await due(store)
    await record(store, again, SPENT)
    assert await names(store) == []

    head, behind = (*await store.deliveries(API, "a"), *await store.deliveries(API, "b"))
    assert (head.state, head.holds_up, head.behind) == (DeliveryState.PARKED, 1, None)
    assert (behind.state, behind.behind, behind.due_at) == (DeliveryState.PENDING, head.seq, None)
    page = await store.find_deliveries(endpoint=HOOK.key, state=DeliveryState.PARKED, limit=9, cursor=None)
    assert [(each.seq, each.holds_up) for each in page.deliveries] == [(head.seq, 1)]


async def test_O2_those_behind_do_not_wake_anyone_in_vain(store: SqliteStore) -> None:
    await ended(store, "a", "b")
    [first] = await due(store)
    await record(store, first, SPENT)
    assert await store.take_due(HOOK.key, 9, again=False) == ([], None)


async def test_O2_also_when_a_member_dies_with_the_first_in_its_hands(backend: SqliteBackend) -> None:
    dying, living = await backend.open(), await backend.open()
    await ended(dying, "a", "b")
    await take_one(dying)
    backend.crash(dying)
    await living.take_over([API], 9)
    [first] = await due(living)
    assert first.workload_id == "a"


async def test_O3_the_next_is_due_when_a_replayed_head_has_arrived(store: SqliteStore) -> None:
    await ended(store, "a", "b", "c")
    [head] = await due(store)
    await record(store, head, SPENT)
    await store.replay(head.seq)
    [again] = await due(store)
    assert again.workload_id == "a"
    await record(store, again, Delivered())
    assert await names(store) == ["b"]


async def test_O3_also_when_somebody_who_had_lost_it_has_brought_it(backend: SqliteBackend, store: SqliteStore) -> None:
    other = await backend.open()
    await ended(store, "a", "b")
    [head] = await due(store)
    await store.release([head])
    await other.take_due(HOOK.key, 9, again=False)
    await record(store, head, Delivered())
    assert await names(other) == ["b"]


async def test_O3_whoever_waits_for_it_is_woken(store: SqliteStore) -> None:
    woken: list[None] = []
    await ended(store, "a", "b")
    [head] = await due(store)
    store.on_due(HOOK.key, lambda: woken.append(None))
    await record(store, head, Delivered())
    assert woken


@dataclass
class Hands:
    """An outlet with endless room."""

    taken: list[str] = field(default_factory=list)

    def has_room(self, endpoint: str) -> bool:
        return True

    def put(self, delivery: Delivery) -> None:
        self.taken.append(delivery.workload_id)


async def test_O1_what_must_wait_is_not_handed_on_in_memory(store: SqliteStore) -> None:
    hands = Hands()
    store.hand_on(hands)
    await ended(store, "a", "b")
    await ended(store, "x", key="other")
    assert hands.taken == ["a", "x"]


async def test_Y2_one_that_waits_for_another_waits_on_when_replayed(store: SqliteStore) -> None:
    await ended(store, "a", "b")
    [head] = await due(store)
    [behind] = await store.deliveries(API, "b")
    await store.replay(behind.seq)
    assert await names(store) == []
    await record(store, head, Delivered())
    assert await names(store) == ["b"]


async def test_O4_a_parked_head_can_be_left_aside(store: SqliteStore) -> None:
    await ended(store, "a", "b", "c")
    [head] = await due(store)
    await record(store, head, SPENT)
    await store.skip(head.seq)
    assert await names(store) == ["b"]
    aside = await store.delivery(head.seq)
    assert (aside.state, aside.holds_up) == (DeliveryState.PARKED, 0)
    await store.replay(head.seq)
    assert await names(store) == ["a"]


async def test_O4_only_a_parked_one(store: SqliteStore) -> None:
    await ended(store, "a")
    [head] = await due(store)
    with pytest.raises(Conflict, match="pending"):
        await store.skip(head.seq)
    with pytest.raises(UnknownDelivery):
        await store.skip(999)
