"""The inspector as one ASGI application: inboxes that take anything, and the pages and the API to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.routing import Router

from ringback.core.errors import NotFound
from ringback.core.inbox import CAPTURE_PATH, DEFAULTS, PATH
from ringback.core.netguard import Guard
from ringback.core.spec import Api
from ringback.inspector.capture_routes import CaptureRoutes
from ringback.inspector.capturing import Capturing, is_capture
from ringback.inspector.desk import Desk
from ringback.inspector.forwarding import Forwarder
from ringback.inspector.inbox_routes import InboxRoutes
from ringback.inspector.judging import Judge
from ringback.inspector.streaming import Streaming
from ringback.inspector.wire import Receive, Scope, Send
from ringback.pages import Mount, Pages
from ringback.store.contract import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where the inspector is reached, and what it may reach."""

    base_url: str
    """Where senders reach the server, as inboxes' URLs are shown."""
    own_url: str
    """Where the server listens, for replays to its own inboxes."""
    guard: Guard
    """What captures may be sent on to: what it allows, and nothing else."""
    read_bytes: int = 64 * 2**20
    """The most of a body that is read at all."""


class Inspector:
    """Captures requests, and shows them."""

    def __init__(self, store: Store, apis: Sequence[Api], pages: Pages, reach: Reach) -> None:
        self._store = store
        self._judge = Judge(store, apis)
        self._streaming = Streaming(store=store)
        self._forwarder = Forwarder(reach.guard, store.clock, own_url=reach.own_url)
        self._capturing = Capturing(store, self._forwarder, read_bytes=reach.read_bytes)
        desk = Desk(
            store=store,
            judge=self._judge,
            streaming=self._streaming,
            forwarder=self._forwarder,
            pages=pages,
            base_url=reach.base_url,
        )
        routes = [*CaptureRoutes(desk).routes, *InboxRoutes(desk).routes]
        self._router = Router(routes=routes, default=self._nothing, redirect_slashes=False)

    @property
    def mount(self) -> Mount:
        """How it is hung into the gateway: all of it behind the key, but for the inboxes themselves."""
        return Mount(paths=(PATH,), application=self, open_paths=(CAPTURE_PATH,))

    async def start(self) -> None:
        """Make the inboxes that endpoints of the file lead to, so that the first webhook finds one."""
        for inbox_id, endpoints in self._judge.served.items():
            await self._store.inboxes.make(inbox_id, f"rung by {endpoints[0].key}", DEFAULTS)

    def close_streams(self) -> None:
        """End what would keep a connection open: streams, and senders kept waiting, now and later."""
        self._streaming.close()
        self._capturing.close_lines()

    async def close(self) -> None:
        """End all of it: nothing is sent on any more."""
        self.close_streams()
        await self._capturing.close()
        await self._forwarder.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_capture(scope["path"]):
            await self._capturing.take(scope, receive, send)
        else:
            await self._router(scope, receive, send)

    async def _nothing(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI's signature
        raise NotFound(f"there is nothing at {scope['path'][:200]!r}")
