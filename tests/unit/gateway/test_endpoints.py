"""Endpoints over HTTP: listed, registered, changed, rotated, removed, put to rest and tried out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ringback import public_key
from ringback.core.delivery import Attempt, AttemptClass, Delivered, Delivery, Park, Verdict
from ringback.core.jwks import jwks
from ringback.core.netguard import Guard, Trust
from ringback.core.spec import BodyFormat, Event, Order, guest_endpoint
from ringback.core.workload import Completed, Failed
from ringback.gateway import Gateway, Rules
from ringback.gateway.registering import NEW_KEYS
from ringback.store.sqlite import SqliteStore
from support.asgi import Answer, Caller
from support.signed import OTHER, SECRET, SIGNING_KEY
from support.stores import claim_one
from unit.gateway.conftest import IRIS, Facts
from unit.gateway.conftest import OTHER as OTHER_API

URL = "https://93.184.216.34/hook"
DAY = 86_400
SPENT = Park(reason="all 10 attempts failed; the last one answered 500")


async def sent(call: Caller, method: str, path: str, body: Any = None) -> Answer:
    raw = b"" if body is None else json.dumps(body).encode()
    return await call(method, path, raw, {"content-type": "application/json"})


async def registered(call: Caller, **keys: Any) -> dict[str, Any]:
    answer = await sent(call, "POST", "/-/endpoints", {"url": URL, **keys})
    assert answer.status == 201, answer.body
    told: dict[str, Any] = answer.json()
    return told


async def shown(call: Caller, key: str) -> dict[str, Any]:
    told: dict[str, Any] = (await call("GET", f"/-/endpoints/{key}")).json()
    return told


async def take(store: SqliteStore, key: str) -> Delivery:
    async with asyncio.timeout(5):
        while not (taken := (await store.take_due(key, 1, again=False))[0]):
            pass
    return taken[0]


def made(store: SqliteStore, outcome: AttemptClass = AttemptClass.STATUS) -> Attempt:
    return Attempt(number=1, started_at=store.clock.now(), duration_us=1_500, outcome=outcome, status=500)


async def rung(store: SqliteStore, workload_id: str, verdict: Verdict | None) -> None:
    await store.finish((await claim_one(store, workload_id)).held, Completed(result=b"1"), IRIS.webhooks)
    delivery = await take(store, "iris")
    if verdict is None:
        await store.release([delivery])
    else:
        await store.record(delivery, made(store), verdict)


# ── Seen ────────────────────────────────────────────────────────────────────────────────────────


async def test_an_endpoint_is_shown_with_what_waits_for_it(call: Caller, store: SqliteStore) -> None:
    await rung(store, "w1", SPENT)
    await rung(store, "w2", None)
    store.clock.wind(90)  # type: ignore[attr-defined]
    [told] = (await call("GET", "/-/endpoints")).json()["endpoints"]
    assert told == {
        "endpoint": "iris",
        "origin": "file",
        "api": "iris",
        "apis": ["iris"],
        "url": "http://127.0.0.1:1/",
        "events": ["batch.completed", "completed", "failed"],
        "format": "cortex",
        "headers": [],
        "timeout": "15s",
        "retry": ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d"],
        "concurrency": 8,
        "rate_limit": None,
        "inline_limit": "256KiB",
        "order": "none",
        "signed": False,
        "keys": [],
        "created_at": None,
        "state": "active",
        "reason": None,
        "since": None,
        "pending": 1,
        "parked": 1,
        "oldest_seconds": 90.0,
    }
    assert await shown(call, "iris") == told


async def test_one_that_is_left_alone_because_it_fails_is_shown_so(call: Caller, store: SqliteStore) -> None:
    assert await store.take_lane("iris") is not None
    await store.note_tripped("iris", is_tripped=True)
    told = await shown(call, "iris")
    assert (told["state"], told["reason"]) == (
        "tripped",
        "it fails; one request at a time finds out whether it works again",
    )
    [listed] = (await call("GET", "/-/endpoints")).json()["endpoints"]
    assert listed["state"] == "tripped"
    at_rest = (await sent(call, "POST", "/-/endpoints/iris/disable")).json()
    assert (at_rest["state"], at_rest["reason"]) == ("disabled", "disabled by hand"), "nothing is sent, no probe either"
    assert (await sent(call, "POST", "/-/endpoints/iris/enable")).json()["state"] == "tripped"
    await store.note_tripped("iris", is_tripped=False)
    assert (await shown(call, "iris"))["state"] == "active"
    document = (await call("GET", "/openapi.json")).json()
    assert "tripped" in document["components"]["schemas"]["Endpoint"]["properties"]["state"]["enum"]


async def test_one_that_has_gone_from_the_file_is_listed_as_long_as_something_waits_for_it(
    call: Caller, store: SqliteStore
) -> None:
    gone = replace(IRIS.webhooks[0], key="iris/2")
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), [gone])
    listed = (await call("GET", "/-/endpoints")).json()["endpoints"]
    assert [each["endpoint"] for each in listed] == ["iris", "iris/2"]
    told = listed[1]
    assert (told["origin"], told["state"], told["pending"]) == ("file", "removed", 1)
    assert told["reason"] == "not in this server's file; what is pending waits for it to be back"
    assert await shown(call, "iris/2") == told
    assert (await sent(call, "POST", "/-/endpoints/iris/2/enable")).problem == "unknown_endpoint"


async def test_one_that_nobody_has_named_is_told_where_all_are(call: Caller) -> None:
    assert (await call("GET", "/-/endpoints/none")).json()["detail"].endswith("those of the file are iris")
    await registered(call)
    detail = (await call("GET", "/-/endpoints/ep_none")).json()["detail"]
    assert detail.endswith("those of the file are iris; GET /-/endpoints has the registered ones")


async def test_an_endpoint_is_put_to_rest_and_resumed(call: Caller, store: SqliteStore) -> None:
    told = (await sent(call, "POST", "/-/endpoints/iris/disable")).json()
    assert (told["state"], told["reason"]) == ("disabled", "disabled by hand")
    assert store.paused("iris") is not None
    assert (await sent(call, "POST", "/-/endpoints/iris/test")).problem == "invalid_parameter"
    assert (await sent(call, "POST", "/-/endpoints/iris/enable")).json()["state"] == "active"
    assert store.paused("iris") is None


# ── Registered ──────────────────────────────────────────────────────────────────────────────────


async def test_one_is_registered_with_everything_the_file_can_say(call: Caller, store: SqliteStore) -> None:
    wanted = {
        "url": "https://93.184.216.34:8443/a?b=c",
        "api": "other",
        "events": ["failed", "started"],
        "format": "cloudevents-binary",
        "headers": {"Authorization": "Bearer abc", "X-Tenant": "7"},
        "timeout": "2.5s",
        "retry": ["1s", 5, "1m"],
        "concurrency": 3,
        "rate_limit": "30/m",
        "inline_limit": "1KiB",
        "order": "fifo",
        "secret": SECRET,
    }
    answer = await sent(call, "POST", "/-/endpoints", wanted)
    told = answer.json()
    assert answer.status == 201
    assert answer.headers["location"] == f"/-/endpoints/{told['endpoint']}"
    assert answer.headers["cache-control"] == "no-store"
    others = {"url", "secret", "headers", "retry"}
    assert {key: told[key] for key in wanted.keys() - others} == {
        key: value for key, value in wanted.items() if key not in others
    }
    assert told["url"] == "https://93.184.216.34:8443/a?b=…", "of a query only the names are shown"
    [registration] = store.registrations()
    assert registration.endpoint.url == wanted["url"]
    assert (told["retry"], told["headers"], told["secret"]) == (
        ["1s", "5s", "1m"],
        ["Authorization", "X-Tenant"],
        SECRET,
    )
    registration = store.registered(told["endpoint"])
    assert registration is not None
    endpoint = registration.endpoint
    assert (endpoint.trust, endpoint.format, endpoint.order) == (
        Trust.GUEST,
        BodyFormat.CLOUDEVENTS_BINARY,
        Order.FIFO,
    )
    assert endpoint.headers == wanted["headers"]
    assert (endpoint.retry_seconds, endpoint.rate_per_second, endpoint.inline_limit_bytes) == ((1, 5, 60), 0.5, 1_024)
    assert endpoint.events == {Event.STARTED, Event.FAILED}


async def test_a_secret_is_made_if_none_is_given_and_shown_this_once(call: Caller, facts: Facts) -> None:
    told = await registered(call)
    secret = told.pop("secret")
    assert secret.startswith("whsec_")
    assert await shown(call, told["endpoint"]) == told
    everything = (await call("GET", "/-/endpoints")).body + repr(facts.seen).encode()
    assert secret.encode() not in everything
    assert told["keys"] == [{"signature": "v1", "public_key": None, "signs_until": None}]
    assert facts.of("endpoint.registered") == [{"endpoint": told["endpoint"], "host": "93.184.216.34"}]


async def test_of_a_key_pair_only_the_public_half_is_ever_shown(call: Caller, store: SqliteStore) -> None:
    told = await registered(call, signature="v1a")
    [key] = told["keys"]
    registration = store.registered(told["endpoint"])
    assert registration is not None
    assert registration.endpoint.secret is not None
    assert key == {
        "signature": "v1a",
        "public_key": public_key(registration.endpoint.secret),
        "signs_until": None,
    }
    assert "secret" not in told
    assert registration.endpoint.secret not in json.dumps(told)


@pytest.mark.parametrize(
    ("api", "names"),
    [
        (None, ["*"]),
        ("*", ["*"]),
        (["iris", "*"], ["*"]),
        ("iris", ["iris"]),
        (["other", "iris"], ["iris", "other"]),
    ],
)
async def test_it_is_told_of_one_api_or_several_or_all(
    api: Any, names: list[str], call: Caller, store: SqliteStore
) -> None:
    told = await registered(call, api=api)
    assert told["apis"] == names
    assert told["api"] == (names[0] if len(names) == 1 and names != ["*"] else None)
    for each in (IRIS, OTHER_API):
        await store.finish((await claim_one(store, "w", each.name)).held, Completed(result=b"1"), [])
        is_told = names == ["*"] or each.name in names
        assert [record.endpoint for record in await store.deliveries(each.name, "w")] == [told["endpoint"]] * is_told


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"url": None}, "the key url is missing"),
        ({"url": 7}, "the key url: expected a text"),
        ({"api": "rose"}, "there is no API 'rose'; served are iris, other"),
        ({"api": []}, "the key api: expected a list of texts"),
        ({"api": [1]}, "the key api: expected a list of texts"),
        ({"events": []}, "the key events: expected a list of texts"),
        ({"events": ["born"]}, "the key events: 'born' is none of started"),
        ({"format": "xml"}, "the key format: 'xml' is none of cortex"),
        ({"format": 1}, "the key format: expected a text"),
        ({"headers": ["a"]}, "the key headers: expected an object of texts"),
        ({"headers": {"a": 1}}, "the key headers: expected an object of texts"),
        ({"headers": {"Host": "a"}}, "the header Host is Ringback's own"),
        ({"headers": {"Webhook-Id": "a"}}, "the header Webhook-Id is Ringback's own"),
        ({"headers": {"a": "b\r\nc: d"}}, "has a character that no header can carry"),
        ({"headers": {"a b": "c"}}, "'a b' is no header name"),
        ({"headers": {"ce-id": "c"}, "format": "cloudevents-binary"}, "the header ce-id is Ringback's own"),
        ({"headers": {f"a{n}": "c" for n in range(33)}}, "32 headers of 8192 characters"),
        ({"headers": {"a": "c" * 8_192}}, "32 headers of 8192 characters"),
        ({"timeout": "soon"}, "the key timeout: 'soon' is no duration"),
        ({"timeout": 0}, "the key timeout: expected 1ms to 900s, found 0s"),
        ({"timeout": "1h"}, "the key timeout: expected 1ms to 900s, found 3600s"),
        ({"timeout": True}, "the key timeout: expected a text with a unit"),
        ({"retry": "5s"}, "the key retry: expected a list of durations"),
        ({"retry": ["5x"]}, "the key retry: '5x' is no duration"),
        ({"retry": [1] * 101}, "the key retry: expected a list of durations, 100 at most"),
        ({"concurrency": 0}, "the key concurrency: expected a whole number from 1 to 1000"),
        ({"concurrency": True}, "the key concurrency: expected a whole number from 1 to 1000"),
        ({"rate_limit": "fast"}, "the key rate_limit: 'fast' is no rate"),
        ({"rate_limit": 5}, "the key rate_limit: expected a text"),
        ({"inline_limit": "big"}, "the key inline_limit: 'big' is no size"),
        ({"order": "lifo"}, "the key order: 'lifo' is none of none, fifo"),
        ({"secret": 1}, "the key secret: expected a text"),
        ({"secret": ""}, "the key secret: expected a text, found an empty one"),
        ({"secret": SECRET, "signature": "v1a"}, "the key signature: v1a is not how the given secret signs"),
        ({"secret": SIGNING_KEY, "signature": "v1"}, "the key signature: v1 is not how the given secret signs"),
        ({"secret": "abc"}, "the key secret: the secret does not start with whsec_"),
        ({"signature": "v2"}, "the key signature: expected v1 or v1a"),
        ({"name": "x"}, "the key 'name' is not known here; known are api, concurrency"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_key(keys: dict[str, Any], words: str, call: Caller) -> None:
    answer = await sent(call, "POST", "/-/endpoints", {"url": URL, **keys})
    assert (answer.status, answer.problem) == (400, "invalid_payload")
    assert words in answer.json()["detail"]
    assert len((await call("GET", "/-/endpoints")).json()["endpoints"]) == 1


async def test_a_malformed_secret_is_not_repeated(call: Caller) -> None:
    answer = await sent(call, "POST", "/-/endpoints", {"url": URL, "secret": "whsec_0123456789abcdef-"})
    assert answer.problem == "invalid_payload"
    assert b"0123456789abcdef" not in answer.body


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:8080/", "the key url: 127.0.0.1 is loopback: a URL that is not in the file leads to"),
        ("http://localhost/", "which is loopback"),
        ("http://169.254.169.254/latest", "link-local: no webhook is ever sent there"),
        ("http://2130706433/", "neither a name nor an address written in the usual way"),
        ("https://user:pw@example.com/", "names a user"),
        ("ftp://example.com/", "the key url: 'ftp://example.com/' is no webhook URL"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_forbidden_target_is_refused_with_reason_and_cure(
    method: str, url: str, words: str, call: Caller
) -> None:
    path = "/-/endpoints" if method == "POST" else f"/-/endpoints/{(await registered(call))['endpoint']}"
    answer = await sent(call, method, path, {"url": url})
    assert (answer.status, answer.problem) == (422, "forbidden_target")
    assert words in answer.json()["detail"]


async def test_what_the_operator_allows_may_be_registered(store: SqliteStore, facts: Facts) -> None:
    async def metrics() -> bytes:
        return b""

    rules = Rules(max_body_bytes=1_000, guard=Guard(["127.0.0.0/8"]))
    call = Caller(Gateway(store, [IRIS], facts, rules=rules, metrics=metrics))
    assert (await sent(call, "POST", "/-/endpoints", {"url": "http://127.0.0.1:9/"})).status == 201


# ── Changed ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_change_touches_what_it_names_and_null_is_the_default(call: Caller, facts: Facts) -> None:
    told = await registered(call, api="iris", timeout="3s", concurrency=2, headers={"X-A": "1"})
    key = told["endpoint"]
    changed = (await sent(call, "PATCH", f"/-/endpoints/{key}", {"timeout": None, "events": "failed"})).json()
    expected = {**told, "timeout": "15s", "events": ["failed"]}
    del expected["secret"]
    assert changed == expected
    moved = await sent(call, "PATCH", f"/-/endpoints/{key}", {"url": "https://93.184.216.35/", "api": None})
    assert (moved.json()["url"], moved.json()["apis"]) == ("https://93.184.216.35/", ["*"])
    assert facts.of("endpoint.changed") == [
        {"endpoint": key, "keys": "events,timeout"},
        {"endpoint": key, "keys": "api,url"},
    ]


async def test_a_change_that_cannot_be_has_changed_nothing(call: Caller) -> None:
    told = await registered(call)
    del told["secret"]
    path = f"/-/endpoints/{told['endpoint']}"
    for body in ({"timeout": "3s", "order": "lifo"}, {"secret": OTHER}, {"signature": "v1"}, {"url": None}, []):
        assert (await sent(call, "PATCH", path, body)).problem == "invalid_payload"
    assert await shown(call, told["endpoint"]) == told


# ── Rotated ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_rotation_shows_the_new_secret_once_and_until_when_the_old_one_signs(
    call: Caller, store: SqliteStore, facts: Facts
) -> None:
    told = await registered(call, secret=SECRET)
    answer = await sent(call, "POST", f"/-/endpoints/{told['endpoint']}/rotate")
    rotated = answer.json()
    fresh = rotated.pop("secret")
    assert fresh.startswith("whsec_")
    assert fresh != SECRET
    assert answer.headers["cache-control"] == "no-store"
    assert rotated["keys"] == [
        {"signature": "v1", "public_key": None, "signs_until": None},
        {"signature": "v1", "public_key": None, "signs_until": "2023-11-15T22:13:20.000000+00:00"},
    ]
    assert await shown(call, told["endpoint"]) == rotated
    store.clock.wind(DAY)  # type: ignore[attr-defined]
    assert (await shown(call, told["endpoint"]))["keys"] == rotated["keys"][:1]
    assert fresh not in repr(facts.seen)


async def test_a_rotation_takes_a_secret_and_an_overlap_of_ones_own(call: Caller, store: SqliteStore) -> None:
    key = (await registered(call, secret=SECRET))["endpoint"]
    rotated = await sent(call, "POST", f"/-/endpoints/{key}/rotate", {"secret": OTHER, "overlap": "0s"})
    assert rotated.json()["secret"] == OTHER
    assert len(rotated.json()["keys"]) == 1
    registration = store.registered(key)
    assert registration is not None
    assert (registration.endpoint.secret, registration.endpoint.former) == (OTHER, ())


async def test_the_key_set_has_registered_keys_and_replaced_ones_as_long_as_they_sign(
    call: Caller, store: SqliteStore
) -> None:
    async def keys() -> Any:
        return (await call("GET", "/.well-known/ringback/jwks.json")).json()

    assert await keys() == {"keys": []}
    key = (await registered(call, secret=SIGNING_KEY))["endpoint"]
    await registered(call, secret=SECRET)
    first = public_key(SIGNING_KEY)
    assert await keys() == jwks([first])
    rotated = (await sent(call, "POST", f"/-/endpoints/{key}/rotate")).json()
    second = rotated["keys"][0]["public_key"]
    assert "secret" not in rotated
    assert second not in {first, None}
    assert await keys() == jwks([second, first])
    store.clock.wind(DAY - 1)  # type: ignore[attr-defined]
    assert await keys() == jwks([second, first])
    store.clock.wind(1)  # type: ignore[attr-defined]
    assert await keys() == jwks([second])
    await sent(call, "DELETE", f"/-/endpoints/{key}")
    assert await keys() == {"keys": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"secret": SECRET}, "signs for the endpoint already"),
        ({"secret": "whpk_x"}, "the key secret: the secret is a public key"),
        ({"overlap": "8d"}, "the key overlap: expected 0s to 7d"),
        ({"overlap": "long"}, "the key overlap: 'long' is no duration"),
        ({"now": True}, "the key 'now' is not known here"),
    ],
)
async def test_a_rotation_that_cannot_be_is_refused(body: dict[str, Any], words: str, call: Caller) -> None:
    key = (await registered(call, secret=SECRET))["endpoint"]
    answer = await sent(call, "POST", f"/-/endpoints/{key}/rotate", body)
    assert answer.problem == "invalid_payload"
    assert words in answer.json()["detail"]


async def test_an_eleventh_key_at_a_time_is_refused(call: Caller) -> None:
    key = (await registered(call))["endpoint"]
    statuses = [(await sent(call, "POST", f"/-/endpoints/{key}/rotate")).status for _ in range(10)]
    assert statuses == [200] * 9 + [409]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/-/endpoints/iris/rotate", "put the new secret in front of the old one there"),
        ("PATCH", "/-/endpoints/iris", "change it there and have the server read it again"),
        ("DELETE", "/-/endpoints/iris", "take it out there and have the server read it again"),
        ("POST", "/-/endpoints/guest:https://a.example/rotate", "nothing is signed for it"),
        ("PATCH", "/-/endpoints/guest:https://a.example/", "came with a request"),
        ("DELETE", "/-/endpoints/guest:https://a.example/", "came with a request"),
    ],
)
async def test_one_that_was_named_elsewhere_says_what_to_do_instead(
    method: str, path: str, words: str, call: Caller
) -> None:
    answer = await sent(call, method, path, {})
    assert (answer.status, answer.problem) == (409, "conflict")
    assert words in answer.json()["detail"]


# ── Removed ─────────────────────────────────────────────────────────────────────────────────────


async def test_one_that_is_removed_keeps_what_has_not_arrived_and_says_why(call: Caller, store: SqliteStore) -> None:
    key = (await registered(call))["endpoint"]
    for name in ("w1", "w2"):
        await store.finish((await claim_one(store, name)).held, Failed(type="E", message="m"), [])
    removed = (await sent(call, "DELETE", f"/-/endpoints/{key}")).json()
    assert (removed["state"], removed["pending"], removed["parked"]) == ("removed", 0, 2)
    assert removed["since"] == "2023-11-14T22:13:20.000000+00:00"
    assert await shown(call, key) == removed
    assert (await call("GET", "/-/endpoints")).json()["endpoints"][1:] == [removed]

    listed = (await call("GET", f"/-/deliveries?endpoint={key}")).json()["deliveries"]
    assert [each["reason"] for each in listed] == ["the endpoint was removed before this arrived"] * 2
    replayed = await sent(call, "POST", f"/-/deliveries/{listed[0]['id']}/replay")
    assert replayed.problem == "conflict"
    assert "was removed" in replayed.json()["detail"]
    for method, path in (("POST", "rotate"), ("POST", "test"), ("POST", "enable")):
        assert (await sent(call, method, f"/-/endpoints/{key}/{path}")).problem == "unknown_endpoint"
    assert (await sent(call, "PATCH", f"/-/endpoints/{key}", {})).problem == "unknown_endpoint"

    again = (await sent(call, "DELETE", f"/-/endpoints/{key}?undelivered=erase")).json()
    assert (again["state"], again["parked"]) == ("removed", 0)
    assert (await call("GET", f"/-/deliveries?endpoint={key}")).json()["deliveries"] == []
    assert len((await call("GET", "/-/endpoints")).json()["endpoints"]) == 1


async def test_what_becomes_of_the_undelivered_is_one_of_two_things(call: Caller) -> None:
    key = (await registered(call))["endpoint"]
    assert (await sent(call, "DELETE", f"/-/endpoints/{key}?undelivered=lose")).problem == "invalid_parameter"
    assert (await sent(call, "DELETE", f"/-/endpoints/{key}?undelivered=erase")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/-/endpoints/rose"),
        ("PATCH", "/-/endpoints/ep_1"),
        ("DELETE", "/-/endpoints/ep_1"),
        ("POST", "/-/endpoints/rose/disable"),
        ("POST", "/-/endpoints/rose/test"),
        ("POST", "/-/endpoints/ep_1/rotate"),
    ],
)
async def test_an_unknown_one_is_a_404(method: str, path: str, call: Caller) -> None:
    answer = await sent(call, method, path, {})
    assert (answer.status, answer.problem) == (404, "unknown_endpoint")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/-/endpoints/iris/enable"),
        ("GET", "/-/endpoints/iris/rotate"),
        ("PUT", "/-/endpoints/iris"),
        ("DELETE", "/-/endpoints"),
    ],
)
async def test_another_method_is_a_405(method: str, path: str, call: Caller) -> None:
    assert (await sent(call, method, path, {})).problem == "method_not_allowed"


# ── Tried out ───────────────────────────────────────────────────────────────────────────────────


async def test_a_trial_goes_the_way_of_all_webhooks_and_tells_what_came_of_it(call: Caller, store: SqliteStore) -> None:
    trying = asyncio.ensure_future(sent(call, "POST", "/-/endpoints/iris/test"))
    delivery = await take(store, "iris")
    assert delivery.is_trial
    assert json.loads(delivery.body)["result"] == {"ringback": "this only tries the endpoint out"}
    await store.record(delivery, made(store, AttemptClass.OK), Delivered())
    told = (await trying).json()["delivery"]
    assert (told["state"], told["attempts"][0]["outcome"]) == ("delivered", "ok")
    assert (await call("GET", f"/-/deliveries?api=-&id={told['workload']}")).json()["deliveries"] == [told]


async def test_each_trial_goes_to_its_own_endpoint_whatever_it_asks_for_and_to_no_other(
    call: Caller, store: SqliteStore
) -> None:
    one = (await registered(call, events=["failed"]))["endpoint"]
    two = (await registered(call))["endpoint"]
    guest = guest_endpoint("https://93.184.216.36/").key
    keys = (one, two, guest)
    trying = [asyncio.ensure_future(sent(call, "POST", f"/-/endpoints/{key}/test")) for key in keys]
    for key in keys:
        await store.record(await take(store, key), made(store, AttemptClass.OK), Delivered())
    told = [each.json() for each in await asyncio.gather(*trying)]
    assert [(each["endpoint"], each["delivery"]["endpoint"]) for each in told] == [(key, key) for key in keys]
    assert [(await store.take_due(key, 9, again=False))[0] for key in keys] == [[], [], []]


# ── Described ───────────────────────────────────────────────────────────────────────────────────


async def test_the_description_knows_what_may_be_said_and_what_is_told(call: Caller) -> None:
    document = (await call("GET", "/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert set(schemas["EndpointWanted"]["properties"]) == NEW_KEYS
    told = await registered(call)
    assert set(schemas["Endpoint"]["properties"]) == set(told)
    rotate = document["paths"]["/-/endpoints/{key}/rotate"]["post"]["requestBody"]["content"]["application/json"]
    assert set(rotate["schema"]["properties"]) == {"secret", "signature", "overlap"}
    for path, method in (("/-/endpoints", "post"), ("/-/endpoints/{key}", "patch"), ("/-/endpoints/{key}", "delete")):
        assert method in document["paths"][path]
