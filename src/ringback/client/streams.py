"""A workload followed to its end, over as many connections as it takes: each goes on where the last one broke.

`Following` decides, without sending anything; the two loops only carry it out, for one client each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from threading import Event
from time import monotonic
from typing import Any, Final

import httpx2

from ringback.client import protocol
from ringback.client.connections import AsyncConnection, Connection
from ringback.client.protocol import Request
from ringback.core.errors import Unavailable, Unreachable
from ringback.core.workload import TERMINAL

_SILENT_SECONDS: Final = 45.0
"""A connection on which nothing has come for so long is broken: the server says something every 15 seconds."""

_GLANCE_SECONDS: Final = 10.0
"""With a time-out, a silent connection is made anew this often, so that the end is not overslept."""

_LEAST_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 60.0
"""How long a server that was there may be away."""

_FIRST_REST_SECONDS: Final = 0.1
_LAST_REST_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 30.0
_NO_CONTENT: Final = 204
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEvent:
    """One thing that has happened to a workload."""

    id: int
    """Grows; what comes after it is had by `events(after=id)`."""
    kind: str
    """`status`, `progress`, `output` or `log`."""
    data: Mapping[str, Any]
    """As the server tells it, by kind."""

    @property
    def attempt(self) -> int:
        """0 before the first."""
        return int(self.data["attempt"])

    @property
    def at(self) -> str | None:
        """When, ISO 8601; None when nobody has noted it."""
        at: str | None = self.data["at"]
        return at

    @property
    def text(self) -> str:
        """Of a log: what predict printed."""
        return str(self.data.get("text", ""))

    @property
    def is_terminal(self) -> bool:
        """Whether it is the workload's end."""
        return self.kind == "status" and self.data["status"] in TERMINAL


class Following:
    """How far one reader has come, and what to do next."""

    def __init__(self, api: str, workload_id: str, *, after: int, timeout: float | None, url: str) -> None:
        self._path = protocol.path_of(api, workload_id, "events")
        self._workload_id = workload_id
        self._after = after
        self._timeout = timeout
        self._url = url
        self._began = monotonic()
        self._was_there = False
        self._away_since: float | None = None
        self._rest = 0.0
        self._read_seconds = _SILENT_SECONDS
        self.is_over = False

    def request(self) -> Request:
        """What to ask next.

        Raises:
            TimeoutError: time is up.
        """
        remaining = self._remaining()
        if remaining <= 0:
            raise TimeoutError(f"workload {self._workload_id} has not ended within {self._timeout:g} s")
        self._read_seconds = (
            _SILENT_SECONDS if remaining == inf else max(_LEAST_SECONDS, min(_GLANCE_SECONDS, remaining / 2))
        )
        headers = {"last-event-id": str(self._after)} if self._after else {}
        return Request(method="GET", path=self._path, headers={"accept": "text/event-stream", **headers})

    def timeout(self) -> httpx2.Timeout:
        """How long to wait for each step of the request."""
        return httpx2.Timeout(_CONNECT_SECONDS, read=self._read_seconds)

    def answered(self, status: int) -> bool:
        """Whether the answer is a stream; otherwise it is over, or tells of a problem."""
        self.is_over = status == _NO_CONTENT
        if status == _OK:
            self._was_there, self._away_since = True, None
        return status == _OK

    def heard(self, told: httpx2.ServerSentEvent) -> WorkloadEvent | None:
        """What an event says; None for one that is none of ours."""
        self._rest = 0.0
        if not told.data or not told.id.isdigit():
            return None
        event = WorkloadEvent(id=int(told.id), kind=told.event, data=json.loads(told.data))
        self._after = event.id
        self.is_over = event.is_terminal
        return event

    @property
    def leaves(self) -> bool:
        """Whether this connection has served: it is over, or the clock must be looked at sooner than it allows."""
        return self.is_over or (self._read_seconds > _LEAST_SECONDS and self._remaining() < self._read_seconds)

    def broke(self, error: Exception) -> None:
        """The connection is gone, or the server says not now: go on, unless there is no hope.

        Raises:
            Unreachable: nobody has answered at all, or for too long.
        """
        now = monotonic()
        if isinstance(error, httpx2.ReadTimeout) and self._read_seconds < _SILENT_SECONDS:
            return  # nothing has happened, that is all
        self._away_since = now if self._away_since is None else self._away_since
        is_another = isinstance(error, httpx2.SSEError)  # what it sends are no events
        if is_another or not self._was_there or now - self._away_since > PATIENCE_SECONDS:
            raise error if isinstance(error, Unavailable) else protocol.unreachable(self._url, error) from error
        wished = error.retry_after_seconds if isinstance(error, Unavailable) else 0
        self._rest = max(wished, min(_LAST_REST_SECONDS, 2 * self._rest or _FIRST_REST_SECONDS))

    def ended(self) -> None:
        """The server has let us go, as one does that is told to stop."""
        self._rest = min(_LAST_REST_SECONDS, 2 * self._rest or _FIRST_REST_SECONDS)

    def rest(self) -> float:
        """Seconds until the next request."""
        return max(0.0, min(self._rest, self._remaining()))

    def _remaining(self) -> float:
        return inf if self._timeout is None else self._began + self._timeout - monotonic()


def logs(api: str, workload_id: str, attempt: int | None) -> Request:
    """What predict printed."""
    query = {} if attempt is None else {"attempt": str(attempt)}
    return Request(method="GET", path=protocol.path_of(api, workload_id, "logs"), query=query)


def text_of(answer: httpx2.Response, url: str) -> str:
    """The text of a good answer.

    Raises:
        RingbackError: the server told of a problem.
        Unreachable: the answer is not Ringback's.
    """
    if answer.status_code == _OK and answer.headers.get("content-type", "").startswith("text/plain"):
        return answer.content.decode("utf-8", "replace")
    protocol.read(answer.status_code, answer.content, url=url, retry_after=answer.headers.get("retry-after"))
    raise Unreachable(f"{url} did not answer with a log, as Ringback would; is it another server?")


def _refuse(answer: httpx2.Response, url: str) -> None:
    protocol.read(answer.status_code, answer.content, url=url, retry_after=answer.headers.get("retry-after"))


def follow(http: httpx2.Client, plan: Following, url: str) -> Iterator[WorkloadEvent]:
    """Carry the plan out."""
    while not plan.is_over:
        request = plan.request()
        try:
            with http.stream("GET", request.path, headers=dict(request.headers), timeout=plan.timeout()) as answer:
                if plan.answered(answer.status_code):
                    for told in httpx2.EventSource(answer):
                        event = plan.heard(told)
                        if event is not None:
                            yield event
                        if plan.leaves:
                            break
                    else:
                        plan.ended()
                elif not plan.is_over:
                    answer.read()
                    _refuse(answer, url)
        except (httpx2.TransportError, Unavailable) as error:
            plan.broke(error)
        if not plan.is_over:
            Event().wait(plan.rest())


async def follow_async(http: httpx2.AsyncClient, plan: Following, url: str) -> AsyncIterator[WorkloadEvent]:
    """As `follow`."""
    while not plan.is_over:
        request = plan.request()
        try:
            async with http.stream(
                "GET", request.path, headers=dict(request.headers), timeout=plan.timeout()
            ) as answer:
                if plan.answered(answer.status_code):
                    async for told in httpx2.EventSource(answer):
                        event = plan.heard(told)
                        if event is not None:
                            yield event
                        if plan.leaves:
                            break
                    else:
                        plan.ended()
                elif not plan.is_over:
                    await answer.aread()
                    _refuse(answer, url)
        except (httpx2.TransportError, Unavailable) as error:
            plan.broke(error)
        if not plan.is_over:
            await asyncio.sleep(plan.rest())


class Streams(Connection):
    """What `Client` knows of following a workload."""

    def events(
        self, api: str, workload_id: str, *, after: int = 0, timeout: float | None = None
    ) -> Iterator[WorkloadEvent]:
        """What happens to a workload, as it happens, until it ends; a broken connection is made anew.

        Args:
            api: the API's endpoint.
            workload_id: whose.
            after: the id of the last event that is known.
            timeout: seconds to follow it at most.

        Raises:
            TimeoutError: it has not ended within `timeout` seconds.
            RingbackError: the server refused it, or cannot be reached for a minute.
        """
        plan = Following(api, workload_id, after=after, timeout=timeout, url=self.url)
        return follow(self._http, plan, self.url)

    def logs(self, api: str, workload_id: str, *, attempt: int | None = None) -> str:
        """What predict has printed and logged so far, in one attempt or in all."""
        return text_of(self._answer(logs(api, workload_id, attempt)), self.url)


class AsyncStreams(AsyncConnection):
    """What `AsyncClient` knows of following a workload."""

    def events(
        self, api: str, workload_id: str, *, after: int = 0, timeout: float | None = None
    ) -> AsyncIterator[WorkloadEvent]:
        """As `Client.events`."""
        plan = Following(api, workload_id, after=after, timeout=timeout, url=self.url)
        return follow_async(self._http, plan, self.url)

    async def logs(self, api: str, workload_id: str, *, attempt: int | None = None) -> str:
        """As `Client.logs`."""
        return text_of(await self._answer(logs(api, workload_id, attempt)), self.url)
