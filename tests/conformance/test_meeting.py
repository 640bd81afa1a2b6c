"""S and N: what members tell each other, and being woken in time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ringback.core.clock import HandWound
from ringback.core.delivery import AttemptClass, TryAgain
from ringback.core.workload import Spent
from ringback.store.contract import NOTICE_SECONDS, ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.stores import API, DONE, HOOK, LEASE_SECONDS, SqliteBackend, attempt, claim_one, submission, take_one


async def test_S1_a_report_shows_at_once_here_and_elsewhere_after_a_heartbeat(
    store: SqliteStore, other: SqliteStore
) -> None:
    assert store.replicas(API) == ReplicaState()
    told = store.report(API, ReplicaState(ready=2, starting=1))
    assert store.replicas(API) == ReplicaState(ready=2, starting=1)
    await told

    await other.heartbeat()
    assert other.replicas(API) == ReplicaState(ready=2, starting=1)


async def test_S1_members_reports_add_up(store: SqliteStore, other: SqliteStore) -> None:
    await store.report(API, ReplicaState(ready=2))
    await other.report(API, ReplicaState(ready=1, starting=1, problem="no model"))
    await store.heartbeat()

    assert store.replicas(API) == ReplicaState(ready=3, starting=1, problem="no model")
    await other.report(API, ReplicaState(ready=2))
    await store.heartbeat()
    assert store.replicas(API) == ReplicaState(ready=4)


async def test_S2_a_dead_members_report_counts_no_longer(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await other.report(API, ReplicaState(ready=1))
    await store.heartbeat()
    assert store.replicas(API).ready == 1

    backend.clock.wind(LEASE_SECONDS - 1)
    await store.heartbeat()
    backend.clock.wind(1)
    await store.take_over([API], 1)
    assert store.replicas(API).ready == 0


async def test_S2_nor_one_that_has_left(store: SqliteStore, other: SqliteStore) -> None:
    await other.report(API, ReplicaState(ready=1))
    await other.close()
    await store.heartbeat()
    assert store.replicas(API).ready == 0


async def test_S2_nor_one_that_was_taken_back(store: SqliteStore, other: SqliteStore) -> None:
    await other.report(API, ReplicaState(ready=1))
    await other.report(API, None)
    await store.heartbeat()
    for each in (store, other):
        assert each.replicas(API) == ReplicaState()
        assert each.serving(API) == []


async def test_S3_what_waits_or_runs_is_counted_as_long_as_it_does(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await store.submit(submission(api="another"))
    assert await store.in_flight(API, 10) == 0
    for number in range(4):
        await other.submit(submission(workload_id=f"w{number}"))
    assert await store.in_flight(API, 10) == 4
    first = (await claim_one(store)).held
    assert await store.in_flight(API, 10) == 4
    await store.finish(first, DONE, [])
    assert await store.in_flight(API, 10) == 3
    assert await store.in_flight(API, 2) == 2
    assert await store.in_flight(API, 0) == 0

    later = (await claim_one(store)).held
    await store.requeue(later, spent=Spent.ATTEMPT, delay_seconds=60)
    assert await store.in_flight(API, 10) == 2
    backend.clock.wind(59)
    assert await store.in_flight(API, 10) == 2
    backend.clock.wind(1)
    assert await store.in_flight(API, 10) == 3


async def test_S4_what_was_written_before_the_call_is_counted(store: SqliteStore) -> None:
    submits = [store.submit(submission()) for _ in range(3)]
    assert await store.in_flight(API, 10) == 3
    await asyncio.gather(*submits)

    counts: list[asyncio.Future[int]] = []
    store.on_queued(API, lambda: counts.append(asyncio.ensure_future(store.in_flight(API, 10))))
    await store.submit(submission())
    assert [await each for each in counts] == [4], "a count made on waking sees what it was woken for"


async def test_S5_who_serves_an_api_or_could(backend: SqliteBackend, store: SqliteStore) -> None:
    backend.clock.wind(1)
    other = await backend.open()
    assert store.serving(API) == []
    await other.report(API, ReplicaState(starting=1))
    await store.report(API, ReplicaState())
    await store.heartbeat()
    assert store.serving(API) == [store.member, other.member], "the older member first"

    await other.report(API, ReplicaState(starting=1, problem="no model"))
    await store.heartbeat()
    assert store.serving(API) == [store.member]
    await other.report(API, ReplicaState(ready=1, problem="no model"))
    await store.heartbeat()
    assert store.serving(API) == [store.member, other.member]
    await backend.leave(other)
    await store.heartbeat()
    assert store.serving(API) == [store.member]


async def test_S1_a_report_shows_all_that_was_told(store: SqliteStore, other: SqliteStore) -> None:
    told = ReplicaState(ready=1, starting=2, problem="no model", preparing="its environment")
    await store.report(API, told)
    await other.heartbeat()
    assert other.replicas(API) == told


async def test_N1_a_claim_made_on_waking_shares_the_submits_commit(tmp_path: Path) -> None:
    commits: list[object] = []

    def emit(fact: str, /, **details: object) -> None:
        if fact == "store.committed":
            commits.append(details["writes"])

    store = await open_sqlite(tmp_path / "ringback.db", clock=HandWound(), emit=emit)
    claims: list[asyncio.Future[object]] = []
    store.on_queued(API, lambda: claims.append(asyncio.ensure_future(store.claim(API, 10))))
    commits.clear()
    await store.submit(submission(workload_id="w1"))
    [claim] = claims
    [claimed], _ = await claim  # type: ignore[misc]

    assert claimed.held.id == "w1"
    assert commits == [2]
    await store.close()


async def test_N1_a_requeue_wakes_and_so_does_a_delivery_without_an_outlet(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    queued, due = asyncio.Event(), asyncio.Event()
    store.on_queued(API, queued.set)
    store.on_due(HOOK.key, due.set)
    await store.requeue(held, spent=Spent.NOTHING)
    await asyncio.wait_for(queued.wait(), 5)

    await store.finish((await claim_one(store)).held, DONE, [HOOK])
    await asyncio.wait_for(due.wait(), 5)

    due.clear()
    delivery = await take_one(store)
    failed = attempt(1, store, AttemptClass.STATUS)
    await store.record(delivery, failed, TryAgain(wait_seconds=0))
    await asyncio.wait_for(due.wait(), 5)
    assert (await take_one(store)).tries == 1


async def test_N1_what_other_members_do_is_noticed(store: SqliteStore, other: SqliteStore) -> None:
    queued, due = asyncio.Event(), asyncio.Event()
    store.on_queued(API, queued.set)
    store.on_due(HOOK.key, due.set)
    queued.clear()
    await other.finish((await claim_one(other, "w1")).held, DONE, [HOOK])
    await other.submit(submission())

    async with asyncio.timeout(NOTICE_SECONDS + 5):
        await queued.wait()
        await due.wait()


async def test_S6_what_a_member_has_told_of_its_own(store: SqliteStore, other: SqliteStore) -> None:
    assert store.own_replicas(API) == ReplicaState()
    await other.report(API, ReplicaState(ready=2))
    await store.heartbeat()
    assert not store.own_replicas(API).takes_work

    await store.report(API, ReplicaState(starting=1, problem="no model"))
    assert store.own_replicas(API) == ReplicaState(starting=1, problem="no model")
    await store.report(API, ReplicaState())
    assert store.own_replicas(API).asleep == 1
    await store.report(API, None)
    assert store.own_replicas(API).asleep == 0
