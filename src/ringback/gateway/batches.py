"""Batches as they stand: listed, counted, their workloads and results in the order of their lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ringback.core.batch import CONTENT_TYPE, Batch
from ringback.core.clock import isoformat
from ringback.core.errors import UnknownApi
from ringback.core.spec import Api
from ringback.core.workload import Status, Workload
from ringback.gateway import answers, incoming
from ringback.gateway.methods import METHODS
from ringback.gateway.overview import status_of
from ringback.gateway.reading import json_answer, limit_of, must_be
from ringback.store.contract import Batches

_LIST: Final = frozenset({"api", "limit", "cursor"})
_WORKLOADS: Final = frozenset({"status", "limit", "cursor"})
_RESULTS_AT_ONCE: Final = 100


class BatchRoutes:
    """The routes under `/-/batches`."""

    def __init__(self, batches: Batches, apis: Mapping[str, Api], url_of: Callable[[Workload], str]) -> None:
        self._batches = batches
        self._apis = {name: api.name for api in apis.values() for name in (api.endpoint, api.name)}
        self._url_of = url_of

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/-/batches", self._list, methods=list(METHODS)),
            Route("/-/batches/{batch_id}", self._one, methods=list(METHODS)),
            Route("/-/batches/{batch_id}/workloads", self._workloads, methods=list(METHODS)),
            Route("/-/batches/{batch_id}/results", self._results, methods=list(METHODS)),
        ]

    async def _list(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        parameters = incoming.parameters_of(request.scope, _LIST)
        page = await self._batches.find(
            self._api(parameters.get("api")), limit=limit_of(parameters.get("limit")), cursor=parameters.get("cursor")
        )
        return json_answer({"batches": [told_of(each) for each in page.batches], "cursor": page.cursor})

    async def _one(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        return json_answer(told_of(await self._asked(request)))

    async def _workloads(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        parameters = incoming.parameters_of(request.scope, _WORKLOADS)
        batch = await self._asked(request)
        page = await self._batches.page(
            batch.seq,
            status=status_of(parameters.get("status")),
            limit=limit_of(parameters.get("limit")),
            cursor=parameters.get("cursor"),
        )
        return json_answer({"workloads": [answers.summary(each) for each in page.workloads], "cursor": page.cursor})

    async def _results(self, request: Request) -> Response:
        """Each workload as a poll would tell of it, one a line, in the order of the lines that were submitted."""
        must_be(request, "GET", "HEAD")
        incoming.parameters_of(request.scope, frozenset())
        batch = await self._asked(request)
        return StreamingResponse(self._told(batch), media_type=CONTENT_TYPE)

    async def _told(self, batch: Batch) -> AsyncIterator[bytes]:
        cursor: str | None = None
        while True:
            page = await self._batches.page(batch.seq, status=None, limit=_RESULTS_AT_ONCE, cursor=cursor)
            yield b"".join(self._line(each) for each in page.workloads)
            cursor = page.cursor
            if cursor is None:
                return

    def _line(self, workload: Workload) -> bytes:
        is_gone = workload.status is Status.COMPLETED and workload.result is None and workload.blob is None
        if is_gone:  # retention, or its owner, has erased it
            return orjson.dumps({"id": workload.id, "status": workload.status.value, "erased": True}) + b"\n"
        return answers.state(workload, None if workload.blob is None else self._url_of(workload)) + b"\n"

    async def _asked(self, request: Request) -> Batch:
        return await self._batches.get(request.path_params["batch_id"])

    def _api(self, text: str | None) -> str | None:
        if text is None:
            return None
        if text not in self._apis:
            served = ", ".join(sorted(set(self._apis.values())))
            raise UnknownApi(f"no API {text[:80]!r} is served; served are {served}")
        return self._apis[text]


def told_of(batch: Batch) -> dict[str, Any]:
    """A batch as JSON."""
    counts = batch.counts
    return {
        "batch": batch.id,
        "api": batch.api,
        "status": batch.status.value,
        "counts": {
            "in_queue": max(0, counts.total - counts.ended - batch.in_progress),
            "in_progress": batch.in_progress,
            "completed": counts.completed,
            "failed": counts.failed,
            "canceled": counts.canceled,
            "total": counts.total,
        },
        "submitted_at": isoformat(batch.submitted_at),
        "finished_at": None if batch.finished_at is None else isoformat(batch.finished_at),
    }
