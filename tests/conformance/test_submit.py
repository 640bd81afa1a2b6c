"""The contract, section by section: submit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.core.errors import IdTaken, QueueFull
from ringback.core.queueing import Wish
from ringback.core.workload import Status
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, SqliteBackend, claim_one, submission


async def test_W1_it_is_in_queue_for_every_member_once_awaited(store: SqliteStore, other: SqliteStore) -> None:
    accepted = await store.submit(submission())
    assert accepted.created
    assert (await other.get(API, accepted.id)).status is Status.IN_QUEUE


@pytest.mark.parametrize("name", [{"workload_id": "a"}, {"key": "k"}])
async def test_W2_the_same_again_answers_the_same_also_after_the_end(store: SqliteStore, name: dict[str, str]) -> None:
    first = await store.submit(submission(**name))
    again = await store.submit(submission(**name))
    await store.finish((await claim_one(store)).held, DONE, [])
    late = await store.submit(submission(**name))
    assert [(a.id, a.created) for a in (again, late)] == [(first.id, False)] * 2
    assert (await store.get(API, first.id)).status is Status.COMPLETED


@pytest.mark.parametrize("name", [{"workload_id": "a"}, {"key": "k"}])
async def test_W3_another_payload_under_a_known_name_is_refused(store: SqliteStore, name: dict[str, str]) -> None:
    await store.submit(submission(**name))
    with pytest.raises(IdTaken):
        await store.submit(submission(**name, payload=b"[]"))
    assert (await claim_one(store)).payload == b"{}"


@pytest.mark.parametrize("name", [{"workload_id": "a"}, {"key": "k"}])
async def test_W3_so_is_the_same_payload_as_another_content_type(store: SqliteStore, name: dict[str, str]) -> None:
    await store.submit(submission(**name))
    with pytest.raises(IdTaken):
        await store.submit(replace(submission(**name), content_type="text/plain"))


async def test_W3_a_key_stands_for_one_id(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="a", key="k"))
    assert not (await store.submit(submission(key="k"))).created
    with pytest.raises(IdTaken, match="Idempotency-Key"):
        await store.submit(submission(workload_id="b", key="k"))


async def test_W4_counts_what_other_members_have_taken_in_and_ended(store: SqliteStore, other: SqliteStore) -> None:
    await store.submit(submission(workload_id="a"), limit=2)
    await other.submit(submission(workload_id="b"), limit=2)
    with pytest.raises(QueueFull):
        await store.submit(submission(workload_id="c"), limit=2)
    await other.finish((await claim_one(other)).held, DONE, [])
    assert (await store.submit(submission(workload_id="c"), limit=2)).created


async def test_W4_a_full_api_refuses_but_known_ids_still_answer(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="a"), limit=1)
    with pytest.raises(QueueFull):
        await store.submit(submission(workload_id="b"), limit=1)
    assert not (await store.submit(submission(workload_id="a"), limit=1)).created
    await store.finish((await claim_one(store)).held, DONE, [])
    assert (await store.submit(submission(workload_id="b"), limit=1)).created


@pytest.mark.parametrize("tenant", ["", "navy"])
async def test_W4_when_to_come_again_goes_by_what_all_members_have_ended(
    tenant: str, backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    wish = Wish(tenant=tenant)
    assert await seconds_until_room(store, wish) == 1  # nothing is known
    for number in range(8):
        await other.submit(submission(workload_id=f"w{number}", wish=wish))
    for held in (await other.claim(API, 8))[0]:
        backend.clock.wind(5.0)
        await other.finish(held.held, DONE, [])
    assert 4 <= await seconds_until_room(store, wish) <= 6
    assert 8 <= await seconds_until_room(store, wish) <= 12  # the moment after that one
    backend.clock.wind(15.0)
    assert 7 <= await seconds_until_room(store, wish) <= 9  # half as fast
    backend.clock.wind(31.0)
    assert await seconds_until_room(store, wish) == 60


async def test_W4_what_came_in_a_batch_makes_room_for_nobody_else(backend: SqliteBackend, store: SqliteStore) -> None:
    opened = await store.batches.open(submission())
    await store.batches.stage(opened.seq, 1, [b"{}"] * 5)
    await store.batches.accept(opened.seq, 5, b"digest")
    while await store.batches.pour(opened.seq, 100):
        pass
    for held in (await store.claim(API, 5))[0]:
        await store.finish(held.held, DONE, [])
    assert await seconds_until_room(store, Wish()) == 1
    await store.submit(submission(workload_id="alone"))
    await store.finish((await claim_one(store)).held, DONE, [])
    backend.clock.wind(20.0)
    assert await seconds_until_room(store, Wish()) == 20


async def seconds_until_room(store: SqliteStore, wish: Wish) -> int:
    with pytest.raises(QueueFull) as refused:
        await store.submit(submission(workload_id="one too many", wish=wish), limit=0)
    return refused.value.retry_after_seconds


async def test_W6_it_raises_what_submit_would(store: SqliteStore, other: SqliteStore) -> None:
    await store.expect_room(API, limit=1)
    await other.submit(submission(workload_id="a", key="k"), limit=1)
    with pytest.raises(QueueFull) as early:
        await store.expect_room(API, limit=1)
    with pytest.raises(QueueFull) as late:
        await store.submit(submission(workload_id="b"), limit=1)
    assert str(early.value) == str(late.value)
    with pytest.raises(QueueFull):
        await store.expect_room(API, limit=1, workload_id="b", key="l")
    await store.expect_room(API, limit=2)
    await store.expect_room(API, limit=1, tenant="navy")
    await store.expect_room("rose", limit=1)


async def test_W6_known_ids_and_keys_are_let_through(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="a", key="k"), limit=1)
    await store.expect_room(API, limit=1, workload_id="a")
    await store.expect_room(API, limit=1, key="k")
    with pytest.raises(QueueFull):
        await store.expect_room("rose", limit=0, workload_id="a", key="k")


async def test_W6_keeps_nothing_for_the_caller(store: SqliteStore) -> None:
    await store.expect_room(API, limit=1)
    await store.submit(submission(), limit=1)
    with pytest.raises(QueueFull):
        await store.submit(submission(), limit=1)


async def test_W5_two_apis_may_use_the_same_id(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="a"))
    assert (await store.submit(submission(workload_id="a", api="rose", payload=b"[]"))).created
