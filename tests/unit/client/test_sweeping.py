"""Many workloads canceled or retried by both clients, answer by answer."""

from __future__ import annotations

import json

import httpx2
import pytest

from ringback.core.errors import UnknownApi, Unreachable
from ringback.core.selection import Move
from unit.client.conftest import Connect, Server, answer, listed, problem, told


def swept(changed: int, cursor: str | None = None, wait_seconds: int | None = None) -> httpx2.Response:
    return answer({"changed": changed, "stopping": 1, "cursor": cursor, "wait_seconds": wait_seconds})


def asked(server: Server) -> list[tuple[str, object]]:
    return [(path, json.loads(each.content)) for path, each in zip(server.paths, server.asked, strict=True)]


async def test_it_goes_on_until_there_is_no_more(connect: Connect, server: Server) -> None:
    client = connect(swept(100, "c"), swept(0, "d"), swept(7))
    assert await told(client.cancel_many(api="iris", since="2h", q="disk")) == 107
    which = {"api": "iris", "since": "2h", "q": "disk"}
    cursors = [{}, {"cursor": "c"}, {"cursor": "d"}]
    assert asked(server) == [("/-/workloads/cancel", which | each) for each in cursors]


async def test_a_retry_waits_for_room(connect: Connect, server: Server) -> None:
    assert await told(connect(swept(1, "c", 1), swept(1)).retry_many(status="failed")) == 2
    assert len(server.asked) == 2


async def test_counting_changes_nothing(connect: Connect, server: Server) -> None:
    client = connect(answer({"matched": 5, "cursor": "c"}), answer({"matched": 2, "cursor": None}))
    assert await told(client.count_many("retry", batch="b-1")) == 7
    assert asked(server)[1] == ("/-/workloads/retry", {"batch": "b-1", "dry_run": True, "cursor": "c"})


async def test_one_can_look_on(connect: Connect) -> None:
    client = connect(swept(100, "c"), swept(7))
    steps = await listed(client.sweep(Move.CANCEL, {"api": "iris"}))
    assert [(each.changed, each.stopping, each.is_over) for each in steps] == [(107, 2, True)] * 2  # the same one


async def test_a_broken_connection_is_tried_again_for_nothing_is_done_twice(connect: Connect, server: Server) -> None:
    assert await told(connect(httpx2.ReadError("broken"), swept(3)).cancel_many(api="iris")) == 3


async def test_refusals_are_the_servers_own(connect: Connect) -> None:
    with pytest.raises(UnknownApi):
        await told(connect(problem(404, "unknown_api")).cancel_many(api="none"))
    for other in ({"id": "x"}, [], {"changed": "x", "cursor": None}):
        with pytest.raises(Unreachable):
            await told(connect(answer(other)).cancel_many(api="iris"))
