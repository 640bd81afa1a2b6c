"""Many payloads at once, by both clients: sent as they come, followed until the last has ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ringback.client import AsyncClient, Client
from ringback.core.errors import IdTaken, InvalidHeader, InvalidPayload, UnknownBatch, Unreachable
from unit.client.conftest import Connect, Server, answer, listed, problem, told

COUNTS = {"in_queue": 2, "in_progress": 0, "completed": 0, "failed": 0, "canceled": 0, "total": 2}
RUNNING = {"batch": "b-1", "api": "iris", "status": "in_progress", "counts": COUNTS}
OVER = RUNNING | {"status": "completed", "counts": COUNTS | {"in_queue": 0, "completed": 2}}
ACCEPTED = answer({"batch": "b-1", "ids": ["1", "2"]})


async def test_each_payload_is_a_line(connect: Connect, server: Server) -> None:
    client = connect(ACCEPTED, answer(RUNNING))
    handle = await told(
        client.submit_many(
            "iris", [{"a": 1}, "é", None, b' {"raw": 1} '], idempotency_key="k", headers={"Ringback-Tenant": "navy"}
        )
    )
    assert (handle.id, handle.ids, handle.status, handle.counts) == ("b-1", ("1", "2"), "in_progress", COUNTS)
    sent = server.asked[0]
    assert sent.content == b'{"a": 1}\n"\\u00e9"\nnull\n{"raw": 1}\n'
    assert sent.headers["content-type"] == "application/x-ndjson"
    wishes = [sent.headers[name] for name in ("ringback-batch", "idempotency-key", "ringback-tenant")]
    assert wishes == ["true", "k", "navy"]
    assert server.paths == ["/iris", "/-/batches/b-1"]


async def test_a_file_goes_as_it_stands(connect: Connect, server: Server, tmp_path: Path) -> None:
    (tmp_path / "n").write_bytes(b"1\n\n2")
    for lines in (tmp_path / "n", BytesIO(b"1\n\n2")):
        await told(connect(ACCEPTED, answer(RUNNING)).submit_many("iris", lines))
        assert server.asked.pop(0).content == b"1\n\n2"
        server.asked.clear()
    with pytest.raises(InvalidPayload, match="mode 'rb'"):
        await told(connect(ACCEPTED).submit_many("iris", StringIO("1\n")))


async def test_no_more_are_taken_than_a_piece_holds(server: Server) -> None:
    """Neither client asks for the second hundred thousand before the first are on their way."""
    ahead: list[int] = []
    sent = 0

    def payloads() -> Iterator[str]:
        for number in range(20_000):
            ahead.append(number - sent)
            yield "x" * 20

    class Counting(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            nonlocal sent
            for piece in request.stream if request.method == "POST" else ():  # type: ignore[union-attr] # a sync one
                sent += piece.count(b"\n")
            return server(request)

    class AsyncCounting(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            nonlocal sent
            if request.method == "POST":
                async for piece in request.stream:  # type: ignore[union-attr] # an async one
                    sent += piece.count(b"\n")
            return server(request)

    for client in (Client("http://x", transport=Counting()), AsyncClient("http://x", transport=AsyncCounting())):
        sent = 0
        server.replies[:] = [ACCEPTED, answer(RUNNING)]
        await told(client.submit_many("iris", payloads()))
        assert sent == 20_000
    assert max(ahead) < 3_000


async def test_a_coroutines_payloads_may_come_asynchronously(server: Server) -> None:
    async def payloads() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    server.replies[:] = [ACCEPTED, answer(RUNNING)]
    client = AsyncClient("http://x", transport=httpx2.MockTransport(server))
    await client.submit_many("iris", payloads())
    assert server.asked[0].content == b"0\n1\n2\n"


@pytest.mark.parametrize("bad", [b"1\n2", b"", b"1\r2", {1, 2}, float("nan")])
async def test_what_is_no_line_is_named_by_its_number(bad: Any, connect: Connect, server: Server) -> None:
    with pytest.raises(InvalidPayload, match="payload 3 "):
        await told(connect(ACCEPTED).submit_many("iris", [1, 2, bad]))


@pytest.mark.parametrize("one", ["names.ndjson", b"1", {"a": 1}])
async def test_one_payload_is_not_many(one: Any, connect: Connect, server: Server) -> None:
    with pytest.raises(TypeError, match="takes many payloads"):
        await told(connect(ACCEPTED).submit_many("iris", one))
    assert server.asked == []


async def test_what_the_caller_raises_stays_what_it_is(connect: Connect) -> None:
    def payloads() -> Iterator[int]:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await told(connect(ACCEPTED).submit_many("iris", payloads()))


async def test_refusals_are_the_servers_own(connect: Connect, server: Server) -> None:
    with pytest.raises(InvalidPayload, match="line 2"):
        await told(connect(problem(400, "invalid_payload", "line 2 is not JSON")).submit_many("iris", [1]))
    with pytest.raises(IdTaken):
        await told(connect(problem(409, "id_taken")).submit_many("iris", [1], idempotency_key="k"))
    with pytest.raises(UnknownBatch):
        await told(connect(problem(404, "unknown_batch")).batch("b-1"))
    with pytest.raises(InvalidHeader):
        await told(connect(ACCEPTED).submit_many("iris", [1], headers={"x": "é"}))
    with pytest.raises(Unreachable):
        await told(connect(answer({"id": "1"})).submit_many("iris", [1]))
    with pytest.raises(Unreachable):
        await told(connect(ACCEPTED, answer({"batch": "b-1"})).submit_many("iris", [1]))
    with pytest.raises(Unreachable):
        await listed(connect(httpx2.ConnectError("no")).results_of_batch("b-1"))


async def test_a_broken_connection_is_not_tried_again_for_the_payloads_are_gone(
    connect: Connect, server: Server
) -> None:
    with pytest.raises(Unreachable):
        await told(connect(httpx2.ReadError("broken"), ACCEPTED).submit_many("iris", iter([1])))
    assert len(server.asked) == 1


async def test_waiting_ends_with_the_last_of_them(connect: Connect, server: Server) -> None:
    handle = await told(connect(answer(RUNNING), answer(RUNNING), answer(OVER)).batch("b-1"))
    assert (handle.is_terminal, repr(handle).endswith("iris/b-1 in_progress>")) == (False, True)
    assert await told(handle.wait(timeout=30)) is handle
    assert (handle.status, handle.is_terminal, handle.counts["completed"]) == ("completed", True, 2)
    assert len(server.asked) == 3


async def test_waiting_has_its_time(connect: Connect) -> None:
    handle = await told(connect(answer(RUNNING)).batch("b-1"))
    with pytest.raises(TimeoutError, match="batch b-1 has not ended"):
        await told(handle.wait(timeout=0.01))


async def test_results_come_as_they_are_told(connect: Connect, server: Server) -> None:
    lines = [{"id": "1", "result": 7}, {"id": "2", "status": "failed"}]
    body = httpx2.Response(200, content="\n".join(map(json.dumps, lines)) + "\n")
    handle = await told(connect(answer(OVER), body, problem(404, "unknown_batch")).batch("b-1"))
    assert await listed(handle.results()) == lines
    assert server.paths[-1] == "/-/batches/b-1/results"
    with pytest.raises(UnknownBatch):
        await listed(handle.results())


async def test_batches_come_in_pages(connect: Connect, server: Server) -> None:
    page = {"batches": [RUNNING], "cursor": None}
    assert await told(connect(answer(page)).batches("iris", limit=7, cursor="c")) == page
    assert server.paths == ["/-/batches?api=iris&limit=7&cursor=c"]


async def test_a_batch_is_canceled_and_retried_whole(connect: Connect, server: Server) -> None:
    swept = answer({"changed": 2, "stopping": 1, "cursor": None, "wait_seconds": None})
    handle = await told(connect(answer(RUNNING), swept, answer(OVER), swept, answer(RUNNING)).batch("b-1"))
    assert (await told(handle.cancel()), handle.is_terminal) == (2, True)
    assert (await told(handle.retry()), handle.is_terminal) == (2, False)
    assert server.paths[1::2] == ["/-/workloads/cancel", "/-/workloads/retry"]
    assert [json.loads(each.content) for each in server.asked[1::2]] == [{"batch": "b-1"}] * 2
