"""`Ringback-Webhook`: webhooks that come with a submit, refused before anything is taken in."""

from __future__ import annotations

import pytest

from ringback.core.clock import after
from ringback.core.links import signed_link
from ringback.core.netguard import Guard
from ringback.core.spec import Event, guest_endpoint
from ringback.core.workload import Completed
from ringback.gateway import Gateway, Rules
from ringback.store.sqlite import SqliteStore
from support.asgi import Answer, Caller
from support.stores import claim_one
from unit.gateway.conftest import IRIS, Facts

URL = "http://1.1.1.1/hook"


async def submitted(call: Caller, *headers: tuple[str, str]) -> Answer:
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return await call("POST", "/iris", b"{}", [(b"content-type", b"application/json"), *pairs])


def guests_of(store: SqliteStore) -> list[bytes | None]:
    return [row for (row,) in store._session._reader.execute("SELECT webhooks FROM workloads ORDER BY seq")]


async def test_each_url_becomes_an_endpoint_once(call: Caller, store: SqliteStore) -> None:
    answer = await submitted(
        call,
        ("Ringback-Webhook", URL),
        ("Ringback-Webhook", "HTTP://1.1.1.1:80/hook"),
        ("Ringback-Webhook", "https://8.8.8.8/a,b"),
        ("Ringback-Webhook-Events", "failed, completed"),
    )
    assert answer.status == 200
    assert guests_of(store) == [
        b'[["http://1.1.1.1/hook", ["completed", "failed"]], ["https://8.8.8.8/a,b", ["completed", "failed"]]]'
    ]
    assert guest_endpoint(URL).events == {Event.COMPLETED, Event.FAILED, Event.BATCH_COMPLETED}


async def test_without_any_nothing_is_kept(call: Caller, store: SqliteStore) -> None:
    assert (await submitted(call)).status == 200
    assert guests_of(store) == [None]


@pytest.mark.parametrize(
    ("header", "value", "status", "words"),
    [
        ("Ringback-Webhook", "http://10.0.0.1/", 422, "10.0.0.1 is private"),
        ("Ringback-Webhook", "http://127.0.0.1:8080/", 422, "127.0.0.1 is loopback"),
        ("Ringback-Webhook", "http://169.254.169.254/", 422, "no webhook is ever sent there"),
        ("Ringback-Webhook", "http://[::ffff:169.254.169.254]/", 422, "no webhook is ever sent there"),
        ("Ringback-Webhook", "http://localhost/", 422, "localhost is at"),
        ("Ringback-Webhook", "ftp://1.1.1.1/", 422, "Ringback-Webhook: 'ftp://1.1.1.1/' is no webhook URL; expected"),
        ("Ringback-Webhook", "http://me:pw@1.1.1.1/", 422, "names a user"),
        ("Ringback-Webhook", "", 422, "expected http://host/path"),
        ("Ringback-Webhook-Events", "done", 400, "'done' is none of started"),
        ("Ringback-Webhook-Events", "failed", 400, "and there is none; send both, or leave it out"),
        ("Ringback-Colour", "red", 400, "does not know the header Ringback-Colour"),
    ],
)
async def test_what_no_guest_may_ask_for_is_refused_and_nothing_is_taken_in(
    header: str, value: str, status: int, words: str, call: Caller, store: SqliteStore
) -> None:
    answer = await submitted(call, (header, value))
    assert answer.status == status
    assert words in answer.json()["detail"]
    assert guests_of(store) == []


async def test_more_than_a_few_are_refused(call: Caller) -> None:
    answer = await submitted(call, *[("Ringback-Webhook", f"http://1.1.1.1/{number}") for number in range(6)])
    assert (answer.status, answer.problem) == (400, "invalid_header")


async def test_what_the_operator_allows_is_taken_in(store: SqliteStore) -> None:
    async def metrics() -> bytes:
        return b""

    rules = Rules(max_body_bytes=100, guard=Guard(["127.0.0.0/8"]))
    call = Caller(Gateway(store, [IRIS], Facts(), rules=rules, metrics=metrics))
    assert (await submitted(call, ("Ringback-Webhook", "http://127.0.0.1:9/"))).status == 200
    assert (await submitted(call, ("Ringback-Webhook", "http://10.0.0.1/"))).problem == "forbidden_target"


async def test_a_linked_result_opens_without_an_api_key_and_only_by_its_link(store: SqliteStore) -> None:
    async def metrics() -> bytes:
        return b""

    rules = Rules(max_body_bytes=100, api_keys=frozenset({"secret"}))
    call = Caller(Gateway(store, [IRIS], Facts(), rules=rules, metrics=metrics))
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"[1]"), [])
    link = signed_link("", f"/-/results/{IRIS.name}/w1", store.link_key, after(store.clock.now(), 60))
    answer = await call("GET", link)
    assert (answer.status, answer.body) == (200, b"[1]")
    assert (await call("GET", link.replace("w1", "w2"))).problem == "link_refused"
    assert (await call("GET", f"/-/results/{IRIS.name}/w1")).status == 403
    assert (await call("GET", "/iris/w1")).status == 401
    store.clock.wind(60)  # type: ignore[attr-defined]
    late = await call("GET", link)
    assert (late.problem, "has expired" in late.json()["detail"]) == ("link_refused", True)
