"""How a part with pages is hung into the gateway: which paths are its own, and which of them are open to all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

_Message = MutableMapping[str, Any]
Application = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI 3 application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """An ASGI application and its place.

    The gateway calls it with whole paths (nothing is cut off in front), and only after it has seen that the request may
    be made: Host, API key or session, origin and form token. `pages.visitor_of` then tells who asks. Errors of
    `core.errors` that it raises before it has begun to answer become a problem, or a page for a browser.
    """

    paths: tuple[str, ...]
    """Each stands for itself and everything below it, but `/` for itself alone, when a browser asks."""
    application: Application
    open_paths: tuple[str, ...] = ()
    """Likewise. Requests to them are not checked in any way, whatever their method: the application judges alone."""

    def holds(self, path: str) -> bool:
        """Whether a request to this path is its own."""
        return _is_under(path, self.paths)

    def is_open(self, path: str) -> bool:
        """Whether this path is open to all."""
        return _is_under(path, self.open_paths)


def _is_under(path: str, places: tuple[str, ...]) -> bool:
    return any(path == each or (path.startswith(each) and path[len(each)] == "/" != each) for each in places)
