"""Both clients over answers written down beforehand: what is said of one holds for the other."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from ringback.client import AsyncClient, Client

URL = "http://127.0.0.1:8080"

Reply = httpx2.Response | Exception


@dataclass(slots=True)
class Server:
    """Gives its replies in their order, the last one for ever, and remembers what it was asked."""

    replies: list[Reply] = field(default_factory=list)
    asked: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        # A new one each time: a client consumes what it is given.
        return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)

    @property
    def paths(self) -> list[str]:
        return [request.url.raw_path.decode() for request in self.asked]


def answer(value: Any, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, content=json.dumps(value))


def problem(status: int, code: str, detail: str = "because", **headers: str) -> httpx2.Response:
    body = {"type": f"urn:ringback:problem:{code}", "title": "x", "status": status, "detail": detail}
    return httpx2.Response(
        status, headers={"content-type": "application/problem+json", **headers}, content=json.dumps(body)
    )


async def told(value: Any) -> Any:
    """What a client of either kind answers."""
    return await value if inspect.isawaitable(value) else value


async def listed(values: Any) -> list[Any]:
    """Everything an iterator of either kind yields."""
    return list(values) if isinstance(values, Iterable) else [each async for each in values]


Connect = Callable[..., Any]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(params=[Client, AsyncClient])
def connect(request: pytest.FixtureRequest, server: Server) -> Connect:
    """Makes a client of either kind that talks to `server`, which is given its replies."""

    def connect(*replies: Reply, url: str = URL, api_key: str | None = None) -> Any:
        server.replies[:] = replies
        return request.param(url, api_key=api_key, transport=httpx2.MockTransport(server))

    return connect
