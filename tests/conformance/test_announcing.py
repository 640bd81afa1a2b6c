"""A and P3: what is told of a workload on its way to an outcome."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ringback.core.errors import LeaseLost
from ringback.core.spec import BodyFormat, Event, guest_endpoint
from ringback.core.workload import Canceled, Completed, Output, Progress, Spent, Started, Status, Submission
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, claim_one, take_one

EVERYTHING = replace(HOOK, events=frozenset(Event))
OUTCOMES_ONLY = OTHER_HOOK
GUEST = guest_endpoint("http://hooks.example/a", frozenset({Event.STARTED, Event.COMPLETED}))
HALF = Progress(fraction=0.5, message="halfway")


async def events_of(store: SqliteStore, workload_id: str = "w1") -> list[tuple[str, Event, int]]:
    return [(each.endpoint, each.event, each.sequence) for each in await store.deliveries(API, workload_id)]


async def test_A1_those_who_asked_are_told_and_no_others(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.announce(held, Started(), [EVERYTHING, OUTCOMES_ONLY])
    await store.announce(held, Output(index=0, value=b'{"part": 1}'), [EVERYTHING, OUTCOMES_ONLY])

    assert await events_of(store) == [(HOOK.key, Event.STARTED, 1), (HOOK.key, Event.OUTPUT, 2)]
    assert [json.loads((await take_one(store)).body).get("output") for _ in range(2)] == [None, {"part": 1}]
    assert (await store.get(API, "w1")).status is Status.IN_PROGRESS


async def test_A1_guests_are_told_as_well(store: SqliteStore) -> None:
    await store.submit(Submission(api=API, id="w1", payload=b"{}", content_type="application/json", webhooks=(GUEST,)))
    held = (await claim_one(store)).held
    await store.announce(held, Started(), [])
    await store.announce(held, Output(index=0, value=b"1"), [])
    await store.finish(held, DONE, [])
    assert [event for _, event, _ in await events_of(store)] == [Event.STARTED, Event.COMPLETED]


async def test_A1_its_delivery_carries_the_format_it_was_written_in(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.finish(held, DONE, [replace(HOOK, format=BodyFormat.CLOUDEVENTS), OTHER_HOOK])
    assert (await take_one(store)).format is BodyFormat.CLOUDEVENTS
    assert (await take_one(store, OTHER_HOOK.key)).format is BodyFormat.CORTEX


async def test_A1_an_output_over_the_limit_is_told_without_its_value(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.announce(held, Output(index=0, value=b'"0123456789"'), [replace(EVERYTHING, inline_limit_bytes=8)])
    body = json.loads((await take_one(store)).body)
    assert (body["output"], body["output_bytes"]) == (None, 12)


async def test_A2_nothing_is_told_after_the_end(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.finish(held, DONE, [EVERYTHING])
    with pytest.raises(LeaseLost):
        await store.announce(held, Started(), [EVERYTHING])
    with pytest.raises(LeaseLost):
        await store.progress(held, HALF, tell=[EVERYTHING])
    assert [event for _, event, _ in await events_of(store)] == [Event.COMPLETED]


async def test_A3_numbers_grow_over_attempts_and_the_outcomes_is_the_highest(backend: SqliteBackend) -> None:
    first, second = await backend.open(), await backend.open()
    held = (await claim_one(first, "w1")).held
    await first.announce(held, Started(), [EVERYTHING])
    await first.announce(held, Output(index=0, value=b"1"), [])  # counted, though nobody wanted it
    await first.requeue(held, spent=Spent.NOTHING)

    again = (await claim_one(second)).held
    await second.announce(again, Started(), [EVERYTHING])
    await second.progress(again, HALF, tell=[EVERYTHING])
    await second.finish(again, Completed(result=b"1"), [EVERYTHING, OUTCOMES_ONLY])

    assert await events_of(second) == [
        (HOOK.key, Event.STARTED, 1),
        (HOOK.key, Event.STARTED, 3),
        (HOOK.key, Event.PROGRESS, 4),
        (HOOK.key, Event.COMPLETED, 5),
        (OTHER_HOOK.key, Event.COMPLETED, 5),
    ]
    assert [(await take_one(second)).sequence for _ in range(4)] == [1, 3, 4, 5]


async def test_A4_a_holder_hears_what_guests_want_to_know_on_the_way(store: SqliteStore, other: SqliteStore) -> None:
    await store.submit(Submission(api=API, id="w1", payload=b"{}", content_type="application/json", webhooks=(GUEST,)))
    assert (await claim_one(store)).asked == {Event.STARTED}
    assert (await claim_one(store, "w2")).asked == frozenset()
    await store.close()
    taken = {each.held.id: each.asked for each in await other.take_over([API], 9)}
    assert taken == {"w1": {Event.STARTED}, "w2": frozenset()}


async def test_P3_progress_is_told_with_its_note_or_not_at_all(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.progress(held, Progress(fraction=0.1))
    assert await events_of(store) == []
    await store.progress(held, HALF, tell=[EVERYTHING, OUTCOMES_ONLY])
    assert await events_of(store) == [(HOOK.key, Event.PROGRESS, 1)]
    assert json.loads((await take_one(store)).body)["progress"] == {"fraction": 0.5, "message": "halfway"}
    assert (await store.get(API, "w1")).progress == HALF


async def test_F1_an_end_by_cancelling_is_told_to_those_who_asked(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.finish(held, Canceled(), [EVERYTHING, OUTCOMES_ONLY])
    assert (await store.get(API, "w1")).status is Status.CANCELED
    assert await events_of(store) == [(HOOK.key, Event.CANCELED, 1)]
    await store.finish(held, Canceled(), [EVERYTHING])
    assert await store.finish(held, DONE, [EVERYTHING]) is Status.CANCELED
    assert len(await events_of(store)) == 1
