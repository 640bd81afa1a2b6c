"""Following a workload with either client: events as they come, over broken connections, to the end or to a refusal."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from ringback.client.streams import Following
from ringback.core.errors import Erased, ShuttingDown, Unreachable
from support.sse import stream_of
from unit.client.conftest import URL, Connect, Server, answer, listed, problem, told

QUEUED = (1, "status", {"status": "in_queue", "attempt": 0, "at": "2026-01-31T12:00:00+00:00"})
RUNNING = (2, "status", {"status": "in_progress"})
HALF = (3, "progress", {"fraction": 0.5, "message": "half"})
SAID = (4, "log", {"line": 1, "text": "hello\n"})
DONE = (9, "status", {"status": "completed"})
STATE = {"id": "w-1", "status": "completed", "result": 7, "timestamp": "2026-01-31T12:00:00+00:00"}


def stream(*events: Any) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream_of(*events))


async def ids(events: Any) -> list[int]:
    return [each.id for each in await listed(events)]


async def test_events_come_with_all_they_tell(connect: Connect, server: Server) -> None:
    client = connect(stream(QUEUED, RUNNING, HALF, SAID, DONE))
    events = await listed(client.events("iris", "w-1"))
    assert [(each.id, each.kind, each.attempt, each.is_terminal) for each in events] == [
        (1, "status", 0, False),
        (2, "status", 1, False),
        (3, "progress", 1, False),
        (4, "log", 1, False),
        (9, "status", 1, True),
    ]
    assert [each.text for each in events] == ["", "", "", "hello\n", ""]
    assert events[0].at == "2026-01-31T12:00:00+00:00"
    assert events[2].data["message"] == "half"
    assert server.paths == ["/iris/w-1/events"]
    assert "last-event-id" not in server.asked[0].headers


async def test_the_handle_knows_what_has_been_heard_and_in_the_end_the_result(connect: Connect) -> None:
    client = connect(answer({"id": "w-1", "status": "in_queue"}), stream(QUEUED, RUNNING, HALF, DONE), answer(STATE))
    handle = await told(client.get("iris", "w-1"))
    seen = []

    def note() -> None:
        seen.append((handle.status, handle.progress, handle.message))

    if hasattr(handle.events(), "__anext__"):
        async for _ in handle.events():
            note()
    else:
        for _ in handle.events():
            note()
    assert seen == [
        ("in_queue", None, None),
        ("in_progress", None, None),
        ("in_progress", 0.5, "half"),
        ("completed", None, None),
    ]
    assert handle.result == 7


async def test_a_broken_connection_goes_on_where_it_was(connect: Connect, server: Server) -> None:
    client = connect(
        stream(QUEUED, RUNNING),
        httpx2.ReadError("reset"),
        httpx2.ConnectError("refused"),
        problem(503, "shutting_down", retry_after="0"),
        stream(HALF, DONE),
    )
    assert await ids(client.events("iris", "w-1")) == [1, 2, 3, 9]
    assert [each.headers.get("last-event-id") for each in server.asked] == [None, "2", "2", "2", "2"]


async def test_it_begins_after_what_is_known(connect: Connect, server: Server) -> None:
    client = connect(stream(HALF, DONE))
    assert await ids(client.events("iris", "w-1", after=2)) == [3, 9]
    assert server.asked[0].headers["last-event-id"] == "2"


async def test_one_that_is_over_brings_nothing(connect: Connect) -> None:
    client = connect(httpx2.Response(204))
    assert await ids(client.events("iris", "w-1", after=9)) == []


async def test_a_problem_is_raised(connect: Connect) -> None:
    with pytest.raises(Erased, match="because"):
        await listed(connect(problem(410, "erased")).events("iris", "w-1"))
    with pytest.raises(ShuttingDown):
        await listed(connect(problem(503, "shutting_down", retry_after="0")).events("iris", "w-1"))


async def test_a_problem_on_the_way_is_raised(connect: Connect) -> None:
    client = connect(stream(QUEUED), problem(410, "erased"))
    with pytest.raises(Erased):
        await listed(client.events("iris", "w-1"))


@pytest.mark.parametrize("reply", [httpx2.ConnectError("refused"), answer({"hello": 1}), httpx2.Response(200)])
async def test_nobody_there_is_said_at_once(connect: Connect, server: Server, reply: Any) -> None:
    with pytest.raises(Unreachable):
        await listed(connect(reply).events("iris", "w-1"))
    assert len(server.asked) == 1


async def test_time_is_up_when_it_is_up(connect: Connect, server: Server) -> None:
    client = connect(stream(QUEUED), httpx2.ReadTimeout("nothing came"))
    with pytest.raises(TimeoutError, match=r"w-1 has not ended within 0\.1 s"):
        await listed(client.events("iris", "w-1", timeout=0.1))


def test_with_a_time_out_no_silence_is_longer_than_what_is_left() -> None:
    plan = Following("iris", "w-1", after=0, timeout=8.0, url=URL)
    plan.request()
    assert 3.0 < (plan.timeout().read or 0) <= 4.0
    assert not plan.leaves
    plan = Following("iris", "w-1", after=0, timeout=None, url=URL)
    plan.request()
    assert plan.timeout().read == 45.0


def test_a_server_that_stays_away_is_given_up() -> None:
    plan = Following("iris", "w-1", after=0, timeout=None, url=URL)
    with pytest.raises(Unreachable, match="no Ringback answers"):
        plan.broke(httpx2.ConnectError("refused"))
    assert plan.answered(200)
    rests = []
    for _ in range(8):
        plan.broke(httpx2.ConnectError("refused"))
        rests.append(plan.rest())
    assert rests[0] == pytest.approx(0.1)
    assert rests == sorted(rests)
    assert rests[-1] == pytest.approx(2.0)
    assert plan.answered(200)  # an hour may have passed without a word: that was no absence
    plan.broke(httpx2.ReadError("reset"))
    plan._away_since = -61.0
    with pytest.raises(Unreachable):
        plan.broke(httpx2.ConnectError("refused"))


async def test_the_log_as_text(connect: Connect, server: Server) -> None:
    text = httpx2.Response(200, headers={"content-type": "text/plain; charset=utf-8"}, content="ä\n".encode())
    client = connect(text)
    assert await told(client.logs("iris", "w-1")) == "ä\n"
    assert await told(client.logs("iris", "w-1", attempt=2)) == "ä\n"
    assert server.paths == ["/iris/w-1/logs", "/iris/w-1/logs?attempt=2"]
    client = connect(answer({"id": "w-1", "status": "in_queue"}), text)
    handle = await told(client.get("iris", "w-1"))
    assert await told(handle.logs()) == "ä\n"
    for reply in (answer({"id": "w-1"}), httpx2.Response(200, content=b"x")):
        with pytest.raises(Unreachable):
            await told(connect(reply).logs("iris", "w-1"))
