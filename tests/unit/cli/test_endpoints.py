"""`endpoints` against answers written down beforehand."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from support.canned import Canned
from support.signed import SECRET
from unit.cli.conftest import Run
from unit.cli.test_webhooks import WHOLE

ENDPOINT = {
    "endpoint": "iris",
    "api": "iris",
    "url": "http://receiver.test/hook",
    "events": ["completed", "failed"],
    "signed": True,
    "state": "gone",
    "reason": "the receiver answered 410 Gone",
    "since": "2026-01-31T12:00:00+00:00",
    "pending": 3,
    "parked": 1,
    "oldest_seconds": 90.4,
}
ADDED: dict[str, Any] = {
    **ENDPOINT,
    "endpoint": "ep_1",
    "api": None,
    "apis": ["*"],
    "keys": [{"signature": "v1", "public_key": None, "signs_until": None}],
    "secret": SECRET,
}
PAIR: dict[str, Any] = {
    **{key: value for key, value in ADDED.items() if key != "secret"},
    "apis": ["iris", "other"],
    "keys": [
        {"signature": "v1a", "public_key": "whpk_abc", "signs_until": None},
        {"signature": "v1a", "public_key": "whpk_def", "signs_until": "2026-02-01T12:00:00.123456+00:00"},
    ],
}


def test_endpoints_are_listed(server: Canned, run: Run) -> None:
    server.will_say({"endpoints": [ENDPOINT]})
    row = run("endpoints", "list", "--url", server.url).out.splitlines()[1]
    assert row.split(None, 6)[:6] == ["iris", "http://receiver.test/hook", "gone", "3", "1", "90"]
    assert row.endswith("the receiver answered 410 Gone")


@pytest.mark.parametrize(("verb", "words"), [("enable", "takes webhooks again"), ("disable", "is at rest")])
def test_an_endpoint_is_put_to_rest_and_resumed(verb: str, words: str, server: Canned, run: Run) -> None:
    server.will_say(ENDPOINT)
    told = run("endpoints", verb, "iris/2", "--url", server.url)
    assert server.asked[0].line == f"POST /-/endpoints/iris/2/{verb}"
    assert words in told.out


@pytest.mark.parametrize(("state", "status"), [("delivered", 0), ("parked", 1), ("pending", 1)])
def test_a_trial_ends_as_the_webhook_did(state: str, status: int, server: Canned, run: Run) -> None:
    server.will_say({"endpoint": "iris", "delivery": {**WHOLE, "state": state}})
    told = run("endpoints", "test", "iris", "--url", server.url)
    assert told.status == status
    assert f"dlv_7  {state}" in told.out


def test_one_is_added_and_its_secret_shown(server: Canned, run: Run) -> None:
    server.will_say(ADDED, status=201)
    told = run("endpoints", "add", "https://a.example/hook", "--url", server.url)
    assert told.out.splitlines() == [
        "ep_1 is told of completed, failed of every API at http://receiver.test/hook",
        f"secret (shown this once): {SECRET}",
    ]
    assert server.asked[0].line == "POST /-/endpoints"
    assert json.loads(server.asked[0].body) == {"url": "https://a.example/hook"}


def test_one_is_added_with_all_that_the_file_can_say(server: Canned, run: Run) -> None:
    server.will_say(PAIR, status=201)
    options = "--api iris --api other --event failed --format standard --timeout 3s --retry 5s,1m --concurrency 2"
    more = "--rate-limit 5/s --inline-limit 1KiB --order fifo --ed25519"
    headers = ["--header", "Authorization: Bearer a:b", "--header", "X-A:1"]
    told = run("endpoints", "add", "https://a.example/", *options.split(), *more.split(), *headers, "--url", server.url)
    assert told.out.splitlines()[1] == "public key: whpk_abc"
    assert json.loads(server.asked[0].body) == {
        "url": "https://a.example/",
        "api": ["iris", "other"],
        "events": ["failed"],
        "format": "standard",
        "headers": {"Authorization": "Bearer a:b", "X-A": "1"},
        "timeout": "3s",
        "retry": ["5s", "1m"],
        "concurrency": 2,
        "rate_limit": "5/s",
        "inline_limit": "1KiB",
        "order": "fifo",
        "signature": "v1a",
    }


def test_a_secret_can_come_from_standard_input(server: Canned, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server.will_say(ADDED, status=201)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    run("endpoints", "add", "https://a.example/", "--secret", "-", "--url", server.url)
    assert json.loads(server.asked[0].body)["secret"] == SECRET


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "https://a.example/", "--header", "nonsense"], "--header 'nonsense' has no colon; write NAME:VALUE"),
        (["add", "https://a.example/", "--secret", "whsec_x", "--ed25519"], "name one of the two"),
        (["change", "ep_1"], "say what to change"),
    ],
)
def test_a_call_that_cannot_be_meant_so_is_refused(arguments: list[str], words: str, run: Run) -> None:
    told = run("endpoints", *arguments)
    assert (told.status, words in told.err) == (2, True)


def test_one_is_changed(server: Canned, run: Run) -> None:
    server.will_say(PAIR)
    told = run("endpoints", "change", "ep_1", "--to", "https://b.example/", "--event", "failed", "--url", server.url)
    assert told.out == "ep_1 is told of completed, failed of iris, other at http://receiver.test/hook\n"
    assert server.asked[0].line == "PATCH /-/endpoints/ep_1"
    assert json.loads(server.asked[0].body) == {"url": "https://b.example/", "events": ["failed"]}


def test_what_is_empty_is_as_by_default_again(server: Canned, run: Run) -> None:
    server.will_say(PAIR)
    emptied = ["--rate-limit", "", "--header", "", "--event", "", "--api", "", "--timeout", "", "--retry", ""]
    run("endpoints", "change", "ep_1", *emptied, "--url", server.url)
    defaults = dict.fromkeys(("rate_limit", "headers", "events", "api", "timeout"))
    assert json.loads(server.asked[0].body) == {**defaults, "retry": []}


def test_a_rotation_says_until_when_both_sign(server: Canned, run: Run) -> None:
    server.will_say(PAIR, ADDED)
    told = run("endpoints", "rotate", "ep_1", "--url", server.url)
    assert told.out.splitlines() == ["ep_1 signs with both until 2026-02-01T12:00:00", "public key: whpk_abc"]
    told = run("endpoints", "rotate", "ep_1", "--overlap", "0s", "--secret", SECRET, "--url", server.url)
    assert told.out.splitlines() == ["ep_1 signs with the new one alone", f"secret (shown this once): {SECRET}"]
    assert [each.line for each in server.asked] == ["POST /-/endpoints/ep_1/rotate"] * 2
    assert [json.loads(each.body) for each in server.asked] == [{}, {"secret": SECRET, "overlap": "0s"}]


def test_the_servers_cure_for_a_file_endpoint_is_passed_on(server: Canned, run: Run) -> None:
    server.will_refuse(409, "conflict", "iris stands in the file: put the new secret in front of the old one there")
    told = run("endpoints", "rotate", "iris", "--url", server.url)
    assert (told.status, "put the new secret in front" in told.err) == (1, True)


@pytest.mark.parametrize(
    ("options", "query", "parked", "words"),
    [
        ([], "park", 4, "ep_1 is removed; 4 webhooks that have not reached it are kept\n"),
        (["--erase"], "erase", 0, "ep_1 is removed\n"),
    ],
)
def test_one_is_removed(options: list[str], query: str, parked: int, words: str, server: Canned, run: Run) -> None:
    server.will_say({**ADDED, "pending": 0, "parked": parked})
    assert run("endpoints", "remove", "ep_1", *options, "--url", server.url).out == words
    assert server.asked[0].line == f"DELETE /-/endpoints/ep_1?undelivered={query}"
