"""How this server is: alive, ready, and its figures. Every server answers for itself, whatever its roles.

Alive asks nothing of anybody: to start again mends no database that is away. Ready is about this server's own roles:
a gateway takes work in that a worker elsewhere will run, also one that has yet to come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.agreement import count_differing, digests
from ringback.core.errors import MethodNotAllowed
from ringback.core.roles import Role
from ringback.core.spec import Api
from ringback.gateway.methods import METHODS
from ringback.store.contract import Store

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Asked by those that start and stop servers, which have no API key."""


class Health:
    """The routes for those that watch over servers."""

    def __init__(self, store: Store, apis: Mapping[str, Api], metrics: Callable[[], Awaitable[bytes]]) -> None:
        self._store = store
        self._apis = apis
        self._digests = digests(apis.values())
        self._metrics = metrics
        self.is_draining = False
        self.routes = [
            Route("/healthz", self._healthz, methods=list(METHODS)),
            Route("/readyz", self._readyz, methods=list(METHODS)),
            Route("/metrics", self._prometheus, methods=list(METHODS)),
        ]

    def of_api(self, api: Api) -> dict[str, Any]:
        """How an API's replicas stand, over all members, how many members run it and send for it, and how many have it
        otherwise in their file than this one.
        """
        state = self._store.replicas(api.name)
        counts = {
            "replicas": state.ready,
            "starting": state.starting,
            "workers": len(self._store.serving(api.name)),
            "dispatchers": len(self._store.roster(Role.DISPATCHER)),
            "differing": count_differing(
                self._digests, api.name, (fellow.about.apis for fellow in self._store.fellows())
            ),
        }
        return {"ready": state.takes_work, **counts, "preparing": state.preparing, "problem": state.problem}

    async def _healthz(self, request: Request) -> Response:
        return _json(request, {"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        has_store = self._store.holds_lease
        ready = not self.is_draining and has_store and all(map(self._runs_here, self._apis.values()))
        told = {
            "ready": ready,
            "draining": self.is_draining,
            "roles": [role for role in Role if role in self._store.roles],
            "store": "ok" if has_store else "out of reach",
            "apis": {api.name: self.of_api(api) for api in self._apis.values()},
        }
        return _json(request, told, 200 if ready else 503)

    async def _prometheus(self, request: Request) -> Response:
        _only_get(request)
        return Response(await self._metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _runs_here(self, api: Api) -> bool:
        """Whether this member does its part for an API: nothing, or has a replica that works if it is to have any."""
        return Role.WORKER not in self._store.roles or self._store.own_replicas(api.name).takes_work


def _json(request: Request, value: Any, status: int = 200) -> Response:
    _only_get(request)
    return Response(orjson.dumps(value), status, media_type="application/json")


def _only_get(request: Request) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(f"{request.url.path} can only be read", allowed=("GET", "HEAD"))
