"""The contract, section by section: members, leases, taking over."""

from __future__ import annotations

import pytest

from ringback.core.delivery import AttemptClass, TryAgain
from ringback.core.errors import LeaseLost, StoreError
from ringback.core.roles import Role
from ringback.core.workload import Status
from ringback.store.contract import NOTICE_SECONDS, About, Part
from support.stores import (
    API,
    DONE,
    HOOK,
    LEASE_SECONDS,
    SqliteBackend,
    attempt,
    claim_one,
    submission,
    take_one,
)
from support.waiting import eventually


async def test_M1_a_heartbeat_renews_the_lease_from_now(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await claim_one(store, "a")
    backend.clock.wind(LEASE_SECONDS - 1)
    await store.heartbeat()
    await other.heartbeat()
    backend.clock.wind(LEASE_SECONDS - 1)
    await other.heartbeat()
    assert await other.take_over([API], 10) == []
    backend.clock.wind(1)
    assert [taken.held.id for taken in await other.take_over([API], 10)] == ["a"]


async def test_M2_a_member_declared_dead_is_told(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    backend.clock.wind(LEASE_SECONDS - 1)
    await other.heartbeat()
    backend.clock.wind(1)
    await other.take_over([API], 10)
    with pytest.raises(LeaseLost):
        await store.heartbeat()


async def test_M3_a_lease_ends_at_its_end_and_not_a_microsecond_before(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await claim_one(store, "a")
    backend.clock.wind(LEASE_SECONDS - 0.000_001)
    await other.heartbeat()
    assert await other.take_over([API], 10) == []
    backend.clock.wind(0.000_001)
    assert len(await other.take_over([API], 10)) == 1


async def test_M4_workloads_of_the_dead_come_in_portions_under_a_higher_attempt(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    for name in ("a", "b", "c"):
        await claim_one(store, name)
    await claim_one(store, "elsewhere", api="rose")
    backend.crash(store)
    first = await other.take_over([API], 2)
    rest = await other.take_over([API], 2)
    assert (len(first), len(rest)) == (2, 1)
    assert {taken.held.id for taken in first + rest} == {"a", "b", "c"}
    assert {taken.held.attempt for taken in first + rest} == {2}
    assert [taken.held.id for taken in await other.take_over(["rose"], 2)] == ["elsewhere"]


async def test_M4_so_many_of_all_apis_together(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    for api in (API, "rose"):
        for name in ("a", "b"):
            await claim_one(store, name, api)
    backend.crash(store)
    assert [len(await other.take_over([API, "rose"], 3)) for _ in range(2)] == [3, 1]


async def test_M5_deliveries_of_the_dead_become_due_with_their_attempts(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await store.finish((await claim_one(store, "a")).held, DONE, [HOOK])
    failed = attempt(1, store, AttemptClass.RESET)
    await store.record(await take_one(store), failed, TryAgain(wait_seconds=0))
    await take_one(store)
    backend.crash(store)
    await other.take_over([API], 10)
    assert (await take_one(other)).tries == 1
    assert (await other.deliveries(API, "a"))[0].attempts == (failed,)


async def test_M6_work_of_a_killed_member_is_taken_without_waiting(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await claim_one(store, "a")
    assert await other.take_over([API], 10) == []
    backend.crash(store)
    assert [taken.held.id for taken in await other.take_over([API], 10)] == ["a"]


async def test_M7_closing_commits_what_is_under_way_and_refuses_what_follows(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    written = store.submit(submission(workload_id="a"))
    await store.close()
    assert (await written).created
    await store.close()
    with pytest.raises(StoreError):
        await store.submit(submission(workload_id="b"))
    assert (await other.get(API, "a")).status is Status.IN_QUEUE


async def test_M8_a_member_knows_when_others_may_have_taken_over(backend: SqliteBackend) -> None:
    store = await backend.open()
    assert store.holds_lease
    backend.clock.wind(LEASE_SECONDS - 1)
    await store.heartbeat()
    backend.clock.wind(LEASE_SECONDS - 0.000_001)
    assert store.holds_lease
    backend.clock.wind(0.000_001)
    assert not store.holds_lease
    await store.heartbeat()
    assert store.holds_lease


async def test_M9_who_lives_is_known_by_role(backend: SqliteBackend) -> None:
    first = await backend.open(part=Part(roles=frozenset({Role.GATEWAY, Role.DISPATCHER})))
    assert first.roster(Role.GATEWAY) == first.roster(Role.DISPATCHER) == (first.member,)
    assert first.roster(Role.WORKER) == ()
    changes: list[tuple[str, ...]] = []
    first.on_roster(lambda: changes.append(first.roster(Role.DISPATCHER)))
    backend.clock.wind(1)  # ids are made in the order of time
    second = await backend.open(part=Part(roles=frozenset({Role.DISPATCHER})))
    backend.clock.wind(1)
    third = await backend.open()
    assert third.roster(Role.DISPATCHER) == (first.member, second.member, third.member)
    await eventually(lambda: len(first.roster(Role.DISPATCHER)) == 3, within=NOTICE_SECONDS)
    assert first.roster(Role.WORKER) == (third.member,)

    await backend.leave(second)
    await eventually(lambda: first.roster(Role.DISPATCHER) == (first.member, third.member), within=NOTICE_SECONDS)
    backend.crash(third)
    await first.take_over([API], 1)
    assert first.roster(Role.DISPATCHER) == (first.member,)
    assert changes[-1] == (first.member,)
    assert first.roles == {Role.GATEWAY, Role.DISPATCHER}


async def test_M10_what_a_member_tells_of_itself_is_known_to_the_others(backend: SqliteBackend) -> None:
    first = await backend.open(part=Part(roles=frozenset({Role.GATEWAY})))
    backend.clock.wind(1)
    second, silent = await backend.open(), await backend.open()
    changes: list[int] = []
    first.on_roster(lambda: changes.append(len(first.fellows())))
    await first.introduce(About(server="one", apis={"iris": "1"}))
    await second.introduce(About(server="two", apis={"iris": "2"}))
    await second.introduce(About(server="two", apis={"iris": "1", "rose": "é\x00"}))
    told = About(server="two", apis={"iris": "1", "rose": "é\x00"})
    await eventually(lambda: [each.about for each in first.fellows()] == [told], within=NOTICE_SECONDS)
    await eventually(
        lambda: [each.member for each in silent.fellows()] == [first.member, second.member], within=NOTICE_SECONDS
    )
    assert first.fellows()[0].roles == second.roles
    assert changes[-1] == 1

    await backend.leave(second)
    await eventually(lambda: first.fellows() == [], within=NOTICE_SECONDS)


async def test_M10_one_that_joins_knows_at_once_who_was_there(backend: SqliteBackend) -> None:
    first = await backend.open()
    await first.introduce(About(server="one", apis={}))
    second = await backend.open()
    assert [each.about.server for each in second.fellows()] == ["one"]
