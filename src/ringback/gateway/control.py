"""Everything that is asked for seldom, on Starlette: listings, single results, health, metrics, the control plane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from ringback import __version__
from ringback.core.errors import MethodNotAllowed, NotFound, UnknownApi
from ringback.core.spec import Api
from ringback.gateway import answers, incoming
from ringback.gateway.health import Health
from ringback.gateway.keyset import KeySet
from ringback.gateway.methods import METHODS
from ringback.gateway.openapi import openapi
from ringback.gateway.overview import Overview, status_of
from ringback.gateway.reading import limit_of
from ringback.gateway.streams import Streams
from ringback.store.contract import Store

JWKS_PATH: Final = "/.well-known/ringback/jwks.json"
"""Open without an API key: receivers have none, and public keys are for everyone."""

_JWKS_SECONDS: Final = 300
"""How long a receiver may keep the key set; a replaced key signs on far longer."""
_LIST_PARAMETERS: Final = frozenset({"status", "limit", "cursor"})


class ControlPlane:
    """The routes that are not hot."""

    def __init__(
        self,
        store: Store,
        apis: Mapping[str, Api],
        metrics: Callable[[], Awaitable[bytes]],
        others: Sequence[Route],
    ) -> None:
        """Put the routes together; `others` are more of them, which go first."""
        self._store = store
        self._apis = apis
        self.health = Health(store, apis, metrics)
        self._document = orjson.dumps(openapi(list(apis.values())), option=orjson.OPT_INDENT_2)
        self._keys = KeySet(store, apis.values())
        self.streams = Streams(store, apis)
        self.router = Router(
            routes=[
                *others,
                *Overview(store, apis).routes,
                *self.health.routes,
                *(
                    Route(path, handler, methods=list(METHODS))
                    for path, handler in (
                        ("/", self._index),
                        ("/openapi.json", self._openapi),
                        (JWKS_PATH, self._key_set),
                        ("/-/apis", self._list_apis),
                        ("/{api}", self._list_workloads),
                    )
                ),
                *self.streams.routes,
            ],
            default=self._nothing,
            redirect_slashes=False,
        )

    # ── The server ──────────────────────────────────────────────────────────────────────────────

    async def _index(self, request: Request) -> Response:
        apis = [{"name": api.name, "submit": f"/{api.endpoint}"} for api in self._apis.values()]
        links = {"openapi": "/openapi.json", "health": "/healthz", "ready": "/readyz", "metrics": "/metrics"}
        return _json(request, {"ringback": __version__, "apis": apis, **links})

    async def _openapi(self, request: Request) -> Response:
        _only_get(request)
        return Response(self._document, media_type="application/json")

    async def _key_set(self, request: Request) -> Response:
        _only_get(request)
        headers = {"Cache-Control": f"public, max-age={_JWKS_SECONDS}"}
        return Response(self._keys.json(), headers=headers, media_type="application/jwk-set+json")

    # ── Workloads ───────────────────────────────────────────────────────────────────────────────

    async def _list_workloads(self, request: Request) -> Response:
        api = self._api(request.path_params["api"])
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(
                f"{request.method} is not for /{api.endpoint}; POST submits, GET lists", allowed=("GET", "HEAD", "POST")
            )
        parameters = incoming.parameters_of(request.scope, _LIST_PARAMETERS)
        page = await self._store.page(
            [api.name],
            status=status_of(parameters.get("status")),
            limit=limit_of(parameters.get("limit")),
            cursor=parameters.get("cursor"),
        )
        told = {"workloads": [answers.summary(each) for each in page.workloads], "cursor": page.cursor}
        return _json(request, told)

    # ── Control ─────────────────────────────────────────────────────────────────────────────────

    async def _list_apis(self, request: Request) -> Response:
        depths, ages = await self._store.depths(), await self._store.queue_ages()
        apis = []
        for api in self._apis.values():
            depth = depths.get(api.name)
            queue = {"in_queue": depth.in_queue if depth else 0, "in_progress": depth.in_progress if depth else 0}
            webhooks = [{"endpoint": hook.key, "url": hook.shown_url} for hook in api.webhooks]
            told = {"name": api.name, "path": f"/{api.endpoint}", "webhooks": webhooks}
            apis.append({**told, **self.health.of_api(api), **queue, "oldest_seconds": ages.get(api.name)})
        return _json(request, {"apis": apis})

    async def _nothing(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI's signature
        raise NotFound(f"there is nothing at {scope['path'][:200]!r}")

    def _api(self, segment: str) -> Api:
        return find_api(self._apis, segment)


def find_api(apis: Mapping[str, Api], segment: str) -> Api:
    """The API that answers under a path segment.

    Raises:
        UnknownApi: none does.
    """
    api = apis.get(segment)
    if api is None:
        served: Sequence[str] = sorted(apis)
        raise UnknownApi(f"no API answers at /{segment[:80]}; served are {', '.join('/' + each for each in served)}")
    return api


def _json(request: Request, value: Any, status: int = 200) -> Response:
    _only_get(request)
    return Response(orjson.dumps(value), status, media_type="application/json")


def _only_get(request: Request) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(f"{request.url.path} can only be read", allowed=("GET", "HEAD"))
