"""The contract, section by section: claim."""

from __future__ import annotations

from ringback.core.workload import Spent, Status
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    SqliteBackend,
    claim_one,
    submission,
)


async def test_C1_members_claiming_at_once_share_nothing(store: SqliteStore, other: SqliteStore) -> None:
    for _ in range(20):
        await store.submit(submission())
    claims = [member.claim(API, 5) for _ in range(4) for member in (store, other)]
    ids = [taken.held.id for claim in claims for taken in (await claim)[0]]
    assert len(ids) == len(set(ids)) == 20


async def test_C2_each_hand_over_raises_the_attempt(store: SqliteStore) -> None:
    first = await claim_one(store, "a")
    assert (await store.get(API, "a")).status is Status.IN_PROGRESS
    await store.requeue(first.held, spent=Spent.NOTHING)
    assert (first.held.attempt, (await claim_one(store)).held.attempt) == (1, 2)


async def test_C3_one_whose_time_has_not_come_is_not_taken(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.requeue((await claim_one(store, "a")).held, spent=Spent.NOTHING, delay_seconds=5)
    backend.clock.wind(4.999_999)
    assert await store.claim(API, 1) == ([], 0.000_001)
    backend.clock.wind(0.000_001)
    assert (await claim_one(store)).held.id == "a"


async def test_C4_first_due_first_out_also_under_a_clock_set_back(backend: SqliteBackend, store: SqliteStore) -> None:
    for name in ("c", "a", "b"):
        await store.submit(submission(workload_id=name))
        backend.clock.set(-1)
    assert [taken.held.id for taken in (await store.claim(API, 10))[0]] == ["c", "a", "b"]
