"""F7: endpoints that came with a submit are told of its end, like those the file names."""

from __future__ import annotations

from ringback.core.spec import Event, guest_endpoint
from ringback.core.workload import Failed, Submission
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, claim_one

GUEST = guest_endpoint("http://hooks.example/a")
FAILURES_ONLY = guest_endpoint("http://hooks.example/b", frozenset({Event.FAILED}))


async def submitted(store: SqliteStore, workload_id: str) -> None:
    await store.submit(
        Submission(
            api=API, id=workload_id, payload=b"{}", content_type="application/json", webhooks=(GUEST, FAILURES_ONLY)
        )
    )


async def told(store: SqliteStore, workload_id: str) -> list[tuple[str, str]]:
    return [(each.endpoint, each.url) for each in await store.deliveries(API, workload_id)]


async def test_F7_guests_are_told_beside_the_files_own_each_of_what_it_asked_for(store: SqliteStore) -> None:
    await submitted(store, "w1")
    await store.finish((await claim_one(store)).held, DONE, [HOOK])
    assert await told(store, "w1") == [(HOOK.key, HOOK.url), (GUEST.key, GUEST.url)]

    await submitted(store, "w2")
    await store.finish((await claim_one(store)).held, Failed(type="E", message="m"), [])
    assert await told(store, "w2") == [(GUEST.key, GUEST.url), (FAILURES_ONLY.key, FAILURES_ONLY.url)]


async def test_F7_also_by_another_member_after_a_crash(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await submitted(store, "w1")
    await claim_one(store)
    backend.crash(store)
    [taken] = await other.take_over([API], 1)
    await other.finish(taken.held, DONE, [])
    assert await told(other, "w1") == [(GUEST.key, GUEST.url)]
