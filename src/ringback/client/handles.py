"""A submitted workload in the caller's hands: what is known of it, and how to know more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final

from ringback.client.protocol import POLL_SECONDS, State
from ringback.client.streams import PATIENCE_SECONDS, WorkloadEvent
from ringback.client.workloads import AsyncWorkloads, Workloads
from ringback.core.errors import Unavailable, Unreachable, WorkloadFailed
from ringback.core.workload import Status

_FIRST_REST_SECONDS: Final = 0.02
_LAST_REST_SECONDS: Final = 1.0


class _Known:
    """What both kinds of handle tell of the last known state, without asking the server."""

    def __init__(self, api: str, state: State) -> None:
        self.api = api
        self._state = state
        self._is_loaded = False

    def _large(self) -> Any:
        raise RuntimeError(f"the result of workload {self.id} is large; load it first, or download it into a file")

    def _keep(self, result: Any) -> Any:
        self._state = replace(self._state, result=result)
        self._is_loaded = True
        return result

    @property
    def id(self) -> str:
        return self._state.id

    @property
    def status(self) -> str:
        """The status as last heard."""
        return self._state.status.value

    @property
    def is_terminal(self) -> bool:
        return self._state.is_terminal

    @property
    def progress(self) -> float | None:
        """0.0 to 1.0, if predict tells."""
        return self._state.fraction

    @property
    def message(self) -> str | None:
        """What predict says about its progress."""
        return self._state.message

    @property
    def timestamp(self) -> str | None:
        """When it completed, ISO 8601."""
        return self._state.timestamp

    @property
    def error(self) -> tuple[str, str] | None:
        """Type and message of a failure."""
        state = self._state
        return None if state.error_type is None else (state.error_type, state.error_message or "")

    @property
    def result_url(self) -> str | None:
        """A link to a result that is too large to be told with the rest; it needs no key, and expires."""
        return self._state.result_url

    @property
    def result(self) -> Any:
        """What predict returned: parsed JSON, or the bytes of a file.

        Raises:
            WorkloadFailed: it failed, with predict's own type and message, or was canceled.
            RuntimeError: it has not ended, call `wait` first; or it is large and not here yet, call `load` first.
        """
        if self._state.status is Status.COMPLETED:
            if self.result_url is not None and not self._is_loaded:
                return self._large()
            return self._state.result
        if self.error is not None:
            kind, message = self.error
            raise WorkloadFailed(f"{kind}: {message}", type=kind)
        if self._state.status is Status.CANCELED:
            raise WorkloadFailed(f"workload {self.id} was canceled", type=Status.CANCELED.value)
        raise RuntimeError(f"workload {self.id} is {self.status}; wait for it first")

    def _hear(self, event: WorkloadEvent) -> None:
        if event.kind == "progress":
            self._state = replace(self._state, fraction=event.data["fraction"], message=event.data["message"])
        elif event.kind == "status":
            self._state = State(id=self.id, status=Status(event.data["status"]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.api}/{self.id} {self.status}>"


class WorkloadHandle(_Known):
    """A workload, for `Client`."""

    def __init__(self, client: Workloads, api: str, state: State) -> None:
        super().__init__(api, state)
        self._client = client

    def refresh(self, wait_seconds: float = 0.0) -> WorkloadHandle:
        """Ask the server, which may hold the answer up to `wait_seconds` until the workload ends."""
        self._state = self._client.state(self.api, self.id, wait_seconds)
        return self

    def load(self) -> Any:
        """The result, fetched if it is large. Raises as `result` does."""
        return self.result

    def download(self, path: Path | str) -> Path:
        """Put the result into a file, never all of it in memory."""
        return self._client.download(self.api, self.id, path)

    def _large(self) -> Any:
        return self._keep(self._client.result(self.api, self.id))

    def cancel(self) -> WorkloadHandle:
        """Have it end as canceled; wait for it to see the end, if it runs.

        Raises:
            AlreadyEnded: it has completed or failed.
        """
        self._state = self._client.cancel(self.api, self.id)
        return self

    def retry(self) -> WorkloadHandle:
        """Have it run again, if it has failed or was canceled.

        Raises:
            Conflict: it has completed, or is being canceled.
        """
        self._state = self._client.retry(self.api, self.id)
        return self

    def erase(self) -> None:
        """Erase it and all that is kept of it; if it has not ended it is canceled, and nobody is told."""
        self._client.erase(self.api, self.id)

    def events(self, *, after: int = 0, timeout: float | None = None) -> Iterator[WorkloadEvent]:
        """What happens to it, as it happens, until it ends; what is known of it goes along, the result at the end.

        Raises:
            TimeoutError: it has not ended within `timeout` seconds.
            RingbackError: the server refused it, or cannot be reached for a minute.
        """
        for event in self._client.events(self.api, self.id, after=after, timeout=timeout):
            self._hear(event)
            if event.is_terminal:
                self.refresh()
            yield event

    def logs(self, *, attempt: int | None = None) -> str:
        """What predict has printed and logged so far, in one attempt or in all."""
        return self._client.logs(self.api, self.id, attempt=attempt)

    def wait(self, timeout: float | None = None) -> WorkloadHandle:
        """Wait until it has ended, over broken connections and restarts of the server.

        Raises:
            TimeoutError: it has not within `timeout` seconds.
            RingbackError: the server refused it, or cannot be reached for a minute.
        """
        pace = Pace(timeout, f"workload {self.id}")
        while not self.is_terminal:
            with pace.patient():
                self.refresh(pace.hold())
            if not self.is_terminal:
                Event().wait(pace.rest())
        return self


class AsyncWorkloadHandle(_Known):
    """A workload, for `AsyncClient`."""

    def __init__(self, client: AsyncWorkloads, api: str, state: State) -> None:
        super().__init__(api, state)
        self._client = client

    async def refresh(self, wait_seconds: float = 0.0) -> AsyncWorkloadHandle:
        """Ask the server, which may hold the answer up to `wait_seconds` until the workload ends."""
        self._state = await self._client.state(self.api, self.id, wait_seconds)
        return self

    async def load(self) -> Any:
        """The result, fetched if it is large. Raises as `result` does."""
        if self.result_url is not None and not self._is_loaded:
            return self._keep(await self._client.result(self.api, self.id))
        return self.result

    async def download(self, path: Path | str) -> Path:
        """Put the result into a file, never all of it in memory."""
        return await self._client.download(self.api, self.id, path)

    async def cancel(self) -> AsyncWorkloadHandle:
        """As `WorkloadHandle.cancel`."""
        self._state = await self._client.cancel(self.api, self.id)
        return self

    async def retry(self) -> AsyncWorkloadHandle:
        """As `WorkloadHandle.retry`."""
        self._state = await self._client.retry(self.api, self.id)
        return self

    async def erase(self) -> None:
        """As `WorkloadHandle.erase`."""
        await self._client.erase(self.api, self.id)

    async def events(self, *, after: int = 0, timeout: float | None = None) -> AsyncIterator[WorkloadEvent]:
        """As `WorkloadHandle.events`."""
        async for event in self._client.events(self.api, self.id, after=after, timeout=timeout):
            self._hear(event)
            if event.is_terminal:
                await self.refresh()
            yield event

    async def logs(self, *, attempt: int | None = None) -> str:
        """As `WorkloadHandle.logs`."""
        return await self._client.logs(self.api, self.id, attempt=attempt)

    async def wait(self, timeout: float | None = None) -> AsyncWorkloadHandle:
        """As `WorkloadHandle.wait`."""
        pace = Pace(timeout, f"workload {self.id}")
        while not self.is_terminal:
            with pace.patient():
                await self.refresh(pace.hold())
            if not self.is_terminal:
                await asyncio.sleep(pace.rest())
        return self


class Pace:
    """How long the server may hold each answer of a wait, and how long to rest when it did not hold it.

    A server that is told to stop answers those who wait at once; asked again without a rest, it would be kept busy.
    One that was there may be away for a while, as it is when it is started anew.
    """

    def __init__(
        self,
        timeout: float | None,
        what: str,
        *,
        most_seconds: float = POLL_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._most = most_seconds
        self._patience = patience_seconds
        self._away_since: float | None = None
        self._timeout = timeout
        self._what = what
        self._began = self._asked = monotonic()
        self._held = 0.0
        self._rest = _FIRST_REST_SECONDS

    def hold(self) -> float:
        """Seconds to ask the server to hold the next answer.

        Raises:
            TimeoutError: time is up.
        """
        self._asked = monotonic()
        remaining = self._remaining()
        if remaining <= 0:
            raise TimeoutError(f"{self._what} has not ended within {self._timeout:g} s")
        self._held = max(0.01, min(self._most, remaining))
        return self._held

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """For one question: goes on without an answer, unless there has been none for too long.

        Raises:
            RingbackError: the server refused it, or has been away for too long.
        """
        try:
            yield
        except (Unavailable, Unreachable):
            now = monotonic()
            self._away_since = now if self._away_since is None else self._away_since
            if now - self._away_since >= self._patience:
                raise
        else:
            self._away_since = None

    def rest(self) -> float:
        """Seconds until the next question may be asked: none after an answer that was held, ever more otherwise."""
        if monotonic() - self._asked >= self._held / 2:
            self._rest = _FIRST_REST_SECONDS
            return 0.0
        rest, self._rest = self._rest, min(2 * self._rest, _LAST_REST_SECONDS)
        return max(0.0, min(rest, self._remaining()))

    def _remaining(self) -> float:
        return inf if self._timeout is None else self._began + self._timeout - monotonic()
