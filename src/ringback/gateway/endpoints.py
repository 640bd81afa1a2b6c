"""Where webhooks go: endpoints listed, registered, changed, rotated, tried out, put to rest, resumed and removed.

Whatever it sends goes the same way as everything else: it writes to the store, and the dispatcher does the sending.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.delivery import TRIAL_API, DeliveryRecord, Pause, PauseKind
from ringback.core.emit import Emit
from ringback.core.errors import Conflict, InvalidParameter, InvalidPayload
from ringback.core.ids import Ids
from ringback.core.keys import public_keys
from ringback.core.netguard import Trust
from ringback.core.quantities import parse_duration
from ringback.core.registration import REGISTERED_PREFIX, Registration, Undelivered, keys_of, rekeyed
from ringback.core.rotation import OVERLAP_SECONDS
from ringback.core.spec import Api, Endpoint, Event
from ringback.core.workload import Completed, Submission
from ringback.gateway import incoming, registering, telling
from ringback.gateway.directory import Directory, Known, Origin
from ringback.gateway.guests import Doorkeeper
from ringback.gateway.reading import json_answer, must_be, object_of
from ringback.store.contract import Backlog, Store

_PATH: Final = "/-/endpoints"
_PORTION: Final = 500
_PORTIONS_AT_ONCE: Final = 10
_MOST_OVERLAP_SECONDS: Final = 7 * 86_400.0
_ROTATE_KEYS: Final = frozenset({"secret", "signature", "overlap"})
_REMOVE_PARAMETERS: Final = frozenset({"undelivered"})
_TRIAL_RESULT: Final = b'{"ringback":"this only tries the endpoint out"}'
_TRIAL_LOOK_SECONDS: Final = 0.02
_TRIAL_SLACK_SECONDS: Final = 2.0
_SECRETIVE: Final = {"Cache-Control": "no-store"}

_CURES: Final[Mapping[str, Mapping[Origin, str]]] = {
    "change": {
        Origin.FILE: "stands in the file: change it there and have the server read it again (SIGHUP)",
        Origin.REQUEST: "came with a request, and is as requests name it",
    },
    "remove": {
        Origin.FILE: (
            "stands in the file: take it out there and have the server read it again (SIGHUP); "
            "to send it nothing, disable it"
        ),
        Origin.REQUEST: "came with a request, and goes when it is done with; to send it nothing, disable it",
    },
    "rotate": {
        Origin.FILE: (
            "stands in the file: put the new secret in front of the old one there, with a space between, and have "
            "the server read it again (SIGHUP); both sign. Take the old one out in the same way once every "
            "receiver has the new one"
        ),
        Origin.REQUEST: "came with a request: nothing is signed for it",
    },
}


class Endpoints:
    """The routes under `/-/endpoints`."""

    def __init__(
        self, store: Store, apis: Mapping[str, Api], directory: Directory, keeper: Doorkeeper, emit: Emit
    ) -> None:
        self._store = store
        self._apis = apis
        self._directory = directory
        self._keeper = keeper
        self._emit = emit
        self._ids = Ids(store.clock)

    @property
    def routes(self) -> list[Route]:
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return [
            Route(path, handler, methods=methods)
            for path, handler in (
                (_PATH, self._all),
                (f"{_PATH}/{{key:path}}/enable", self._enable),
                (f"{_PATH}/{{key:path}}/disable", self._disable),
                (f"{_PATH}/{{key:path}}/rotate", self._rotate),
                (f"{_PATH}/{{key:path}}/test", self._test),
                (f"{_PATH}/{{key:path}}", self._one),
            )
        ]

    async def _all(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._register(request)
        must_be(request, "GET", "HEAD", "POST")
        backlogs = await self._store.backlogs()
        told = [self._told(known, backlogs) for key in self._directory.named() if (known := self._directory.get(key))]
        removed = [each for each in await self._store.removed() if each.key in backlogs]
        told += [telling.removed(each, backlogs.get(each.key), self._store.clock.now()) for each in removed]
        told += [self._missing(key, backlogs) for key in sorted(backlogs) if self._is_missing(key)]
        guests = (known for key in sorted(backlogs) if (known := self._directory.get(key)) is not None)
        told += [self._told(known, backlogs) for known in guests if known.origin is Origin.REQUEST]
        return json_answer({"endpoints": told})

    async def _one(self, request: Request) -> Response:
        key: str = request.path_params["key"]
        match request.method:
            case "PATCH":
                return await self._change(request, key)
            case "DELETE":
                return await self._remove(request, key)
        must_be(request, "GET", "HEAD", "PATCH", "DELETE")
        return await self._answer(key)

    async def _answer(self, key: str) -> Response:
        """One endpoint as it stands."""
        backlogs = await self._store.backlogs()
        if (gone := await self._directory.removed(key)) is not None:
            return json_answer(telling.removed(gone, backlogs.get(key), self._store.clock.now()))
        if key in backlogs and self._is_missing(key):
            return json_answer(self._missing(key, backlogs))
        return json_answer(self._told(self._directory.find(key), backlogs))

    def _is_missing(self, key: str) -> bool:
        """Whether an endpoint that something waits for was in the file, and is no longer."""
        return self._directory.get(key) is None and not key.startswith(REGISTERED_PREFIX)

    def _missing(self, key: str, backlogs: Mapping[str, Backlog]) -> dict[str, Any]:
        return telling.missing(key, backlogs[key], self._store.clock.now())

    def _told(self, known: Known, backlogs: Mapping[str, Any]) -> dict[str, Any]:
        key, now = known.endpoint.key, self._store.clock.now()
        is_tripped = key in self._store.tripped
        return telling.endpoint(known, self._store.paused(key), backlogs.get(key), now, is_tripped=is_tripped)

    # ── Registering ─────────────────────────────────────────────────────────────────────────────

    async def _register(self, request: Request) -> Response:
        body = await object_of(request, registering.NEW_KEYS)
        secret = registering.secret_of(body)
        apis = registering.apis_of(body, self._served())
        url = await self._admitted(registering.url_of(body))
        key = f"{REGISTERED_PREFIX}{self._ids.new()}"
        blank = Endpoint(key=key, url=url, trust=Trust.GUEST, secret=secret)
        registration = Registration(
            endpoint=registering.shaped(blank, body), apis=apis, created_at=self._store.clock.now()
        )
        await self._store.register(registration)
        self._emit("endpoint.registered", endpoint=key, host=urlsplit(url).netloc)
        told = self._told(self._directory.find(key), {})
        headers = {"Location": f"{_PATH}/{quote(key)}", **_SECRETIVE}
        return json_answer({**told, **_shown_once(secret)}, 201, headers)

    async def _change(self, request: Request, key: str) -> Response:
        self._directory.must_be_of(key, _CURES["change"])
        body = await object_of(request, registering.CHANGE_KEYS | {"secret"})
        if "secret" in body:
            raise InvalidPayload("the key secret: rotate changes it, so that the old one signs on for a while")
        url = await self._admitted(registering.url_of(body)) if "url" in body else None
        apis = registering.apis_of(body, self._served())

        def changed(registration: Registration) -> Registration:
            endpoint = registering.shaped(registration.endpoint, body)
            endpoint = endpoint if url is None else replace(endpoint, url=url)
            return replace(registration, endpoint=endpoint, apis=apis if "api" in body else registration.apis)

        await self._store.amend(key, changed)
        self._emit("endpoint.changed", endpoint=key, keys=",".join(sorted(body)))
        return await self._answer(key)

    async def _remove(self, request: Request, key: str) -> Response:
        undelivered = _undelivered(incoming.parameters_of(request.scope, _REMOVE_PARAMETERS).get("undelivered"))
        if await self._directory.removed(key) is None:
            self._directory.must_be_of(key, _CURES["remove"])
        await self._store.remove(key, undelivered)
        self._emit("endpoint.removed", endpoint=key, undelivered=undelivered.value)
        for _ in range(_PORTIONS_AT_ONCE):  # what is left after them is upkeep's
            if not await self._store.tidy_endpoints(_PORTION):
                break
        return await self._answer(key)

    async def _rotate(self, request: Request) -> Response:
        must_be(request, "POST")
        key: str = request.path_params["key"]
        self._directory.must_be_of(key, _CURES["rotate"])
        body = await object_of(request, _ROTATE_KEYS, optional=True)
        current = self._directory.find(key).endpoint
        secret, now, overlap = registering.secret_of(body, current.secret), self._store.clock.now(), _overlap(body)
        if secret in {each.secret for each in keys_of(current)}:
            raise InvalidPayload("the key secret: this one signs for the endpoint already")
        await self._store.amend(key, lambda each: rekeyed(each, secret, now=now, overlap_seconds=overlap))
        self._emit("endpoint.rotated", endpoint=key, overlap_seconds=overlap)
        told = self._told(self._directory.find(key), await self._store.backlogs())
        return json_answer({**told, **_shown_once(secret)}, 200, _SECRETIVE)

    def _served(self) -> list[str]:
        return [api.name for api in self._apis.values()]

    async def _admitted(self, text: str) -> str:
        """The URL in its one form, judged as it will be when something is sent there."""
        return await self._keeper.admitted(text, named="the key url")

    # ── At rest ─────────────────────────────────────────────────────────────────────────────────

    async def _enable(self, request: Request) -> Response:
        must_be(request, "POST")
        key = self._directory.find(request.path_params["key"]).endpoint.key
        await self._store.resume(key)
        return await self._answer(key)

    async def _disable(self, request: Request) -> Response:
        must_be(request, "POST")
        key = self._directory.find(request.path_params["key"]).endpoint.key
        pause = Pause(kind=PauseKind.DISABLED, reason="disabled by hand", since=self._store.clock.now())
        await self._store.pause(key, pause)
        return await self._answer(key)

    # ── Trying out ──────────────────────────────────────────────────────────────────────────────

    async def _test(self, request: Request) -> Response:
        """Send one webhook through the very lane that all others take, once, and say what came of it."""
        must_be(request, "POST")
        endpoint = self._directory.find(request.path_params["key"]).endpoint
        if (pause := self._store.paused(endpoint.key)) is not None:
            raise InvalidParameter(f"{endpoint.key} is at rest ({pause.reason}); enable it first")
        workload_id = await self._ring(endpoint.key)
        record = await self._attempted(workload_id, endpoint.timeout_seconds + _TRIAL_SLACK_SECONDS)
        pause, is_tripped = self._store.paused(endpoint.key), endpoint.key in self._store.tripped
        return json_answer({"endpoint": endpoint.key, "delivery": telling.whole(record, pause, is_tripped=is_tripped)})

    async def _ring(self, key: str) -> str:
        """A workload that is over at once, and of whose end nobody is told but the endpoint; its id."""
        submission = Submission(
            api=TRIAL_API, payload=orjson.dumps(key), content_type="application/json", id=str(uuid.uuid4())
        )
        accepted = await self._store.submit(submission)
        claimed, _ = await self._store.claim(TRIAL_API, 100)
        for each in claimed:  # those of others, too, if several try at once: each ends where it is claimed
            known = self._directory.get(str(orjson.loads(each.payload)))
            told = [] if known is None else [replace(known.endpoint, events=frozenset({Event.COMPLETED}))]
            await self._store.finish(each.held, Completed(result=_TRIAL_RESULT), told)
        return accepted.id

    async def _attempted(self, workload_id: str, timeout_seconds: float) -> DeliveryRecord:
        """The trial's delivery once it has been attempted, or as it stands when time is up."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            found = await self._store.deliveries(TRIAL_API, workload_id)
            if found and found[0].attempts:
                return found[0]
            if asyncio.get_running_loop().time() > deadline:
                if not found:
                    raise Conflict("another server, which does not know the endpoint, was quicker; try again")
                return found[0]
            await asyncio.sleep(_TRIAL_LOOK_SECONDS)


def _shown_once(secret: str) -> dict[str, str]:
    """What of a new secret is told now and never again: a shared one whole, of a pair nothing but the public half."""
    return {} if public_keys(secret) else {"secret": secret}


def _overlap(body: Mapping[str, Any]) -> float:
    value = body.get("overlap")
    if value is None:
        return OVERLAP_SECONDS
    try:
        seconds = parse_duration(str(value))
    except ValueError as error:
        raise InvalidPayload(f"the key overlap: {error}") from None
    if seconds > _MOST_OVERLAP_SECONDS:
        raise InvalidPayload(f"the key overlap: expected 0s to 7d, found {seconds:g}s")
    return seconds


def _undelivered(text: str | None) -> Undelivered:
    try:
        return Undelivered(text or Undelivered.PARK)
    except ValueError:
        raise InvalidParameter(f"undelivered={str(text)[:40]!r} is none of {', '.join(Undelivered)}") from None
