"""Webhooks seen and mended: deliveries found, explained and sent again.

Whatever it sends goes the same way as everything else: it writes to the store, and the dispatcher does the sending.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.clock import Instant
from ringback.core.delivery import DeliveryRecord, DeliveryState
from ringback.core.errors import Conflict, InvalidParameter, InvalidPayload, UnknownDelivery
from ringback.core.registration import REGISTERED_PREFIX
from ringback.core.spec import Api
from ringback.gateway import incoming, telling
from ringback.gateway.directory import Directory
from ringback.gateway.reading import json_answer, limit_of, moment_of, must_be, object_of
from ringback.store.contract import Store

_PORTION: Final = 500
_PARAMETERS: Final = frozenset({"api", "id", "endpoint", "state", "limit", "cursor"})


class Repair:
    """The routes under `/-/deliveries`."""

    def __init__(self, store: Store, apis: Mapping[str, Api], directory: Directory) -> None:
        self._store = store
        self._apis = apis
        self._directory = directory

    @property
    def routes(self) -> list[Route]:
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return [
            Route(path, handler, methods=methods)
            for path, handler in (
                ("/-/deliveries", self._list),
                ("/-/deliveries/recover", self._recover),
                ("/-/deliveries/{id}", self._show),
                ("/-/deliveries/{id}/replay", self._replay),
                ("/-/deliveries/{id}/skip", self._skip),
            )
        ]

    async def _list(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        parameters = incoming.parameters_of(request.scope, _PARAMETERS)
        if "id" in parameters or "api" in parameters:
            return await self._of_workload(parameters)
        endpoint = parameters.get("endpoint")
        if endpoint is not None:
            await self._must_have_been(endpoint)
        page = await self._store.find_deliveries(
            endpoint=endpoint,
            state=_state(parameters.get("state")),
            limit=limit_of(parameters.get("limit")),
            cursor=parameters.get("cursor"),
        )
        return json_answer({"deliveries": list(map(self._summary, page.deliveries)), "cursor": page.cursor})

    async def _of_workload(self, parameters: Mapping[str, str]) -> Response:
        """All deliveries of one workload, each with its attempts."""
        try:
            segment, workload_id = parameters["api"], parameters["id"]
        except KeyError as missing:
            raise InvalidParameter(f"the parameter {missing} is missing; ask for ?api=…&id=…") from None
        api = self._apis.get(segment)
        name = segment if api is None else api.name
        await self._store.get(name, workload_id)
        records = await self._store.deliveries(name, workload_id)
        return json_answer({"deliveries": [self._whole(each) for each in records], "cursor": None})

    async def _show(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        return json_answer(self._whole(await self._store.delivery(_seq(request))))

    async def _replay(self, request: Request) -> Response:
        must_be(request, "POST")
        seq = _seq(request)
        endpoint = (await self._store.delivery(seq)).endpoint
        if self._directory.get(endpoint) is None:
            was = "was removed" if endpoint.startswith(REGISTERED_PREFIX) else "is no longer in the file"
            raise Conflict(f"there is nowhere to send it: its endpoint {endpoint[:80]} {was}")
        await self._store.replay(seq)
        return json_answer(self._whole(await self._store.delivery(seq)))

    async def _skip(self, request: Request) -> Response:
        must_be(request, "POST")
        seq = _seq(request)
        await self._store.skip(seq)
        return json_answer(self._whole(await self._store.delivery(seq)))

    async def _recover(self, request: Request) -> Response:
        must_be(request, "POST")
        wanted = await object_of(request, {"endpoint", "since"})
        endpoint = wanted.get("endpoint")
        if not isinstance(endpoint, str):
            raise InvalidPayload('the key endpoint is missing; send for example {"endpoint": "iris", "since": "2h"}')
        self._directory.find(endpoint)
        since = moment_of("since", wanted.get("since"), self._store.clock.now()) or Instant(0)
        backlog = (await self._store.backlogs()).get(endpoint)
        parked, recovered = 0 if backlog is None else backlog.parked, 0
        while recovered < parked:  # no more than there were: what is given up meanwhile is not taken twice
            portion = await self._store.recover(endpoint, since, min(_PORTION, parked - recovered))
            recovered += portion
            if not portion:
                break
        return json_answer({"endpoint": endpoint, "recovered": recovered})

    def _summary(self, record: DeliveryRecord) -> dict[str, Any]:
        key, store = record.endpoint, self._store
        return telling.summary(record, store.paused(key), is_tripped=key in store.tripped)

    def _whole(self, record: DeliveryRecord) -> dict[str, Any]:
        key, store = record.endpoint, self._store
        return telling.whole(record, store.paused(key), is_tripped=key in store.tripped)

    async def _must_have_been(self, endpoint: str) -> None:
        """Let ask for deliveries of endpoints that there are, and of those that have left some behind."""
        if not endpoint.startswith(REGISTERED_PREFIX) and endpoint not in await self._store.backlogs():
            self._directory.find(endpoint)


def _seq(request: Request) -> int:
    text: str = request.path_params["id"]
    digits = text.removeprefix(telling.ID_PREFIX)
    if text == digits or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UnknownDelivery(f"there is no delivery {text[:80]!r}; ids begin with {telling.ID_PREFIX}")
    return int(digits)


def _state(text: str | None) -> DeliveryState | None:
    if text is None:
        return None
    try:
        return DeliveryState(text)
    except ValueError:
        raise InvalidParameter(f"state={text[:40]!r} is none of {', '.join(DeliveryState)}") from None
