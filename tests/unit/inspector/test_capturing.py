"""What an inbox takes in, and how it answers."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from ringback.inspector.answering import MOST_HELD
from support.asgi import Caller
from support.receiver import answering, receiving, resetting
from support.waiting import turned
from unit.inspector.conftest import HTML, SERVED, Bench, MakeBench


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW"])
async def test_every_method_and_any_path_behind_the_id_is_taken(bench: Bench, method: str) -> None:
    box = await bench.make()
    answer = await bench.call(method, f"/-/inspector/in/{box}/a/%2F/b?x=1&x=%20", b"hello", {"X-A": "1"})

    assert (answer.status, answer.json()) == (200, {"captured": 1})
    found = await bench.get(f"/{box}/1")
    assert (found["method"], found["target"], found["body"]) == (method, "/a/%2F/b?x=1&x=%20", "hello")
    assert found["peer"] == "127.0.0.1:1"


async def test_a_request_comes_back_byte_for_byte(bench: Bench) -> None:
    box = await bench.make()
    body = bytes(range(256))
    pairs = [(b"X-Two", b"1"), (b"Content-Type", b"a/b"), (b"x-two", b"\xff")]
    await bench.call("POST", f"/-/inspector/in/{box}", body, pairs)

    found = await bench.get(f"/{box}/1")
    assert found["headers"] == [["x-two", "1"], ["content-type", "a/b"], ["x-two", "\xff"]]
    assert (found["body"], base64.b64decode(found["body_base64"])) == (None, body)
    download = await bench.call("GET", f"/-/inspector/{box}/1/body")
    assert download.body == body
    assert download.headers["content-disposition"].startswith("attachment")
    assert download.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert (download.headers["x-content-type-options"], download.headers["cache-control"]) == ("nosniff", "no-store")
    assert download.headers["x-content-type-options"] == "nosniff"
    assert download.headers["content-type"] == "application/octet-stream"


async def test_header_names_are_kept_as_they_were_written_where_the_server_tells(bench: Bench) -> None:
    class Wire:
        names = (b"HOST", b"X-MiXed")

        def reset(self) -> None: ...

        def close(self) -> None: ...

    async def told(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = {"ringback.wire": {"wire": Wire()}}
        await bench.gateway(scope, receive, send)

    box = await bench.make()
    await Caller(told)("POST", f"/-/inspector/in/{box}", b"", {"host": "x", "x-mixed": "y"})

    assert (await bench.get(f"/{box}/1"))["headers"] == [["HOST", "x"], ["X-MiXed", "y"]]


async def test_a_body_over_the_inbox_s_limit_is_cut_with_a_mark(bench: Bench) -> None:
    box = await bench.make(body_limit=10)
    parts = [{"type": "http.request", "body": b"12345678", "more_body": True}] * 2
    end = {"type": "http.request", "body": b"", "more_body": False}
    answer = await bench.call("POST", f"/-/inspector/in/{box}", parts=[*parts, end])

    found = await bench.get(f"/{box}/1")
    assert (answer.status, found["body"], found["size"], found["is_cut"]) == (200, "1234567812", 16, True)


async def test_a_body_over_what_is_read_at_all_is_answered_and_the_connection_closed(make_bench: MakeBench) -> None:
    bench = make_bench(read_bytes=100)
    box = await bench.make()
    parts = ({"type": "http.request", "body": b"x" * 60, "more_body": True} for _ in range(1_000_000))
    answer = await bench.call(
        "POST", f"/-/inspector/in/{box}", parts=[next(parts) for _ in range(9)], headers={"content-length": "99999"}
    )

    found = await bench.get(f"/{box}/1")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert (len(found["body"]), found["size"], found["is_cut"]) == (120, 99_999, True)


async def test_a_sender_that_leaves_in_the_middle_is_kept_with_what_came(bench: Bench) -> None:
    box = await bench.make()
    left = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    answer = await bench.call("POST", f"/-/inspector/in/{box}", parts=left, headers={"content-length": "8"})

    found = await bench.get(f"/{box}/1")
    assert answer.status == 0
    assert (found["body"], found["size"], found["is_cut"], found["answer"]["status"]) == ("half", 8, True, None)
    assert "left before its body was whole" in found["answer"]["detail"]


async def test_no_key_is_asked_of_senders_and_one_of_everybody_else(make_bench: MakeBench) -> None:
    bench = make_bench(keys=frozenset({"sesame"}))
    await bench.inspector.start()

    assert (await bench.send(SERVED)).status == 200
    for path in ("", f"/{SERVED}", f"/{SERVED}/1", f"/{SERVED}/events", f"/{SERVED}/export.jsonl", "/messages/m"):
        assert (await bench.call("GET", f"/-/inspector{path}")).status == 401
    assert (await bench.call("POST", "/-/inspector", b"{}")).status == 401
    key = {"authorization": "Bearer sesame"}
    assert (await bench.call("GET", f"/-/inspector/{SERVED}/1", headers=key)).status == 200


async def test_inboxes_that_the_file_leads_to_are_there_from_the_start(bench: Bench) -> None:
    await bench.inspector.start()
    await bench.inspector.start()

    [inbox] = (await bench.get(""))["inboxes"]
    assert (inbox["id"], inbox["verifies_with"]) == (SERVED, "echo")


@pytest.mark.parametrize("path", ["/-/inspector/in", "/-/inspector/in/", "/-/inspector/in/none", "/-/inspector/in//x"])
async def test_an_inbox_that_is_not_there_is_404(bench: Bench, path: str) -> None:
    answer = await bench.call("POST", path, b"{}")

    assert (answer.status, answer.problem) == (404, "unknown_inbox")


# ── Scripts ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_script_is_played_step_by_step_for_each_message(bench: Bench) -> None:
    script = [{"status": 500, "times": 2}, {"status": 429, "times": 1, "headers": {"Retry-After": "30"}}]
    box = await bench.make(script=script)
    answers = [await bench.send(box, webhook_id="m") for _ in range(4)]

    assert [each.status for each in answers] == [500, 500, 429, 200]
    assert answers[2].headers["retry-after"] == "30"
    assert (await bench.send(box, webhook_id="n")).status == 500
    assert [each["answer"]["status"] for each in await bench.captures(box)] == [500, 200, 429, 500, 500]


@pytest.mark.parametrize(
    ("step", "body", "kind"),
    [
        ({}, b'{"captured": 1}\n', "application/json"),
        ({"body": "hé"}, "hé".encode(), "text/plain; charset=utf-8"),
        ({"body": '{"a":1}'}, b'{"a":1}', "application/json"),
        ({"body": "<b>", "headers": {"Content-Type": "text/html"}}, b"<b>", "text/html"),
    ],
)
async def test_answers_have_a_fitting_type_and_run_nothing_in_a_browser(
    bench: Bench, step: dict[str, Any], body: bytes, kind: str
) -> None:
    box = await bench.make(script=[{**step, "headers": {**step.get("headers", {}), "Content-Security-Policy": "x"}}])
    answer = await bench.send(box)

    assert (answer.body, answer.headers["content-type"]) == (body, kind)
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_gets_none(bench: Bench, status: int) -> None:
    answer = await bench.send(await bench.make(script={"status": status, "body": "x"}))

    assert (answer.status, answer.body, "content-length" in answer.headers) == (status, b"", False)


async def test_a_delay_ends_when_the_sender_leaves(bench: Bench) -> None:
    box = await bench.make(script={"delay": "5m"})
    leaves = asyncio.Event()
    leaves.set()
    answer = await bench.call("POST", f"/-/inspector/in/{box}", b"{}", leaves=leaves)

    [found] = await bench.captures(box)
    assert (answer.status, found["answer"]["status"]) == (0, None)
    assert found["answer"]["detail"] == "the sender left before it was answered"


async def test_a_short_delay_is_waited_for_and_measured(bench: Bench) -> None:
    box = await bench.make(script={"delay": "20ms", "status": 503})

    assert (await bench.send(box)).status == 503
    [found] = await bench.captures(box)
    assert (found["answer"]["status"], found["answer"]["duration_ms"] >= 20) == (503, True)


@pytest.mark.parametrize(
    ("act", "status", "body"),
    [
        ("hang", None, b""),
        ("hang-after-headers", 200, b""),
        ("reset", None, b""),
        ("reset-after-headers", 200, b""),
        ("endless", 200, b""),
    ],
)
async def test_misbehaviour_ends_with_the_sender_and_says_so(
    bench: Bench, act: str, status: int | None, body: bytes
) -> None:
    box = await bench.make(script={"do": act})
    leaves = asyncio.Event()
    leaves.set()
    answer = await bench.call("POST", f"/-/inspector/in/{box}", b"{}", leaves=leaves)

    [found] = await bench.captures(box)
    assert (answer.status, answer.body) == (status or 0, body)
    assert (found["answer"]["act"], found["answer"]["status"]) == (act, status)
    assert found["answer"]["detail"]
    assert found["answer"]["duration_ms"] is not None


async def test_a_drip_brings_the_whole_body_in_pieces(bench: Bench) -> None:
    pieces: list[bytes] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message.get("body"):
                pieces.append(message["body"])
            await send(message)

        await bench.gateway(scope, receive, sent)

    box = await bench.make(script={"do": "drip", "body": "abcdef", "bytes_per_second": 10})
    answer = await Caller(watched)("POST", f"/-/inspector/in/{box}", b"{}")

    assert (answer.status, answer.body, len(pieces) > 1) == (200, b"abcdef", True)


async def test_no_more_senders_are_kept_waiting_than_may_be(bench: Bench) -> None:
    box = await bench.make(script={"do": "hang"})
    leave = asyncio.Event()
    held = [
        asyncio.create_task(bench.call("POST", f"/-/inspector/in/{box}", b"", leaves=leave)) for _ in range(MOST_HELD)
    ]
    await turned(lambda: bench.has_captured(box, MOST_HELD), wanted="all of them captured")
    await bench.call("POST", f"/-/inspector/in/{box}", b"")

    [found] = await bench.captures(box, f"?search=number:{MOST_HELD + 1}")
    assert f"{MOST_HELD} senders" in found["answer"]["detail"]
    leave.set()
    await asyncio.gather(*held)


async def test_closing_lets_everybody_go(bench: Bench) -> None:
    box = await bench.make(script={"do": "hang"})
    hanging = asyncio.create_task(bench.send(box))
    await turned(lambda: bench.has_captured(box, 1), wanted="a capture")
    await bench.inspector.close()
    await asyncio.wait_for(hanging, 5)

    assert (await bench.captures(box))[0]["answer"]["detail"] == "the server was stopped"


# ── Sending on ──────────────────────────────────────────────────────────────────────────────────


async def forwarded(bench: Bench, box: str) -> Any:
    """What came of sending the newest capture on, once that is known."""
    change = 0
    while True:
        [found] = await bench.captures(box, "?limit=1")
        if found["forward"] is not None:
            return found["forward"]
        change = (await bench.get(f"/{box}?after={max(change, found['change'])}&wait=10"))["change"]


async def test_a_capture_is_sent_on_as_it_came_and_the_answer_is_shown(bench: Bench) -> None:
    async with receiving(answering(418, "X-Tea: yes", body=b"short and stout")) as receiver:
        box = await bench.make(forward=f"{receiver.url}?own=1")
        await bench.call(
            "PUT", f"/-/inspector/in/{box}/rest?q=2", b"tea", {"X-Shop": "Berlin", "Host": "x", "content-length": "3"}
        )
        told = await forwarded(bench, box)
        [request] = receiver.requests

    assert request.line == "PUT /hook/rest?own=1&q=2 HTTP/1.1"
    assert (request.body, request.headers["x-shop"]) == (b"tea", "Berlin")
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (told["status"], told["body"], told["replay"]) == (418, "short and stout", False)
    assert ["X-Tea", "yes"] in told["headers"]


async def test_what_was_sent_on_before_is_captured_and_goes_no_further(bench: Bench) -> None:
    async with receiving() as receiver:
        box = await bench.make(forward=receiver.url)
        await bench.send(box, ringback_inspector_hops="1")
        told = await forwarded(bench, box)

    assert "an inspector had sent it here" in told["error"]
    assert receiver.requests == []


async def test_a_body_that_was_cut_is_not_sent_on(bench: Bench) -> None:
    async with receiving() as receiver:
        box = await bench.make(forward=receiver.url, body_limit=2)
        await bench.send(box, b"long")

        assert "only the beginning" in (await forwarded(bench, box))["error"]
        assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://10.0.0.1/", "name it with --allow"),
        ("http://8.8.8.8/", "name it with --allow"),
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://0.0.0.0:1/", "name it with --allow"),
        ("http://no-such-host.invalid/", "has no address"),
        ("http://127.0.0.1:1/", "refused"),
    ],
)
async def test_it_is_sent_on_to_what_is_named_and_nowhere_else(bench: Bench, url: str, words: str) -> None:
    box = await bench.make(forward=url)
    await bench.send(box)

    told = await forwarded(bench, box)
    assert words in told["error"]
    assert told["status"] is None


async def test_a_receiver_that_breaks_off_is_told(bench: Bench) -> None:
    async with receiving(resetting) as receiver:
        box = await bench.make(forward=receiver.url)
        await bench.send(box)

        assert "broke before an answer" in (await forwarded(bench, box))["error"]


async def test_a_redirect_is_not_followed(bench: Bench) -> None:
    async with receiving(answering(302, "Location: http://127.0.0.1:1/")) as receiver:
        box = await bench.make(forward=receiver.url)
        await bench.send(box)

        assert (await forwarded(bench, box))["status"] == 302


async def test_a_relay_answers_what_the_receiver_answers_without_its_cookies(bench: Bench) -> None:
    body = b"x" * 40_000
    script = answering(201, "X-Tea: yes", "Set-Cookie: a=b", "Content-Security-Policy: *", body=body)
    async with receiving(script) as receiver:
        box = await bench.make(forward=receiver.url, script={"do": "relay"})
        answer = await bench.send(box)

    assert (answer.status, answer.body, answer.headers["x-tea"]) == (201, body, "yes")
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    [found] = await bench.captures(box)
    assert (found["answer"]["status"], found["forward"]["status"], found["forward"]["is_cut"]) == (201, 201, True)


@pytest.mark.parametrize(("forward", "words"), [(None, "no forward URL"), ("http://127.0.0.1:1/", "refused")])
async def test_a_relay_without_an_answer_is_a_bad_gateway(bench: Bench, forward: str | None, words: str) -> None:
    answer = await bench.send(await bench.make(forward=forward, script={"do": "relay"}))

    assert answer.status == 502
    assert words in json.loads(answer.body)["error"]


async def test_a_page_is_told_that_an_inbox_is_gone_as_a_page(bench: Bench) -> None:
    answer = await bench.call("GET", "/-/inspector/in/none", headers=HTML)

    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
