"""E: retention erases what is over, keeps what is not, and remembers for a while that it did."""

from __future__ import annotations

import pytest

from ringback.core.delivery import AttemptClass, Delivered, Park
from ringback.core.errors import Erased, IdTaken, UnknownWorkload
from ringback.core.workload import Spent
from ringback.store.contract import MARKER_SECONDS
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, attempt, claim_one, rows_of, submission, take_one

WEEK = 7 * 86_400.0


async def finished(store: SqliteStore, workload_id: str, *, delivered: bool = True) -> None:
    await store.finish((await claim_one(store, workload_id)).held, DONE, [HOOK])
    if delivered:
        await store.record(await take_one(store), attempt(1, store), Delivered())


async def test_E1_everything_of_it_is_gone(backend: SqliteBackend, store: SqliteStore) -> None:
    await finished(store, "w1")
    backend.clock.wind(WEEK)
    assert await store.erase_expired({API: WEEK}, 10) == 1

    with pytest.raises(Erased):
        await store.get(API, "w1")
    assert await store.deliveries(API, "w1") == ()
    assert await store.erase_expired({API: WEEK}, 10) == 0
    [row] = await rows_of(store, "SELECT payload, headers, result, error_message FROM workloads")
    assert row == (b"", b"", None, None)
    assert await rows_of(store, "SELECT count(*) FROM attempts") == [(0,)]


async def test_E1_the_time_is_the_apis_own(backend: SqliteBackend, store: SqliteStore) -> None:
    await finished(store, "w1")
    backend.clock.wind(WEEK)

    assert await store.erase_expired({"another": 0.0}, 10) == 0
    assert await store.erase_expired({API: WEEK + 1}, 10) == 0
    assert (await store.get(API, "w1")).result == DONE.result


async def test_E1_at_most_so_many_at_once(backend: SqliteBackend, store: SqliteStore) -> None:
    for number in range(5):
        await finished(store, f"w{number}")
    backend.clock.wind(WEEK)
    assert [await store.erase_expired({API: WEEK}, 2) for _ in range(4)] == [2, 2, 1, 0]


async def test_E1_at_most_so_many_of_all_apis(backend: SqliteBackend, store: SqliteStore) -> None:
    for api in (API, "rose"):
        for number in range(2):
            await store.finish((await claim_one(store, f"w{number}", api)).held, DONE, [])
    backend.clock.wind(WEEK)
    assert [await store.erase_expired({API: WEEK, "rose": WEEK}, 3) for _ in range(2)] == [3, 1]


async def test_E2_what_is_unfinished_is_kept(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="waiting"))
    await store.requeue((await claim_one(store)).held, spent=Spent.ATTEMPT, delay_seconds=1.0)
    await claim_one(store, "running")
    backend.clock.wind(10 * WEEK)

    assert await store.erase_expired({API: 0.0}, 10) == 0


async def test_E2_a_pending_or_parked_delivery_keeps_its_workload(backend: SqliteBackend, store: SqliteStore) -> None:
    await finished(store, "pending", delivered=False)
    backend.clock.wind(10 * WEEK)
    assert await store.erase_expired({API: WEEK}, 10) == 0

    await store.record(await take_one(store), attempt(1, store, AttemptClass.STATUS), Park(reason="gone"))
    backend.clock.wind(10 * WEEK)
    assert await store.erase_expired({API: WEEK}, 10) == 0
    assert (await store.get(API, "pending")).result == DONE.result


async def test_E3_retention_counts_from_the_last_outcome(backend: SqliteBackend, store: SqliteStore) -> None:
    await finished(store, "w1", delivered=False)
    backend.clock.wind(WEEK)
    await store.record(await take_one(store), attempt(1, store), Delivered())
    backend.clock.wind(WEEK - 1)
    assert await store.erase_expired({API: WEEK}, 10) == 0

    backend.clock.wind(1)
    assert await store.erase_expired({API: WEEK}, 10) == 1


async def test_E4_the_marker_goes_in_the_end(backend: SqliteBackend, store: SqliteStore) -> None:
    await finished(store, "w1")
    await store.erase_expired({API: 0.0}, 10)
    backend.clock.wind(MARKER_SECONDS - 1)
    await store.erase_expired({}, 10)
    with pytest.raises(Erased):
        await store.get(API, "w1")

    backend.clock.wind(1)
    await store.erase_expired({}, 10)
    with pytest.raises(UnknownWorkload):
        await store.get(API, "w1")


async def test_an_erased_id_still_stands_for_its_payload(store: SqliteStore) -> None:
    await finished(store, "w1")
    await store.erase_expired({API: 0.0}, 10)

    accepted = await store.submit(submission(workload_id="w1"))
    assert (accepted.id, accepted.created) == ("w1", False)
    with pytest.raises(IdTaken):
        await store.submit(submission(workload_id="w1", payload=b"[]"))
