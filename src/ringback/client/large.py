"""Payloads that are files, and results too large to be told: sent and fetched in pieces, gone on with when they break.

What is said and understood stands once, in `Fetch`; the two clients only send.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import httpx2

from ringback.client import protocol
from ringback.client.protocol import Request
from ringback.core.errors import RingbackError

PIECE_BYTES: Final = 1024 * 1024

_TRIES: Final = 5
TIMEOUT_SECONDS: Final = 30.0
"""For each step of a request; an answer that the server was asked to hold may take that much longer."""
_JSON: Final = "application/json"


class Fetch:
    """One result on its way into a file, over as many answers as it takes."""

    def __init__(self, api: str, workload_id: str, file: IO[bytes]) -> None:
        self._api = api
        self._id = workload_id
        self._file = file
        self._etag: str | None = None
        self._at = 0
        self._tries = _TRIES

    def request(self) -> Request:
        """For what is still missing of the very result that was begun with."""
        headers: dict[str, str] = {}
        if self._at and self._etag is not None:
            headers = {"range": f"bytes={self._at}-", "if-range": self._etag}
        return Request(method="GET", path=protocol.path_of(self._api, self._id, "result"), headers=headers)

    def begins(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether what follows is (the rest of) the result; otherwise it is a problem."""
        if status == 200:
            self._etag, self._at = headers.get("etag"), 0
            self._file.seek(0)
            self._file.truncate()
        return status in {200, 206}

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._at += len(piece)
        self._tries = _TRIES

    def broke(self, url: str, error: Exception) -> None:
        """Go on after a broken connection.

        Raises:
            Unreachable: that has been tried often enough.
        """
        self._tries -= 1
        if self._tries == 0:
            raise protocol.unreachable(url, error) from error


def fetched(http: httpx2.Client, fetch: Fetch) -> str:
    """Bring a result into its file; its content type.

    Raises:
        RingbackError: the server has none, or cannot be reached.
    """
    while True:
        try:
            answer = http.send(built(http, fetch.request()), stream=True)
            with contextlib.closing(answer):
                if not fetch.begins(answer.status_code, answer.headers):
                    answer.read()
                    raise _problem(answer)
                for piece in answer.iter_bytes():
                    fetch.write(piece)
                return str(answer.headers.get("content-type", ""))
        except httpx2.RequestError as error:
            fetch.broke(str(http.base_url), error)


async def fetched_async(http: httpx2.AsyncClient, fetch: Fetch) -> str:
    """As `fetched`."""
    while True:
        try:
            answer = await http.send(built(http, fetch.request()), stream=True)
            async with contextlib.aclosing(answer):
                if not fetch.begins(answer.status_code, answer.headers):
                    await answer.aread()
                    raise _problem(answer)
                async for piece in answer.aiter_bytes():
                    fetch.write(piece)
                return str(answer.headers.get("content-type", ""))
        except httpx2.RequestError as error:
            fetch.broke(str(http.base_url), error)


def built(http: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    """The request as httpx sends it; the bytes of a file are read as they are sent."""
    content, headers = request.content, dict(request.headers)
    body: bytes | Iterator[bytes] | AsyncIterator[bytes] | None
    if isinstance(content, Path):
        headers["content-length"] = str(content.stat().st_size)
        body = _pieces_of_async(content) if isinstance(http, httpx2.AsyncClient) else _pieces_of(content)
    else:
        body = content
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.query),
        headers=headers,
        content=body,
        timeout=httpx2.Timeout(TIMEOUT_SECONDS, read=request.held_seconds + TIMEOUT_SECONDS),
    )


def value_of(content_type: str, file: IO[bytes]) -> Any:
    """A result that has been fetched: parsed if it is JSON, its bytes otherwise."""
    file.seek(0)
    body = file.read()
    return json.loads(body) if content_type.partition(";")[0].strip() == _JSON else body


@contextlib.contextmanager
def partial(path: Path | str) -> Iterator[tuple[IO[bytes], Path]]:
    """A file beside the path, which takes its name once all is well, and goes otherwise."""
    target = Path(path)
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("w+b") as file:
            yield file, target
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _pieces_of(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


async def _pieces_of_async(file: Path) -> AsyncIterator[bytes]:
    with contextlib.ExitStack() as stack:
        opened = await asyncio.to_thread(lambda: stack.enter_context(file.open("rb")))
        while piece := await asyncio.to_thread(opened.read, PIECE_BYTES):
            yield piece


def _problem(answer: httpx2.Response) -> RingbackError:
    """What the server has told of."""
    try:
        protocol.read(
            answer.status_code, answer.content, url=str(answer.url), retry_after=answer.headers.get("retry-after")
        )
    except RingbackError as error:
        return error
    return protocol.not_ours("a result")
