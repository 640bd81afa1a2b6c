"""A workload followed over HTTP: events and log, live and again, to the end and no further."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Router

from ringback.core.clock import Instant
from ringback.core.errors import Unavailable
from ringback.core.journal import Entry, Happening, LeftOut, Said
from ringback.core.workload import Completed, Failed, Output, Progress, Spent
from ringback.gateway import Gateway
from ringback.gateway.streams import Bounds, Streams, as_event
from ringback.store.sqlite import SqliteStore
from support.asgi import Answer, Caller
from support.sse import Sent, event_of, sent, text_of
from support.stores import claim_one, submission
from unit.gateway.conftest import IRIS

DONE = Completed(result=b"1")
RAISED = Failed(type="ValueError", message="not yet")


async def seen(call: Caller, target: str = "/iris/w1/events", **headers: str) -> list[Sent]:
    answer = await call("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-length" not in answer.headers
    assert answer.body.startswith(b"retry: 1000\n\n")
    return sent(answer.body)


async def story_of(store: SqliteStore) -> None:
    """A workload that failed once and then completed."""
    first = (await claim_one(store, "w1")).held
    await store.enter(first, [Said(line=1, text="one\ntwo"), Output(index=0, value=b'{"n":\n1}')])
    await store.progress(first, Progress(fraction=0.5, message="half"))
    await store.requeue(first, spent=Spent.ATTEMPT, why=RAISED)
    second = (await claim_one(store)).held
    await store.enter(second, [LeftOut(index=0, output_bytes=999_999)])
    await store.finish(second, DONE, [], entries=[Said(line=3, text="more\n")])


async def test_all_that_happened_in_its_order(call: Caller, store: SqliteStore) -> None:
    await story_of(store)
    events = await seen(call)
    at = "2023-11-14T22:13:20.000000+00:00"
    assert [(each.name, each.data) for each in events] == [
        ("status", {"status": "in_queue", "attempt": 0, "at": at}),
        ("status", {"status": "in_progress", "attempt": 1, "at": at}),
        ("log", {"line": 1, "text": "one\ntwo", "attempt": 1, "at": at}),
        ("output", {"index": 0, "output": {"n": 1}, "attempt": 1, "at": at}),
        ("progress", {"fraction": 0.5, "message": "half", "attempt": 1, "at": at}),
        (
            "status",
            {"status": "in_queue", "error": {"type": "ValueError", "message": "not yet"}, "attempt": 1, "at": at},
        ),
        ("status", {"status": "in_progress", "attempt": 2, "at": at}),
        ("output", {"index": 0, "output": None, "output_bytes": 999_999, "attempt": 2, "at": at}),
        ("log", {"line": 3, "text": "more\n", "attempt": 2, "at": at}),
        ("status", {"status": "completed", "attempt": 2, "at": at}),
    ]
    ids = [each.id for each in events]
    assert ids == sorted(set(ids))


async def test_a_failed_one_ends_with_its_error(call: Caller, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, RAISED, [])
    *_, last = await seen(call)
    assert (last.status, last.data["error"]) == ("failed", {"type": "ValueError", "message": "not yet"})


async def test_whoever_comes_again_is_told_the_rest_and_at_the_end_to_stay_away(
    call: Caller, store: SqliteStore
) -> None:
    await story_of(store)
    events = await seen(call)
    for place, each in enumerate(events[:-1]):
        known = str(each.id)
        assert await seen(call, last_event_id=known) == events[place + 1 :]
        assert await seen(call, f"/iris/w1/events?after={known}") == events[place + 1 :]
    over = await call("GET", "/iris/w1/events", headers={"Last-Event-ID": str(events[-1].id)})
    assert (over.status, over.body) == (204, b"")


async def test_the_header_goes_before_the_parameter(call: Caller, store: SqliteStore) -> None:
    await story_of(store)
    events = await seen(call)
    target = f"/iris/w1/events?after={events[0].id}"
    assert await seen(call, target, last_event_id=str(events[-2].id)) == events[-1:]


async def test_it_is_followed_live_until_it_ends(call: Caller, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    following = asyncio.create_task(seen(call))
    await asyncio.sleep(0)
    held = (await claim_one(store)).held
    for number in range(40):
        await store.enter(held, [Said(line=number + 1, text=f"{number}\n")])
    await store.finish(held, DONE, [])
    events = await asyncio.wait_for(following, 5)
    assert text_of(events) == "".join(f"{number}\n" for number in range(40))
    assert [each.status for each in events if each.name == "status"] == ["in_queue", "in_progress", "completed"]


async def test_more_than_is_read_at_once_comes_whole(call: Caller, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.finish(held, DONE, [], entries=[Said(line=number + 1, text=f"{number}\n") for number in range(100)])
    assert text_of(await seen(call)).splitlines() == [*map(str, range(100))]
    assert (await call("GET", "/iris/w1/logs")).body.decode().splitlines() == [*map(str, range(100))]


# ── Readers ─────────────────────────────────────────────────────────────────────────────────────


class Reader:
    """Reads from routes of its own, and can be watched, stalled and sent away."""

    def __init__(self, store: SqliteStore, **bounds: Any) -> None:
        self.streams = Streams(store, {"iris": IRIS}, Bounds(**bounds))
        self.pieces: list[bytes] = []
        self.leaves = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.news = asyncio.Event()
        self._router = Router(routes=self.streams.routes)

    async def read(self, target: str) -> Answer:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            async def watched(message: Any) -> None:
                self.pieces.append(message.get("body", b""))
                self.news.set()
                await self.takes.wait()
                await send(message)

            await self._router(scope, receive, watched)

        return await asyncio.wait_for(Caller(application)("GET", target, leaves=self.leaves), 10)

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not look():
                self.news.clear()
                await self.news.wait()


async def test_a_heartbeat_comes_when_nothing_else_does_and_whoever_leaves_is_let_go(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    reader = Reader(store, heartbeat_seconds=0.001)
    reading = asyncio.create_task(reader.read("/iris/w1/events"))
    await reader.until(lambda: reader.pieces.count(b":\n\n") >= 3)
    reader.leaves.set()
    await reading
    assert reader.streams._readers == 0


async def test_no_more_readers_than_allowed(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    reader = Reader(store, most_readers=1)
    reading = asyncio.create_task(reader.read("/iris/w1/events"))
    await reader.until(lambda: len(reader.pieces) > 2)
    with pytest.raises(Unavailable, match="1 readers follow workloads already"):
        await reader.read("/iris/w1/logs?follow=true")
    reader.streams.close()
    assert (await reading).body.endswith(b"\n\n")


async def test_a_reader_that_takes_nothing_is_let_go(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    reader = Reader(store, stall_seconds=0.01)
    reading = asyncio.create_task(reader.read("/iris/w1/events"))
    await reader.until(lambda: len(reader.pieces) > 2)
    reader.takes.clear()
    await store.enter((await claim_one(store)).held, [Said(line=1, text="more\n")])
    with pytest.raises(TimeoutError):
        await reading
    assert reader.streams._readers == 0


async def test_one_that_is_erased_meanwhile_ends_the_stream(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.finish(held, DONE, [], entries=[Said(line=number + 1, text="x\n") for number in range(40)])
    reader = Reader(store)
    reader.takes.clear()
    reading = asyncio.create_task(reader.read("/iris/w1/events"))
    await reader.until(lambda: len(reader.pieces) == 1)
    await store.erase_expired({"iris": 0.0}, 10)
    reader.takes.set()
    events = sent((await reading).body)
    assert 0 < len(events) < 40
    assert "completed" not in {each.status for each in events}


async def test_a_draining_gateway_lets_readers_go_at_its_end(
    gateway: Gateway, call: Caller, store: SqliteStore
) -> None:
    await store.submit(submission(workload_id="w1"))
    reading = asyncio.create_task(call("GET", "/iris/w1/events"))
    await asyncio.sleep(0)
    gateway.close_to_new()
    await store.enter((await claim_one(store)).held, [Said(line=1, text="still here\n")])
    gateway.end_streams()
    assert text_of(sent((await asyncio.wait_for(reading, 5)).body)) in {"", "still here\n"}


# ── The log ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_log_is_text_with_marks(call: Caller, store: SqliteStore) -> None:
    await story_of(store)
    answer = await call("GET", "/iris/w1/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == "one\ntwo\n── attempt 2 ──\n… 2 lines left out\nmore\n"
    assert (await call("GET", "/iris/w1/logs?attempt=1")).body == b"one\ntwo"
    assert (await call("GET", "/iris/w1/logs?attempt=2")).body.decode() == "… 2 lines left out\nmore\n"
    assert (await call("GET", "/iris/w1/logs?attempt=3")).body == b""


async def test_the_log_of_one_that_runs_is_what_it_has_said_so_far(call: Caller, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    assert (await call("GET", "/iris/w1/logs")).body == b""
    await store.enter(held, [Said(line=1, text="begun\n")])
    assert (await call("GET", "/iris/w1/logs")).body == b"begun\n"
    following = asyncio.create_task(call("GET", "/iris/w1/logs?follow=true"))
    await asyncio.sleep(0)
    await store.finish(held, DONE, [], entries=[Said(line=2, text="done\n")])
    assert (await asyncio.wait_for(following, 5)).body == b"begun\ndone\n"


# ── Requests ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["events", "logs"])
async def test_what_is_not_there_is_said(call: Caller, store: SqliteStore, what: str) -> None:
    assert (await call("GET", f"/iris/nope/{what}")).problem == "unknown_workload"
    assert (await call("GET", f"/nope/w1/{what}")).problem == "unknown_api"
    await store.finish((await claim_one(store, "w1")).held, DONE, [])
    assert (await call("POST", f"/iris/w1/{what}")).problem == "method_not_allowed"
    assert (await call("GET", f"/iris/w1/{what}?nope=1")).problem == "invalid_parameter"
    await store.erase_expired({"iris": 0.0}, 10)
    assert (await call("GET", f"/iris/w1/{what}")).problem == "erased"


async def test_a_head_says_what_there_would_be(call: Caller, store: SqliteStore) -> None:
    await story_of(store)
    for what, kind in (("events", "text/event-stream; charset=utf-8"), ("logs", "text/plain; charset=utf-8")):
        answer = await call("HEAD", f"/iris/w1/{what}")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, b"")


@pytest.mark.parametrize("wrong", ["-1", "1.5", "x", "٣", "9" * 19])
async def test_an_id_that_is_none_is_refused(call: Caller, store: SqliteStore, wrong: str) -> None:
    await story_of(store)
    raw = [(b"last-event-id", wrong.encode())]
    assert (await call("GET", "/iris/w1/events", headers=raw)).problem == "invalid_header"
    quoted = quote(wrong)
    assert (await call("GET", f"/iris/w1/events?after={quoted}")).problem == "invalid_parameter"
    assert (await call("GET", f"/iris/w1/logs?attempt={quoted}")).problem == "invalid_parameter"


async def test_a_question_that_is_neither_yes_nor_no_is_refused(call: Caller, store: SqliteStore) -> None:
    await story_of(store)
    assert (await call("GET", "/iris/w1/logs?follow=maybe")).problem == "invalid_parameter"
    assert (await call("GET", "/iris/w1/logs?attempt=0")).problem == "invalid_parameter"


# ── Framing ─────────────────────────────────────────────────────────────────────────────────────

ENTRIES = st.one_of(
    st.builds(Said, line=st.integers(1, 2**40), text=st.text()),
    st.builds(Progress, fraction=st.floats(0, 1), message=st.none() | st.text()),
    st.builds(
        Output,
        index=st.integers(0, 2**31),
        value=st.text().map(lambda text: json.dumps({"a": text}, indent=1).encode()),
    ),
    st.builds(LeftOut, index=st.integers(0, 2**31), output_bytes=st.integers(0, 2**40)),
)


@given(ENTRIES, st.integers(1, 2**53))
def test_whatever_is_said_is_one_event_and_comes_back(entry: Entry, number: int) -> None:
    framed = as_event(Happening(id=number, attempt=2, at=Instant(0), what=entry))
    assert framed.endswith(b"\n\n")
    assert framed.count(b"\n") == 4
    event = event_of(framed[:-2])
    assert event is not None
    assert event.id == number
    match entry:
        case Said(line=line, text=text):
            assert (event.name, event.data["line"], event.data["text"]) == ("log", line, text)
        case Progress(fraction=fraction, message=message):
            assert (event.name, event.data["fraction"], event.data["message"]) == ("progress", fraction, message)
        case Output(index=index, value=value):
            assert (event.name, event.data["index"], event.data["output"]) == ("output", index, json.loads(value))
        case LeftOut(output_bytes=size):
            assert (event.name, event.data["output"], event.data["output_bytes"]) == ("output", None, size)
