"""Drives an ASGI application in process, message by message: also what no well-behaved client would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

Message = MutableMapping[str, Any]


@dataclass(slots=True)
class Answer:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"] == "application/problem+json"
        told = self.json()
        assert told["status"] == self.status
        assert told["title"]
        assert told["detail"]
        code: str = told["type"].removeprefix("urn:ringback:problem:")
        return code


class Caller:
    """One client of one application."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | Iterable[tuple[bytes, bytes]] = (),
        *,
        parts: Iterable[Message] | None = None,
        leaves: asyncio.Event | None = None,
    ) -> Answer:
        """Send one request. `parts` replaces the body's messages; the client disconnects when `leaves` is set."""
        path, _, query = target.partition("?")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        scope = {
            "type": "http",
            "method": method,
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 1),
            "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in pairs],
        }
        messages = iter(parts if parts is not None else [{"type": "http.request", "body": body, "more_body": False}])
        answer = Answer()

        async def receive() -> Message:
            if (message := next(messages, None)) is not None:
                return message
            await (leaves or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        await self._application(scope, receive, send)
        return answer


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text
