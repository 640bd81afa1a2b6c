"""The contract, section by section: requeue."""

from __future__ import annotations

import pytest

from ringback.core.errors import LeaseLost
from ringback.core.workload import Spent, Status
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    SqliteBackend,
    claim_one,
    submission,
)


async def test_R1_it_is_queued_again_and_shows_what_was_spent(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    for spent, counts in ((Spent.NOTHING, (0, 0)), (Spent.ATTEMPT, (1, 0)), (Spent.LOSS, (1, 1))):
        await store.requeue(held, spent=spent)
        assert (await store.get(API, "a")).status is Status.IN_QUEUE
        again = await claim_one(store)
        assert (again.raised, again.losses) == counts
        held = again.held


async def test_R2_an_old_holder_cannot_requeue(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    await store.requeue(held, spent=Spent.NOTHING)
    await claim_one(store)
    with pytest.raises(LeaseLost):
        await store.requeue(held, spent=Spent.LOSS)
    assert (await store.get(API, "a")).status is Status.IN_PROGRESS


async def test_R3_without_delay_it_keeps_its_place(backend: SqliteBackend, store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    backend.clock.wind(5)
    await store.submit(submission(workload_id="b"))
    await store.requeue(held, spent=Spent.NOTHING)
    assert (await claim_one(store)).held.id == "a"
