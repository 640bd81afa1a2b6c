"""I9 to I14: what rows say of blobs, and which of them nobody needs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ringback.core.blob import COMMIT_SECONDS, STRAY_SECONDS, Blob, PayloadDigest, named_at
from ringback.core.delivery import Delivered
from ringback.core.errors import BlobTooOld, Erased, IdTaken, LeaseLost
from ringback.core.workload import Completed, Failed, Spent, Submission
from ringback.store.sqlite import SqliteStore
from support.stores import API, HOOK, SqliteBackend, attempt, claim_one, submission, take_one

PAYLOAD = b'"' + b"x" * 5_000 + b'"'


def blob_of(store: SqliteStore, size: int = len(PAYLOAD), content_type: str = "application/json") -> Blob:
    return Blob(key=store.name_blob(), size_bytes=size, content_type=content_type)


def large(store: SqliteStore, workload_id: str | None = None, *, payload: bytes = PAYLOAD) -> Submission:
    digest = PayloadDigest("application/json", payload).value()
    return replace(submission(workload_id=workload_id, payload=b""), blob=blob_of(store, len(payload)), digest=digest)


async def ended(store: SqliteStore, workload_id: str = "w1") -> tuple[Blob, Blob]:
    """A workload whose payload and result are blobs, its webhook delivered; both blobs."""
    taken = large(store, workload_id)
    await store.submit(taken)
    result = blob_of(store, content_type="video/mp4")
    await store.finish((await claim_one(store)).held, Completed(blob=result), [HOOK])
    await store.record(await take_one(store), attempt(1, store), Delivered())
    assert taken.blob is not None
    return taken.blob, result


# ── Together with their rows ────────────────────────────────────────────────────────────────────────


async def test_I9_whoever_claims_a_workload_is_told_of_its_payload(store: SqliteStore) -> None:
    taken = large(store, "large")
    await store.submit(taken)
    await store.submit(submission(workload_id="small"))

    first, second = (await store.claim(API, 10))[0]

    assert (first.held.id, first.blob, first.payload) == ("large", taken.blob, b"")
    assert (second.held.id, second.blob, second.payload) == ("small", None, b"{}")
    await store.requeue(first.held, spent=Spent.ATTEMPT)
    assert (await claim_one(store)).blob == taken.blob


async def test_I9_whoever_takes_it_over_too(backend: SqliteBackend, store: SqliteStore, other: SqliteStore) -> None:
    taken = large(other)
    await other.submit(taken)
    await claim_one(other)
    backend.crash(other)

    [claimed] = await store.take_over([API], 10)

    assert claimed.blob == taken.blob


async def test_I9_a_result_is_told_of_where_it_is(store: SqliteStore, other: SqliteStore) -> None:
    _, result = await ended(store)

    for member in (store, other):
        for workload in (await member.get(API, "w1"), await member.ended(API, "w1", 0.0)):
            assert (workload.result, workload.blob) == (None, result)


async def test_I9_a_description_tells_their_sizes(store: SqliteStore) -> None:
    payload, result = await ended(store)

    told = await store.describe(API, "w1")

    assert (told.payload_bytes, told.result_bytes) == (payload.size_bytes, result.size_bytes)


async def test_I9_a_large_payload_with_a_small_result_and_the_other_way_round(store: SqliteStore) -> None:
    await store.submit(large(store, "in"))
    await store.finish((await claim_one(store)).held, Completed(result=b"1"), [])
    await store.submit(large(store, "failed"))
    await store.finish((await claim_one(store)).held, Failed(type="E", message="no"), [])
    result = blob_of(store)
    await store.finish((await claim_one(store, "out")).held, Completed(blob=result), [])

    told = {name: await store.get(API, name) for name in ("in", "failed", "out")}
    assert {name: (each.result, each.blob) for name, each in told.items()} == {
        "in": (b"1", None),
        "failed": (None, None),
        "out": (None, result),
    }


async def test_I9_a_submit_is_known_again_by_its_digest(store: SqliteStore) -> None:
    first = large(store, "w1")
    await store.submit(first)

    assert (await store.submit(large(store, "w1"))).created is False
    assert (await store.submit(submission(workload_id="w1", payload=PAYLOAD))).created is False
    with pytest.raises(IdTaken):
        await store.submit(large(store, "w1", payload=b"[]"))
    [claimed], _ = await store.claim(API, 10)
    assert claimed.blob == first.blob


async def test_I9_one_without_an_id_too(store: SqliteStore) -> None:
    accepted = await store.submit(large(store))
    small = await store.submit(submission(payload=PAYLOAD))

    assert (await store.submit(large(store, accepted.id))).created is False
    assert (await store.submit(submission(workload_id=accepted.id, payload=PAYLOAD))).created is False
    assert (await store.submit(large(store, small.id))).created is False
    with pytest.raises(IdTaken):
        await store.submit(submission(workload_id=accepted.id))


async def test_I9_a_late_holder_attaches_nothing(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.requeue(held, spent=Spent.NOTHING)

    with pytest.raises(LeaseLost):
        await store.finish(held, Completed(blob=blob_of(store)), [])
    assert await store.strays([]) == []
    assert (await store.get(API, "w1")).blob is None


async def test_I9_the_same_finish_again_is_accepted_another_is_not(store: SqliteStore) -> None:
    held, outcome = (await claim_one(store, "w1")).held, Completed(blob=blob_of(store))
    await store.finish(held, outcome, [])

    await store.finish(held, outcome, [])
    for other_outcome in (Completed(blob=blob_of(store)), Completed(result=b"1"), Completed()):
        with pytest.raises(LeaseLost):
            await store.finish(held, other_outcome, [])
    assert (await store.get(API, "w1")).blob == outcome.blob


async def test_I9_a_webhook_links_to_a_result_that_is_a_blob(store: SqliteStore) -> None:
    small = blob_of(store, 3, "image/png")
    await store.finish((await claim_one(store, "w1")).held, Completed(blob=small), [HOOK])

    body = (await take_one(store)).body

    assert b'"result_url":' in body
    assert b'"result":' not in body


# ── Names and ages ──────────────────────────────────────────────────────────────────────────────────


async def test_I10_a_blob_that_may_be_swept_is_refused(backend: SqliteBackend, store: SqliteStore) -> None:
    held, old, result = (await claim_one(store, "w1")).held, large(store, "w2"), blob_of(store)
    backend.clock.wind(COMMIT_SECONDS)
    young = large(store, "w3")
    await store.submit(replace(old, id="just in time"))
    backend.clock.wind(0.001)

    with pytest.raises(BlobTooOld):
        await store.submit(old)
    with pytest.raises(BlobTooOld):
        await store.finish(held, Completed(blob=result), [])
    await store.submit(young)
    await store.finish(held, Completed(blob=blob_of(store)), [])


async def test_I10_a_name_that_is_none_is_refused(store: SqliteStore) -> None:
    with pytest.raises(BlobTooOld):
        await store.submit(replace(large(store), blob=Blob(key="mine", size_bytes=1)))


async def test_I11_one_room_for_every_member_and_another_for_another_store(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    room = store.blob_space
    assert room == other.blob_space
    assert len(room) == 16

    await backend.leave(store)
    await backend.leave(other)
    assert (await backend.open()).blob_space == room
    elsewhere = backend.elsewhere()
    assert (await elsewhere.open()).blob_space != room
    await elsewhere.close()
    await asyncio.to_thread(elsewhere.remove)


async def test_I12_names_are_unique_and_tell_when(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    names = [member.name_blob() for member in (store, other) for _ in range(100)]
    backend.clock.wind(5.0)
    later = other.name_blob()

    assert len({*names, later}) == 201
    assert named_at(later) == (named_at(names[0]) or 0) + 5_000_000


# ── Swept ───────────────────────────────────────────────────────────────────────────────────────────


async def test_I13_a_stray_is_old_and_nobodys(backend: SqliteBackend, store: SqliteStore, other: SqliteStore) -> None:
    payload, result = await ended(store)
    stray = store.name_blob()
    backend.clock.wind(STRAY_SECONDS)
    assert await store.strays([stray]) == []

    backend.clock.wind(0.001)
    young = store.name_blob()
    keys = [payload.key, result.key, stray, young, "README"]
    assert await store.strays(keys) == await other.strays(keys) == [stray]


async def test_I13_the_time_of_day_has_no_say(backend: SqliteBackend, store: SqliteStore) -> None:
    stray = store.name_blob()
    backend.clock.set(10 * STRAY_SECONDS)
    assert await store.strays([stray]) == []

    backend.clock.set(-20 * STRAY_SECONDS)
    backend.clock.wind(STRAY_SECONDS + 1)
    assert await store.strays([stray]) == [stray]


async def test_I13_a_restart_of_the_machine_makes_nothing_older_or_younger(backend: SqliteBackend) -> None:
    store = await backend.open()
    stray = store.name_blob()
    await store.heartbeat()
    await backend.leave(store)
    backend.clock.restart("second boot", 60.0)

    again = await backend.open()
    assert await again.strays([stray]) == []
    backend.clock.wind(STRAY_SECONDS)
    assert await again.strays([stray]) == [stray]


async def test_I14_blobs_of_erased_workloads_are_told_of_until_forgotten(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    mine, kept = await ended(store, "w1"), await ended(store, "w2")
    assert await store.doomed(10) == []
    backend.clock.wind(100.0)
    await ended(store, "w3")
    await store.erase_expired({API: 50.0}, 1)

    doomed = await other.doomed(10)
    assert set(doomed) == {each.key for each in mine}
    assert await other.doomed(1) == doomed[:1]
    await other.forget(doomed[:1])
    await store.forget(doomed[:1])
    await store.forget([kept[0].key])  # not doomed, so not forgotten
    assert await store.doomed(10) == doomed[1:]
    with pytest.raises(Erased):
        await store.get(API, "w1")
    assert (await store.get(API, "w2")).blob == kept[1]


async def test_I14_a_blob_is_doomed_before_it_can_be_a_stray(backend: SqliteBackend, store: SqliteStore) -> None:
    mine = await ended(store)
    backend.clock.wind(2 * STRAY_SECONDS)
    await store.erase_expired({API: 0.0}, 10)

    keys = [each.key for each in mine]
    assert await store.strays(keys) == []
    await store.forget(keys)
    assert await store.strays(keys) == keys
