"""Workloads as an operator sees them: over all APIs, and one with all that has happened to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.clock import SECOND, Instant, isoformat
from ringback.core.delivery import DeliveryState
from ringback.core.errors import Erased, InvalidParameter, MethodNotAllowed, UnknownApi, UnknownWorkload
from ringback.core.spec import Api
from ringback.core.workload import AttemptRecord, Status, WorkloadRecord
from ringback.gateway import answers, incoming
from ringback.gateway.reading import limit_of
from ringback.store.contract import Store

_LIST: Final = frozenset({"api", "status", "q", "limit", "cursor"})
_ONE: Final = frozenset({"api"})
_WORDS_MOST: Final = 200


class Overview:
    """The routes under `/-/workloads`."""

    def __init__(self, store: Store, apis: Mapping[str, Api]) -> None:
        self._store = store
        self._apis = {api.name: api for api in apis.values()}
        self._names = {api.endpoint: api.name for api in apis.values()}

    @property
    def routes(self) -> list[Route]:
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return [
            Route("/-/workloads", self._list, methods=methods),
            Route("/-/workloads/{workload_id}", self._one, methods=methods),
        ]

    async def _list(self, request: Request) -> Response:
        _only_read(request)
        parameters = incoming.parameters_of(request.scope, _LIST)
        words = parameters.get("q", "").strip()
        if len(words) > _WORDS_MOST:
            raise InvalidParameter(f"q is {len(words)} characters long; search for {_WORDS_MOST} at most")
        page = await self._store.page(
            self._wanted(parameters),
            status=status_of(parameters.get("status")),
            limit=limit_of(parameters.get("limit")),
            cursor=parameters.get("cursor"),
            words=words or None,
        )
        told = [{"api": each.api, **answers.summary(each)} for each in page.workloads]
        return _json({"workloads": told, "cursor": page.cursor})

    async def _one(self, request: Request) -> Response:
        _only_read(request)
        parameters = incoming.parameters_of(request.scope, _ONE)
        return _json(self._told(await self._find(request.path_params["workload_id"], self._wanted(parameters))))

    async def _find(self, workload_id: str, names: Sequence[str]) -> WorkloadRecord:
        """The one workload of that id.

        Raises:
            UnknownWorkload: none of the APIs has one.
            Erased: one had, and it has been erased.
            InvalidParameter: several have.
        """
        found: list[WorkloadRecord] = []
        erased: Erased | None = None
        for name in names:
            try:
                found.append(await self._store.describe(name, workload_id))
            except UnknownWorkload:
                continue
            except Erased as error:
                erased = error
        if len(found) > 1:
            having = " and ".join(each.workload.api for each in found)
            raise InvalidParameter(f"{having} have a workload {workload_id} each; name one with ?api=")
        if found:
            return found[0]
        raise erased or UnknownWorkload(f"there is no workload {workload_id[:140]} of {' or '.join(names)}")

    def _wanted(self, parameters: Mapping[str, str]) -> list[str]:
        """The names of the APIs that are asked about, by name or by endpoint; all that are served by default."""
        text = parameters.get("api")
        if text is None:
            return list(self._apis)
        name = self._names.get(text, text)
        if name not in self._apis:
            raise UnknownApi(f"no API {text[:80]!r} is served; served are {', '.join(sorted(self._apis))}")
        return [name]

    def _told(self, record: WorkloadRecord) -> dict[str, Any]:
        workload = record.workload
        path = f"/{self._apis[workload.api].endpoint}/{workload.id}"
        progress = workload.progress
        return {
            "api": workload.api,
            "path": path,
            **answers.summary(workload),
            "due_at": _moment(record.due_at),
            "expires_at": _moment(record.expires_at),
            "position": record.position,
            "priority": record.priority,
            "tenant": record.tenant or None,
            "progress": None if progress is None else {"fraction": progress.fraction, "message": progress.message},
            "payload": {"content_type": record.content_type, "bytes": record.payload_bytes},
            "result": None if record.result_bytes is None else {"bytes": record.result_bytes, "path": f"{path}/result"},
            "checkpoint": None if record.checkpoint_bytes is None else {"bytes": record.checkpoint_bytes},
            "raised": record.raised,
            "losses": record.losses,
            "idempotency_key": record.idempotency_key,
            "order_key": record.order_key,
            "trace_id": record.trace_id,
            "timing": self._timing(record),
            "attempts": [_attempt(each, self._store.clock.now()) for each in record.attempts],
            "deliveries": {state.value: record.deliveries.get(state.value, 0) for state in DeliveryState},
        }

    def _timing(self, record: WorkloadRecord) -> dict[str, float | None]:
        """Seconds until the first attempt began, in attempts all together, and from submit to the end or to now."""
        now, workload = self._store.clock.now(), record.workload
        begun = [each.started_at for each in record.attempts if each.started_at is not None]
        over = now if workload.finished_at is None else workload.finished_at
        ran = [_seconds(each.started_at, each.ended_at or now) for each in record.attempts]
        return {
            "waited_seconds": _seconds(workload.submitted_at, begun[0] if begun else over),
            "ran_seconds": sum(each for each in ran if each is not None),
            "total_seconds": _seconds(workload.submitted_at, over),
        }


def status_of(text: str | None) -> Status | None:
    """The status that is asked for, if any.

    Raises:
        InvalidParameter: there is none of that name.
    """
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        raise InvalidParameter(f"status={text[:40]!r} is none of {', '.join(Status)}") from None


def _attempt(made: AttemptRecord, now: Instant) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": made.number,
        "started_at": _moment(made.started_at),
        "ended_at": _moment(made.ended_at),
        "ran_seconds": _seconds(made.started_at, made.ended_at or now),
        "ended": "running" if made.ending is None else made.ending.value,
    }
    if made.error is not None:
        told["error"] = {"type": made.error.type, "message": made.error.message}
    return told


def _seconds(since: Instant | None, until: Instant) -> float | None:
    return None if since is None else max(0, until - since) / SECOND


def _moment(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)


def _only_read(request: Request) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(f"{request.url.path} can only be read", allowed=("GET", "HEAD"))


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
