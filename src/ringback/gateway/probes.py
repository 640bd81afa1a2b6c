"""What a server without the gateway role answers: whether it lives, whether it is ready, its figures; nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.routing import Router

from ringback.core.emit import Emit
from ringback.core.errors import NotFound, RingbackError
from ringback.core.spec import Api
from ringback.gateway.admission import Admission
from ringback.gateway.health import OPEN_PATHS, Health
from ringback.gateway.incoming import Receive, Scope, Send
from ringback.gateway.problems import internal, is_for_operators, problem
from ringback.gateway.rules import Rules
from ringback.pages import Sessions
from ringback.store.contract import Store


class Probes:
    """An ASGI 3 application for those that watch over servers."""

    def __init__(
        self,
        store: Store,
        apis: Sequence[Api],
        emit: Emit,
        *,
        rules: Rules,
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._emit = emit
        self._roles = ", ".join(sorted(store.roles))
        self._admission = Admission(
            rules.api_keys, rules.hosts, Sessions(store.link_key, rules.api_keys, store.clock, store.logouts)
        )
        self._health = Health(store, {api.endpoint: api for api in apis}, metrics)
        self._router = Router(routes=self._health.routes, default=self._elsewhere, redirect_slashes=False)

    def close_to_new(self) -> None:
        """Be ready no more."""
        self._health.is_draining = True

    def end_streams(self) -> None:
        """Nobody follows anything here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is spoken here, not {scope['type']}")
        try:
            if scope["path"] not in OPEN_PATHS:
                self._admission.admit(scope)
            await self._router(scope, receive, send)
            return
        except RingbackError as error:
            if is_for_operators(error):
                self._emit("store.fault", act="answering a request", error=error)
            status, headers, body = problem(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer says that there was something
            self._emit("gateway.failed", route=f"{scope['method']} {scope['path']}", error=repr(error))
            status, headers, body = problem(internal())
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _elsewhere(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI's signature
        raise NotFound(
            f"this server is {self._roles} and answers /healthz, /readyz and /metrics alone; "
            f"ask one that has the gateway role for {scope['path'][:200]!r}"
        )
