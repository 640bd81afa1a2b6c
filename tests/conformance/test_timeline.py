"""G7: whoever sets the time of day changes nothing about what is due when, about leases, or about what is erased."""

from __future__ import annotations

import pytest

from ringback.core.clock import HandWound
from ringback.core.delivery import AttemptClass, Delivered, TryAgain
from ringback.core.workload import Spent, Status
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, LEASE_SECONDS, SqliteBackend, attempt, claim_one, submission, take_one

HOUR = 3_600.0
WEEK = 7 * 86_400.0

steps = pytest.mark.parametrize("step", [-HOUR, HOUR, -40 * 365 * 86_400.0, 90 * 365 * 86_400.0])


@steps
async def test_G7_a_retry_comes_at_its_time(backend: SqliteBackend, store: SqliteStore, step: float) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    await store.record(await take_one(store), attempt(1, store, AttemptClass.RESET), TryAgain(wait_seconds=300))
    backend.clock.set(step)
    assert await store.take_due(HOOK.key, 1, again=True) == ([], 300)
    [record] = await store.deliveries(API, "w1")
    assert record.due_at == backend.clock.now() + 300_000_000  # told in the time of day as it is now
    backend.clock.wind(300)
    assert (await take_one(store)).tries == 1


@steps
async def test_G7_a_delayed_workload_comes_at_its_time(backend: SqliteBackend, store: SqliteStore, step: float) -> None:
    await store.requeue((await claim_one(store, "w1")).held, spent=Spent.ATTEMPT, delay_seconds=60)
    backend.clock.set(step)
    assert await store.claim(API, 1) == ([], 60)
    backend.clock.wind(60)
    assert (await claim_one(store)).held.attempt == 2


@steps
async def test_G7_a_lease_lasts_as_long_as_it_lasts(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore, step: float
) -> None:
    await claim_one(store, "w1")
    backend.clock.set(step)
    assert await other.take_over([API], 10) == []
    late = await backend.open()  # joins after the time of day was set
    backend.clock.wind(LEASE_SECONDS - 1)
    await store.heartbeat()
    await late.heartbeat()
    backend.clock.wind(1)
    assert await late.take_over([API], 10) == []
    backend.clock.wind(LEASE_SECONDS - 1)
    await late.heartbeat()
    assert [taken.held.id for taken in await late.take_over([API], 10)] == ["w1"]


async def test_G7_a_time_set_forward_erases_nothing_early(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    await store.record(await take_one(store), attempt(1, store), Delivered())
    backend.clock.set(2 * WEEK)
    assert await store.erase_expired({API: WEEK}, 10) == 0
    backend.clock.wind(WEEK)
    assert await store.erase_expired({API: WEEK}, 10) == 1


@pytest.mark.parametrize("step", [0.0, -WEEK, HOUR])
async def test_G7_after_a_restart_of_the_machine_nothing_freezes(backend: SqliteBackend, step: float) -> None:
    """What is due later never moves further away, even if the time of day came back wrong."""
    store = await backend.open()
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    await store.record(await take_one(store), attempt(1, store, AttemptClass.RESET), TryAgain(wait_seconds=600))
    await store.submit(submission(workload_id="w2"))
    await store.heartbeat()
    await backend.leave(store)
    backend.clock.restart("second boot", 60)
    backend.clock.set(step)

    again = await backend.open()
    assert (await again.get(API, "w2")).status is Status.IN_QUEUE
    assert (await claim_one(again)).held.id == "w2"
    backend.clock.wind(600)
    assert (await take_one(again)).tries == 1


async def test_G7_members_of_one_boot_share_the_timeline_whenever_they_join(backend: SqliteBackend) -> None:
    early = await backend.open()
    backend.clock.set(HOUR)
    late = await backend.open()
    assert late._session.steady() == early._session.steady()
    other_boot = await backend.open(clock=HandWound(at=backend.clock.at, epoch="another boot"))
    assert other_boot._session.steady() >= early._session.steady()
