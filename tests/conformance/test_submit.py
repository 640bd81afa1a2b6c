"""The contract, section by section: submit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.core.errors import IdTaken, QueueFull
from ringback.core.workload import Status
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    DONE,
    claim_one,
    submission,
)


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


async def test_W5_two_apis_may_use_the_same_id(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="a"))
    assert (await store.submit(submission(workload_id="a", api="rose", payload=b"[]"))).created
