"""Where the server is, and one request's way there and back: what every part of a client stands on."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from ringback.client import large, protocol
from ringback.client.protocol import Request

DEFAULT_URL: Final = "http://127.0.0.1:8080"

_TRIES: Final = 3


class Connection:
    """Sends requests to one server. A context manager, or to be closed."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        base = _base(self.url)
        self._http = httpx2.Client(base_url=base, headers=_headers(api_key), verify=_trust(base), transport=transport)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, request: Request) -> Any:
        return read_answer(self._answer(request), self.url)

    def _answer(self, request: Request) -> httpx2.Response:
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._http.send(large.built(self._http, request))
            except httpx2.RequestError as error:
                if tries_left == 0 or not (request.is_repeatable and _is_worth_repeating(error)):
                    raise protocol.unreachable(self.url, error) from error
        raise AssertionError("the last try returns or raises")


class AsyncConnection:
    """As `Connection`, from a coroutine."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        base = _base(self.url)
        self._http = httpx2.AsyncClient(
            base_url=base, headers=_headers(api_key), verify=_trust(base), transport=transport
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, request: Request) -> Any:
        return read_answer(await self._answer(request), self.url)

    async def _answer(self, request: Request) -> httpx2.Response:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._http.send(large.built(self._http, request))
            except httpx2.RequestError as error:
                if tries_left == 0 or not (request.is_repeatable and _is_worth_repeating(error)):
                    raise protocol.unreachable(self.url, error) from error
        raise AssertionError("the last try returns or raises")


def _headers(api_key: str | None) -> dict[str, str]:
    if api_key is None:
        return {}
    protocol.check_header("Authorization", api_key)
    return {"Authorization": f"Bearer {api_key}"}


def _base(url: str) -> httpx2.URL:
    try:
        return httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise protocol.unreachable(url, error) from error


def _trust(url: httpx2.URL) -> ssl.SSLContext | bool:
    """Whom to believe: httpx's authorities; over plain HTTP nobody, for to load them takes longer than to ask."""
    return url.scheme != "http" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def read_answer(answer: httpx2.Response, url: str) -> Any:
    """The JSON of a good answer. Raises as `protocol.read`."""
    return protocol.read(answer.status_code, answer.content, url=url, retry_after=answer.headers.get("retry-after"))


def _is_worth_repeating(error: httpx2.RequestError) -> bool:
    """Whether another try may help: after a broken connection.

    Nobody listening, a slow server or an answer that cannot be read will be the same again.
    """
    return isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError) and not isinstance(
        error, httpx2.ConnectError
    )
