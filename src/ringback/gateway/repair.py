"""Webhooks seen and mended: deliveries found, explained and sent again; endpoints tried out, put to rest and resumed.

Whatever it sends goes the same way as everything else: it writes to the store, and the dispatcher does the sending.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.clock import SECOND, Instant, after, isoformat
from ringback.core.delivery import TRIAL_API, Attempt, DeliveryRecord, DeliveryState, Pause, PauseKind
from ringback.core.errors import (
    InvalidParameter,
    InvalidPayload,
    MethodNotAllowed,
    UnknownDelivery,
    UnknownEndpoint,
)
from ringback.core.quantities import parse_duration
from ringback.core.spec import GUEST_PREFIX, Api, Endpoint, guest_endpoint
from ringback.core.workload import Completed, Submission
from ringback.gateway import incoming
from ringback.store.contract import Backlog, Store

_ID_PREFIX: Final = "dlv_"
_PORTION: Final = 500
_PARAMETERS: Final = frozenset({"api", "id", "endpoint", "state", "limit", "cursor"})
_LIMIT: Final = 50
_LIMIT_MOST: Final = 1_000
_TRIAL_RESULT: Final = b'{"ringback":"this only tries the endpoint out"}'
_TRIAL_LOOK_SECONDS: Final = 0.02
_TRIAL_SLACK_SECONDS: Final = 2.0
_MOST_BODY_BYTES: Final = 64 * 1024


class Repair:
    """The routes under `/-/deliveries` and `/-/endpoints`."""

    def __init__(self, store: Store, apis: Mapping[str, Api]) -> None:
        self._store = store
        self._apis = apis
        self._endpoints = {hook.key: (api, hook) for api in apis.values() for hook in api.webhooks}

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
                ("/-/endpoints", self._list_endpoints),
                ("/-/endpoints/{key:path}/enable", self._enable),
                ("/-/endpoints/{key:path}/disable", self._disable),
                ("/-/endpoints/{key:path}/test", self._test),
            )
        ]

    # ── Deliveries ──────────────────────────────────────────────────────────────────────────────

    async def _list(self, request: Request) -> Response:
        _must_be(request, "GET", "HEAD")
        parameters = incoming.parameters_of(request.scope, _PARAMETERS)
        if "id" in parameters or "api" in parameters:
            return await self._of_workload(parameters)
        endpoint = parameters.get("endpoint")
        if endpoint is not None:
            self._known(endpoint)
        page = await self._store.find_deliveries(
            endpoint=endpoint,
            state=_state(parameters.get("state")),
            limit=limit_of(parameters.get("limit")),
            cursor=parameters.get("cursor"),
        )
        return _json({"deliveries": [_summary(each) for each in page.deliveries], "cursor": page.cursor})

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
        return _json({"deliveries": [_whole(each) for each in records], "cursor": None})

    async def _show(self, request: Request) -> Response:
        _must_be(request, "GET", "HEAD")
        return _json(_whole(await self._store.delivery(_seq(request))))

    async def _replay(self, request: Request) -> Response:
        _must_be(request, "POST")
        seq = _seq(request)
        await self._store.replay(seq)
        return _json(_whole(await self._store.delivery(seq)))

    async def _skip(self, request: Request) -> Response:
        _must_be(request, "POST")
        seq = _seq(request)
        await self._store.skip(seq)
        return _json(_whole(await self._store.delivery(seq)))

    async def _recover(self, request: Request) -> Response:
        _must_be(request, "POST")
        wanted = await _object(request, {"endpoint", "since"})
        endpoint = wanted.get("endpoint")
        if not isinstance(endpoint, str):
            raise InvalidPayload('the key endpoint is missing; send for example {"endpoint": "iris", "since": "2h"}')
        self._known(endpoint)
        since = _since(wanted.get("since"), self._store.clock.now())
        recovered = 0
        while portion := await self._store.recover(endpoint, since, _PORTION):
            recovered += portion
        return _json({"endpoint": endpoint, "recovered": recovered})

    # ── Endpoints ───────────────────────────────────────────────────────────────────────────────

    async def _list_endpoints(self, request: Request) -> Response:
        _must_be(request, "GET", "HEAD")
        backlogs = await self._store.backlogs()
        now = self._store.clock.now()
        guests = sorted(key for key in backlogs if key.startswith(GUEST_PREFIX))
        told = [self._endpoint(key, backlogs.get(key), now) for key in (*self._endpoints, *guests)]
        return _json({"endpoints": told})

    async def _enable(self, request: Request) -> Response:
        _must_be(request, "POST")
        key = self._key(request)
        await self._store.resume(key)
        return await self._one_endpoint(key)

    async def _disable(self, request: Request) -> Response:
        _must_be(request, "POST")
        key = self._key(request)
        pause = Pause(kind=PauseKind.DISABLED, reason="disabled by hand", since=self._store.clock.now())
        await self._store.pause(key, pause)
        return await self._one_endpoint(key)

    async def _test(self, request: Request) -> Response:
        """Send one webhook through the very lane that all others take, once, and say what came of it."""
        _must_be(request, "POST")
        key = self._key(request)
        if (pause := self._store.paused(key)) is not None:
            raise InvalidParameter(f"{key} is at rest ({pause.reason}); enable it first")
        if key not in self._endpoints:
            raise InvalidParameter(f"{key} came with a request; only endpoints of the file are tried out")
        _, hook = self._endpoints[key]
        workload_id = await self._ring(hook)
        record = await self._attempted(workload_id, hook.timeout_seconds + _TRIAL_SLACK_SECONDS)
        return _json({"endpoint": key, "delivery": _whole(record)})

    async def _ring(self, hook: Endpoint) -> str:
        submission = Submission(api=TRIAL_API, payload=b"null", content_type="application/json", id=str(uuid.uuid4()))
        accepted = await self._store.submit(submission)
        claimed, _ = await self._store.claim(TRIAL_API, 100)
        for each in claimed:  # another's, too, if two try at once: each ends here
            await self._store.finish(each.held, Completed(result=_TRIAL_RESULT), [hook])
        return accepted.id

    async def _attempted(self, workload_id: str, timeout_seconds: float) -> DeliveryRecord:
        """The trial's delivery once it has been attempted, or as it stands when time is up."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            found = await self._store.deliveries(TRIAL_API, workload_id)
            if found and (found[0].attempts or asyncio.get_running_loop().time() > deadline):
                return found[0]
            await asyncio.sleep(_TRIAL_LOOK_SECONDS)

    async def _one_endpoint(self, key: str) -> Response:
        return _json(self._endpoint(key, (await self._store.backlogs()).get(key), self._store.clock.now()))

    def _endpoint(self, key: str, backlog: Backlog | None, now: Instant) -> dict[str, Any]:
        api, hook = self._endpoints.get(key) or (None, guest_endpoint(key.removeprefix(GUEST_PREFIX)))
        pause = self._store.paused(key)
        oldest = backlog.oldest_at if backlog is not None else None
        return {
            "endpoint": key,
            "api": None if api is None else api.name,
            "url": hook.url,
            "events": sorted(hook.events),
            "signed": hook.secret is not None,
            "state": "active" if pause is None else pause.kind.value,
            "reason": None if pause is None else pause.reason,
            "since": None if pause is None else isoformat(pause.since),
            "pending": 0 if backlog is None else backlog.pending,
            "parked": 0 if backlog is None else backlog.parked,
            "oldest_seconds": None if oldest is None else max(0, now - oldest) / SECOND,
        }

    def _key(self, request: Request) -> str:
        key: str = request.path_params["key"]
        self._known(key)
        return key

    def _known(self, key: str) -> None:
        if key not in self._endpoints and not key.startswith(GUEST_PREFIX):
            known = ", ".join(sorted(self._endpoints)) or "none"
            raise UnknownEndpoint(f"there is no endpoint {key[:80]!r}; known are {known}")


def limit_of(text: str | None) -> int:
    """How long a page is to be.

    Raises:
        InvalidParameter: that is no number from 1 to 1000.
    """
    if text is None:
        return _LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LIMIT_MOST):
        raise InvalidParameter(f"limit={text[:40]!r} is no whole number from 1 to {_LIMIT_MOST}")
    return int(text)


# ── Read from the request ───────────────────────────────────────────────────────────────────────


def _must_be(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(f"{request.url.path} takes {' and '.join(methods)}", allowed=methods)


def _seq(request: Request) -> int:
    text: str = request.path_params["id"]
    digits = text.removeprefix(_ID_PREFIX)
    if text == digits or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UnknownDelivery(f"there is no delivery {text[:80]!r}; ids begin with {_ID_PREFIX}")
    return int(digits)


def _state(text: str | None) -> DeliveryState | None:
    if text is None:
        return None
    try:
        return DeliveryState(text)
    except ValueError:
        raise InvalidParameter(f"state={text[:40]!r} is none of {', '.join(DeliveryState)}") from None


async def _object(request: Request, known: set[str]) -> dict[str, Any]:
    """The request's body, a small JSON object with none but known keys.

    Raises:
        InvalidPayload: it is not.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await incoming.body_of(headers, request.receive, _MOST_BODY_BYTES)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidPayload("the body is not a JSON object")
    if unknown := value.keys() - known:
        raise InvalidPayload(f"the key {min(unknown)[:40]!r} is not known here; known are {', '.join(sorted(known))}")
    return value


def _since(wanted: object, now: Instant) -> Instant:
    """A moment, from `2026-01-31T12:00:00+00:00` or from how long ago it is: `2h`. Without one, the beginning.

    Raises:
        InvalidPayload: it is neither.
    """
    if wanted is None:
        return Instant(0)
    text = str(wanted)
    try:
        return after(now, -parse_duration(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPayload(f"since={text[:40]!r} is no moment; send 2h, 7d or 2026-01-31T12:00:00+00:00") from None
    return Instant(round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND))


# ── Told in the answer ──────────────────────────────────────────────────────────────────────────


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _summary(record: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": f"{_ID_PREFIX}{record.seq}",
        "endpoint": record.endpoint,
        "url": record.url,
        "api": record.api,
        "workload": record.workload_id,
        "webhook_id": record.message_id,
        "event": record.event.value,
        "sequence": record.sequence,
        "order_key": record.order_key,
        "behind": None if record.behind is None else f"{_ID_PREFIX}{record.behind}",
        "holds_up": record.holds_up,
        "state": record.state.value,
        "reason": record.reason,
        "tries": record.tries,
        "created_at": isoformat(record.created_at),
        "due_at": None if record.state.is_settled or record.due_at is None else isoformat(record.due_at),
        "settled_at": None if record.settled_at is None else isoformat(record.settled_at),
    }


def _whole(record: DeliveryRecord) -> dict[str, Any]:
    return {**_summary(record), "attempts": [_attempt(each) for each in record.attempts]}


def _attempt(made: Attempt) -> dict[str, Any]:
    return {
        "number": made.number,
        "started_at": isoformat(made.started_at),
        "duration_ms": made.duration_us / 1_000,
        "outcome": made.outcome.value,
        "status": made.status,
        "detail": made.detail,
        "address": made.address,
        "phases_ms": {
            "dns": _milliseconds(made.trace.dns_us),
            "connect": _milliseconds(made.trace.connect_us),
            "wait": _milliseconds(made.trace.wait_us),
            "read": _milliseconds(made.trace.read_us),
        },
        "request_head": _lines(made.trace.request_head),
        "response_head": _lines(made.trace.response_head),
        "response_begin": made.trace.excerpt.decode("utf-8", "replace"),
    }


def _milliseconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1_000


def _lines(head: bytes) -> list[str]:
    return [line for line in head.decode("latin-1").split("\r\n") if line]
