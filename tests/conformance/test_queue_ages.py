"""QA: how old a queue is."""

from __future__ import annotations

from ringback.core.workload import Spent
from ringback.store.sqlite import SqliteStore
from support.stores import API, SqliteBackend, claim_one, submission


async def test_QA1_a_queue_is_as_old_as_what_has_been_due_in_it_for_longest(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    assert await store.queue_ages() == {}
    await store.submit(submission(workload_id="w1"))
    backend.clock.wind(5)
    await store.submit(submission(workload_id="w2"))
    await other.submit(submission(workload_id="w3", api="another"))
    backend.clock.wind(2)
    assert await store.queue_ages() == {API: 7.0, "another": 2.0}

    held = (await claim_one(store)).held
    assert await store.queue_ages() == {API: 2.0, "another": 2.0}

    await store.requeue(held, spent=Spent.ATTEMPT, delay_seconds=60)
    await claim_one(store)
    assert await store.queue_ages() == {"another": 2.0}
    backend.clock.wind(61)
    assert await store.queue_ages() == {API: 1.0, "another": 63.0}
