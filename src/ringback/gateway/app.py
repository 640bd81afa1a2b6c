"""The ASGI application: who may ask, which plane answers, and every error as a problem."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping, Sequence
from typing import Any, Final

from ringback.core.emit import Emit
from ringback.core.errors import MethodNotAllowed, RingbackError
from ringback.core.links import RESULTS_PATH
from ringback.core.spec import Api
from ringback.gateway.admission import Admission
from ringback.gateway.answers import Answer
from ringback.gateway.batches import BatchRoutes
from ringback.gateway.bodies import Bodies
from ringback.gateway.control import JWKS_PATH, ControlPlane, find_api
from ringback.gateway.data_plane import DataPlane
from ringback.gateway.directory import Directory
from ringback.gateway.endpoints import Endpoints
from ringback.gateway.front_door import Front, FrontDoor
from ringback.gateway.guests import Doorkeeper
from ringback.gateway.health import OPEN_PATHS
from ringback.gateway.incoming import Gone, Receive, Scope, Send
from ringback.gateway.lives import Lives
from ringback.gateway.methods import METHODS
from ringback.gateway.problems import internal, is_for_operators, problem
from ringback.gateway.repair import Repair
from ringback.gateway.results import Results
from ringback.gateway.rules import Rules
from ringback.gateway.sweeping import Sweeps
from ringback.pages import Mount, Sessions
from ringback.pages.throttle import Tries
from ringback.store.contract import Store

_OPEN_TO_ALL: Final = OPEN_PATHS | {JWKS_PATH}


class Gateway:
    """An ASGI 3 application over one store."""

    def __init__(
        self,
        store: Store,
        apis: Sequence[Api],
        emit: Emit,
        *,
        rules: Rules,
        metrics: Callable[[], Awaitable[bytes]],
        front: Front | None = None,
    ) -> None:
        self._apis = {api.endpoint: api for api in apis}
        self._emit = emit
        sessions = Sessions(store.link_key, rules.api_keys, store.clock, store.logouts)
        self._admission = Admission(rules.api_keys, rules.hosts, sessions)
        self._door = FrontDoor(
            front or Front(), sessions, self._admission, Tries(store.clock), max_body_bytes=rules.max_body_bytes
        )
        results = Results(store, self._apis, rules.large, front.public_url if front is not None else "")
        bodies = Bodies(rules.max_body_bytes, rules.large)
        directory = Directory(store, self._apis)
        keeper = Doorkeeper(guard=rules.guard, resolve=rules.resolve)
        endpoints = Endpoints(store, self._apis, directory, keeper, emit)
        batches = BatchRoutes(store.batches, self._apis, results.url_of)
        self._data = DataPlane(store, emit, bodies=bodies, results=results, keeper=keeper)
        sweeps = Sweeps(store, self._apis, emit, self._data.checked_limit)
        seldom = (self._door, Repair(store, self._apis, directory), endpoints, results, sweeps, batches)
        self._lives = Lives(store, emit, self._data.checked_limit, rules.large)
        self._control = ControlPlane(store, self._apis, metrics, [route for part in seldom for route in part.routes])

    def close_to_new(self) -> None:
        """Refuse submits from now on, answer those who wait, and be ready no more."""
        self._control.health.is_draining = True
        self._data.close_to_new()

    def end_streams(self) -> None:
        """Let everybody go who follows a workload; they come again, here or elsewhere."""
        self._control.streams.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is spoken here, not {scope['type']}")
        await self._answer(scope, receive, send, is_from_outside=True)

    async def inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of this process's own parts, which have seen for themselves who asks. No mounts."""
        await self._answer(scope, receive, send, is_from_outside=False)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, is_from_outside: bool) -> None:
        watched: _Watched | None = None
        mount: Mount | None = None
        try:
            if is_from_outside:
                path: str = scope["path"]
                if path[:3] == "/-/" or path == "/":
                    mount = self._door.mount_of(scope)
                token_wanted = not self._is_open(path) and self._admission.admit(scope)
                if mount is not None:
                    watched = _Watched(send)
                    await self._door.call(mount, scope, receive, watched.send, token_wanted=token_wanted)
                    return
                if token_wanted:
                    self._door.check_token_header(scope)
            hot = self._hot(scope, receive)
            if hot is None:
                watched = _Watched(send)
                await self._control.router(scope, receive, watched.send)
                return
            status, headers, body = await hot
        except Gone:
            return
        except Exception as error:
            told = self._told(scope, error)
            if watched is not None and watched.has_begun:
                raise
            status, headers, body = problem(told) if mount is None else self._door.problem(told, scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if not isinstance(body, bytes):
            body = await _all_but_the_end(body, send)
        await send({"type": "http.response.body", "body": body})

    def _hot(self, scope: Scope, receive: Receive) -> Coroutine[Any, Any, Answer] | None:
        """The data plane's answer in the making; None for everything that is asked for seldom."""
        method = scope["method"]
        if method not in METHODS:
            raise MethodNotAllowed(f"the method {method[:40]} is not known here", allowed=METHODS)
        match scope["path"].split("/"):
            case ["", segment] if segment in self._apis and method == "POST":
                return self._data.submit(self._apis[segment], None, scope, receive)
            case ["", segment, workload_id] if segment in self._apis and workload_id:
                return self._one(self._apis[segment], workload_id, scope, receive)
            case ["", segment, workload_id, "cancel"] if segment in self._apis and workload_id:
                return self._lives.cancel(self._apis[segment], workload_id, scope)
            case ["", segment, workload_id, "retry"] if segment in self._apis and workload_id:
                return self._lives.retry(self._apis[segment], workload_id, scope)
            case ["", segment, _] if segment not in {"-", ""}:
                find_api(self._apis, segment)
        return None

    def _one(self, api: Api, workload_id: str, scope: Scope, receive: Receive) -> Coroutine[Any, Any, Answer]:
        match scope["method"]:
            case "GET" | "HEAD":
                return self._data.poll(api, workload_id, scope, receive)
            case "PUT":
                return self._data.submit(api, workload_id, scope, receive)
            case "DELETE":
                return self._lives.erase(api, workload_id, scope)
            case other:
                raise MethodNotAllowed(
                    f"{other} is not for a workload; PUT submits under this id, GET reads it, DELETE erases it",
                    allowed=("GET", "HEAD", "PUT", "DELETE"),
                )

    def _told(self, scope: Scope, error: Exception) -> RingbackError:
        """What the caller is told of it."""
        if isinstance(error, RingbackError):
            if is_for_operators(error):
                self._emit("store.fault", act="answering a request", error=error)
            return error
        self._emit("gateway.failed", route=f"{scope['method']} {scope['path']}", error=repr(error))
        return internal()

    def _is_open(self, path: str) -> bool:
        """Whether a path wants no API key: it tells nothing, is for everyone, or brings a signature of its own."""
        if path[:3] != "/-/":
            return path in _OPEN_TO_ALL
        return path.startswith(f"{RESULTS_PATH}/") or self._door.is_open(path)


async def _all_but_the_end(pieces: AsyncIterator[bytes], send: Send) -> bytes:
    """Send a body as it comes; its end is left to the caller."""
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    return b""


class _Watched:
    """Remembers whether an answer has begun: an error after that can only cut it off."""

    __slots__ = ("_send", "has_begun")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.has_begun = True
        await self._send(message)
