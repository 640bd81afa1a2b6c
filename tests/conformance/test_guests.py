"""F7, F8, K1: endpoints that came with a submit are told of its end like those of the file; large results as links."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from ringback.core.errors import LinkRefused
from ringback.core.links import KEY_BYTES, check_link
from ringback.core.spec import Event, guest_endpoint
from ringback.core.workload import Completed, Failed, Submission
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, claim_one, take_one

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


# ── Large results ───────────────────────────────────────────────────────────────────────────────

SMALL = replace(HOOK, inline_limit_bytes=10)


async def test_F8_a_result_over_the_limit_goes_as_a_link_that_holds_as_long_as_the_webhook_may_take(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    large = Completed(result=b'"' + b"x" * 20 + b'"')
    patient = replace(SMALL, key="patient", retry_seconds=(40 * 86_400,))
    await store.finish(
        (await claim_one(store, "w1")).held, large, [SMALL, patient, replace(OTHER_HOOK, inline_limit_bytes=22)]
    )
    linked, inline = [json.loads((await take_one(store, key)).body) for key in (HOOK.key, OTHER_HOOK.key)]
    assert inline["result"] == "x" * 20
    assert list(linked) == ["id", "status", "result_url", "timestamp"]

    url = urlsplit(linked["result_url"])
    query = dict(parse_qsl(url.query))
    assert url.path == f"/-/results/{API}/w1"
    check_link(url.path, query, store.link_key, backend.clock.now())
    backend.clock.wind(sum(HOOK.retry_seconds))
    check_link(url.path, query, store.link_key, backend.clock.now())
    backend.clock.wind(30 * 86_400)
    with pytest.raises(LinkRefused, match="expired"):
        check_link(url.path, query, store.link_key, backend.clock.now())

    url = urlsplit(json.loads((await take_one(store, patient.key)).body)["result_url"])
    query = dict(parse_qsl(url.query))
    backend.clock.wind(40 * 86_400 - sum(HOOK.retry_seconds) - 30 * 86_400)
    check_link(url.path, query, store.link_key, backend.clock.now())
    backend.clock.wind(86_400)
    with pytest.raises(LinkRefused, match="expired"):
        check_link(url.path, query, store.link_key, backend.clock.now())


async def test_K1_all_members_sign_links_alike(backend: SqliteBackend, store: SqliteStore, other: SqliteStore) -> None:
    assert len(store.link_key) == KEY_BYTES
    assert other.link_key == store.link_key
    key = store.link_key
    await backend.leave(store)
    await backend.leave(other)
    assert (await backend.open()).link_key == key
