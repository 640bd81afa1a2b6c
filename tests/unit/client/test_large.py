"""Large results fetched and large payloads sent, by both clients: in pieces, and gone on with when they break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ringback.client import AsyncClient, Client
from ringback.core.errors import UnknownWorkload, Unreachable
from unit.client.conftest import Connect, Server, answer, problem, told

LINKED = answer({"id": "w-1", "status": "completed", "result_url": "http://x/y", "timestamp": "2026-01-31"})
WHOLE = b"0123456789" * 100
ETAG = '"0006-abcd"'


def sent(body: bytes, status: int = 200, kind: str = "video/mp4", **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers={"content-type": kind, "etag": ETAG, **headers}, content=body)


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_a_large_result_is_fetched_when_it_is_asked_for(connect: Connect, server: Server) -> None:
    handle = await told(connect(LINKED, sent(b'{"a": 1}', kind="application/json; charset=utf-8")).get("iris", "w-1"))

    assert handle.result_url == "http://x/y"
    assert await told(handle.load()) == {"a": 1}
    assert handle.result == {"a": 1}
    assert await told(handle.load()) == {"a": 1}
    assert server.paths == ["/iris/w-1", "/iris/w-1/result"]


async def test_a_coroutine_must_load_it_first() -> None:
    client = AsyncClient("http://x", transport=httpx2.MockTransport(Server([LINKED])))
    handle = await client.get("iris", "w-1")

    with pytest.raises(RuntimeError, match="load it first"):
        _ = handle.result


def test_the_other_one_need_not() -> None:
    server = Server([LINKED, sent(b"mp4")])
    handle = Client("http://x", transport=httpx2.MockTransport(server)).get("iris", "w-1")

    assert handle.result == b"mp4"
    assert handle.load() == b"mp4"


async def test_a_small_result_is_there_already(connect: Connect) -> None:
    small = answer({"id": "w-1", "status": "completed", "result": None, "timestamp": "2026-01-31"})
    handle = await told(connect(small).get("iris", "w-1"))

    assert (handle.result_url, handle.result, await told(handle.load())) == (None, None, None)


async def test_into_a_file(connect: Connect, tmp_path: Path) -> None:
    client = connect(LINKED, sent(WHOLE))
    handle = await told(client.get("iris", "w-1"))

    path = await told(handle.download(tmp_path / "out.mp4"))

    assert path == tmp_path / "out.mp4"
    assert path.read_bytes() == WHOLE
    assert names_in(tmp_path) == ["out.mp4"]


async def test_a_problem_is_raised_and_nothing_is_left(connect: Connect, tmp_path: Path) -> None:
    client = connect(problem(404, "unknown_workload"))

    with pytest.raises(UnknownWorkload):
        await told(client.download("iris", "w-1", tmp_path / "out.mp4"))
    assert names_in(tmp_path) == []


async def test_what_is_no_answer_of_ours(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await told(connect(httpx2.Response(502, content=b"bad gateway")).result("iris", "w-1"))
    with pytest.raises(Unreachable):
        await told(connect(httpx2.Response(204)).result("iris", "w-1"))


# ── Broken on the way ───────────────────────────────────────────────────────────────────────────────


class Breaking(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Some bytes, then the connection breaks."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data
        raise httpx2.ReadError("reset by peer")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        raise httpx2.ReadError("reset by peer")


def client_of(kind: type[Any], replies: list[httpx2.Response], asked: list[httpx2.Request]) -> Any:
    def give(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return replies.pop(0)

    return kind("http://x", transport=httpx2.MockTransport(give))


def breaking(data: bytes, status: int = 200, etag: str = ETAG) -> httpx2.Response:
    return httpx2.Response(status, headers={"etag": etag, "content-type": "text/plain"}, stream=Breaking(data))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_a_broken_connection_is_gone_on_with(kind: type[Any], tmp_path: Path) -> None:
    asked: list[httpx2.Request] = []
    replies = [breaking(WHOLE[:300]), breaking(WHOLE[300:700], 206), sent(WHOLE[700:], 206)]

    path = await told(client_of(kind, replies, asked).download("iris", "w-1", tmp_path / "out"))

    assert path.read_bytes() == WHOLE
    assert [request.headers.get("range") for request in asked] == [None, "bytes=300-", "bytes=700-"]
    assert {request.headers.get("if-range") for request in asked[1:]} == {ETAG}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_a_result_that_has_become_another_is_begun_anew(kind: type[Any], tmp_path: Path) -> None:
    replies = [breaking(WHOLE[:300]), breaking(b"an", 200, '"new"'), sent(b"other", 206)]

    path = await told(client_of(kind, replies, []).download("iris", "w-1", tmp_path / "out"))

    assert path.read_bytes() == b"another"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_in_the_end_it_gives_up(kind: type[Any], tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await told(client_of(kind, [breaking(b"") for _ in range(9)], []).download("iris", "w-1", tmp_path / "out"))
    assert names_in(tmp_path) == []


# ── Payloads ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "video/mp4"), ("a.json", "application/json"), ("a", None)])
async def test_a_file_is_sent_as_it_is_read(
    connect: Connect, server: Server, tmp_path: Path, name: str, kind: str | None
) -> None:
    (tmp_path / name).write_bytes(WHOLE)

    await told(connect(answer({"id": "w-1"})).submit("iris", tmp_path / name))

    [request] = server.asked
    assert request.headers["content-type"] == (kind or "application/octet-stream")
    assert request.headers["content-length"] == "1000"
    assert "transfer-encoding" not in request.headers
    assert request.content == WHOLE
