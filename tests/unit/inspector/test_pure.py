"""Searches, commands and timelines: what is computed from values alone."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.clock import Instant
from ringback.core.delivery import Attempt, AttemptClass, DeliveryRecord, DeliveryState
from ringback.core.errors import InvalidParameter
from ringback.core.inbox import Answered, Arrival, Capture, Search
from ringback.core.script import Act
from ringback.core.spec import Event
from ringback.inspector.exporting import curl_of
from ringback.inspector.joining import exchanges
from ringback.inspector.searching import search_of
from support.receiver import receiving

SECOND = 1_000_000


# ── Searching ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("", Search()),
        ("  ", Search()),
        ("status:500", Search(status=500)),
        ("method:put number:17", Search(method="PUT", number=17)),
        ("id:msg_1 header:x-shop", Search(message_id="msg_1", header="x-shop")),
        ("two words", Search(body=b"two words")),
        ("body:a status:1 b", Search(body=b"a b", status=1)),
        ('header:"X-Shop: New York" "as it  is"', Search(header="X-Shop: New York", body=b"as it  is")),
        ("http://x:80", Search(body=b"http://x:80")),
        ('"', Search(body=b'"')),
        ("ü", Search(body="ü".encode())),
    ],
)
def test_a_search_is_read_as_it_is_typed(text: str, search: Search) -> None:
    assert search_of(text) == search


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status:ok", "status:ok is no number"),
        ("number:-1", "number:-1 is no number"),
        ("id:a id:b", "id: twice"),
        ("x" * 600, "longer than 500"),
    ],
)
def test_what_is_no_search_says_why(text: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        search_of(text)


# ── curl ────────────────────────────────────────────────────────────────────────────────────────


def captured(body: bytes, *, head: bytes = b"", number: int = 1, at: int = 0, **more: Any) -> Capture:
    return Capture(
        inbox_id=more.get("inbox_id", "box"),
        number=number,
        change=number,
        arrival=Arrival(
            received_at=Instant(at),
            read_us=0,
            method=more.get("method", "POST"),
            target="",
            http_version="1.1",
            peer="",
            head=head,
            body=body,
            size_bytes=len(body),
        ),
        answered=Answered(act=Act.ANSWER, status=200),
    )


@pytest.mark.parametrize(
    "body",
    [b"", b'{"it\'s": "$HOME `id` \\n"}\n', b"@/etc/passwd", bytes(range(256)), b"\xff\xfe", "ü!\n\n".encode(), b"--x"],
)
async def test_the_command_sends_the_same_bytes_and_headers(body: bytes, tmp_path: Path) -> None:
    head = b"Host: elsewhere\r\nX-B: 'quoted' \"twice\"\r\nx-b: again\r\nX-None: \r\nContent-Length: 99\r\n"
    async with receiving() as receiver:
        # Who sends a webhook chooses its path.
        target = "/a/../$(touch${IFS}ran);touch${IFS}ran?it='s&of[1-3]=`touch${IFS}ran`"
        command = curl_of(captured(body, head=head, method="PUT"), receiver.url + target)
        script = tmp_path / "again.sh"
        script.write_text(command + "\n")
        done = await asyncio.to_thread(
            subprocess.run, ["sh", str(script)], capture_output=True, timeout=20, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        [request] = receiver.requests

    assert not (tmp_path / "ran").exists()
    assert request.line.startswith("PUT /")
    assert target in request.line
    assert request.body == body
    assert request.headers["x-b"] == "again"
    assert request.headers["x-none"] == ""
    for name in ("content-type", "user-agent", "accept"):
        assert name not in request.headers


# ── Joining ─────────────────────────────────────────────────────────────────────────────────────


def delivery(seq: int, *attempts: Attempt, url: str = "http://127.0.0.1/-/inspector/in/box") -> DeliveryRecord:
    return DeliveryRecord(
        seq=seq,
        api="iris",
        workload_id="w",
        endpoint="hook",
        url=url,
        message_id="m",
        event=Event.COMPLETED,
        state=DeliveryState.DELIVERED,
        tries=len(attempts),
        due_at=None,
        created_at=Instant(0),
        settled_at=None,
        reason=None,
        attempts=attempts,
    )


def attempt(number: int, at: int) -> Attempt:
    return Attempt(number=number, started_at=Instant(at), duration_us=1_000, outcome=AttemptClass.OK)


def numbered(number: int, *, tries: int, at: int, more: bytes = b"", inbox_id: str = "box") -> Capture:
    return captured(b"", head=b"Ringback-Attempt: %d\r\n" % tries + more, number=number, at=at, inbox_id=inbox_id)


def joined(*exchanged: Any) -> list[tuple[int | None, int | None, list[int]]]:
    return [
        (
            None if each.delivery is None else each.delivery.seq,
            None if each.attempt is None else each.attempt.number,
            [capture.number for capture in each.captures],
        )
        for each in exchanges(*exchanged)
    ]


def test_attempts_and_captures_meet_by_number_and_time() -> None:
    sent = delivery(1, attempt(1, 10 * SECOND), attempt(2, 20 * SECOND), attempt(3, 30 * SECOND))
    came = [numbered(1, tries=1, at=10 * SECOND + 100), numbered(2, tries=3, at=30 * SECOND + 100)]

    assert joined([sent], came) == [(1, 1, [1]), (1, 2, []), (1, 3, [2])]


def test_an_attempt_that_was_made_twice_over_has_two_captures() -> None:
    sent = delivery(1, attempt(1, 10 * SECOND))
    came = [numbered(1, tries=1, at=10 * SECOND), numbered(2, tries=1, at=10 * SECOND + 500)]

    assert joined([sent], came) == [(1, 1, [1, 2])]


def test_two_endpoints_that_are_rung_at_once_are_told_apart_by_their_inboxes() -> None:
    sent = [
        delivery(1, attempt(1, SECOND)),
        delivery(2, attempt(1, SECOND), url="http://127.0.0.1:80/-/inspector/in/other/path?x"),
    ]
    came = [numbered(1, tries=1, at=SECOND, inbox_id="other"), numbered(1, tries=1, at=SECOND, inbox_id="box")]

    assert [each.captures[0].inbox_id for each in exchanges(sent, came)] == ["box", "other"]


def test_an_attempt_elsewhere_at_the_same_moment_takes_nothing_from_an_inbox() -> None:
    sent = [
        delivery(1, attempt(1, SECOND), url="http://127.0.0.1:9/hook"),
        delivery(2, attempt(1, SECOND + 10), url="http://127.0.0.1:80/-/inspector/in/box"),
    ]
    came = [numbered(1, tries=1, at=SECOND + 20)]

    assert joined(sent, came) == [(1, 1, []), (2, 1, [1])]


def test_what_was_answered_otherwise_was_another_attempt() -> None:
    sent = delivery(1, replace(attempt(1, SECOND), status=200), url="https://tunnel.example/")
    came = [replace(numbered(1, tries=1, at=SECOND), answered=Answered(act=Act.ANSWER, status=500))]

    assert joined([sent], came) == [(1, 1, []), (None, None, [1])]


def test_what_no_attempt_explains_stands_by_itself() -> None:
    sent = delivery(1, attempt(1, 10 * SECOND))
    came = [
        numbered(1, tries=1, at=10 * SECOND),
        numbered(2, tries=1, at=11 * SECOND, more=b"Ringback-Inspector-Hops: 1\r\n"),
        numbered(3, tries=1, at=60 * SECOND),
        captured(b"", number=4, at=5 * SECOND),
    ]

    assert joined([sent], came) == [(None, None, [4]), (1, 1, [1]), (None, None, [2]), (None, None, [3])]
    assert joined([], []) == []
