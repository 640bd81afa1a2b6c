"""How a part asks the control plane for what it wants done: over its own HTTP routes, without leaving the process.

So a button on a page does exactly what the command line does, and whoever changes a route has changed both.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from ringback.pages.mounting import Application

_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        return self.status in _OK

    @property
    def value(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


class Inside:
    """Asks an application of this process. Whoever puts the parts together says which, before the first question."""

    def __init__(self) -> None:
        self._application: Application | None = None

    def belongs_to(self, application: Application) -> None:
        """Ask this application from now on."""
        self._application = application

    async def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Told:
        """One request and its answer.

        Args:
            method: in capitals.
            path: as it stands in a URL.
            headers: names in lower case.
            body: sent as it is.
        """
        assert self._application is not None, "nobody has said who is asked"
        raw_path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        }
        unsent: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        statuses: list[int] = []
        parts: list[bytes] = []

        async def receive() -> MutableMapping[str, Any]:
            if not unsent:
                await asyncio.Event().wait()  # the asker stays until it has its answer
            return unsent.pop()

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            else:
                parts.append(message.get("body", b""))

        await self._application(scope, receive, send)
        return Told(status=statuses[0], body=b"".join(parts))
