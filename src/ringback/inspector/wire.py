"""What an inbox is given of a connection beyond ASGI, by the server that runs here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WIRE: Final = "ringback.wire"
"""The name of the ASGI extension that holds a `Wire`, under the key `wire`."""


class Wire(Protocol):
    """One request's connection."""

    names: list[bytes]
    """The header names as they were written, in the order of `scope["headers"]`."""

    def reset(self) -> None:
        """Break the connection so that the other side sees it (TCP RST)."""
        ...

    def close(self) -> None:
        """End the connection in order (TCP FIN), after what has been written."""
        ...


def wire_of(scope: Mapping[str, Any]) -> Wire | None:
    """The request's connection; None where another server or a test has called."""
    found: Wire | None = (scope.get("extensions") or {}).get(WIRE, {}).get("wire")
    return found
