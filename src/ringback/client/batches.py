"""Batches in the caller's hands: many payloads sent as they come, followed until the last has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from threading import Event
from typing import Any, Final

import httpx2

from ringback.client import large, protocol, repair
from ringback.client.connections import read_answer
from ringback.client.handles import Pace
from ringback.client.pieces import Payloads, must_be_many, pieces_async, pieces_of
from ringback.client.protocol import Request
from ringback.client.sweeping import AsyncSweeping, Sweeping
from ringback.core.batch import BatchStatus
from ringback.core.errors import Unreachable

_OK: Final = 200
_TAKEN_IN_SECONDS: Final = 600.0
"""How long the server may take, after the last line, to put a very long batch into its queue."""


class _Known:
    """What both kinds of handle tell of a batch as the server last told it, without asking."""

    def __init__(self, told: Mapping[str, Any], ids: tuple[str, ...] = ()) -> None:
        self._keep(told)
        self.ids = ids
        """Its workloads in the order of their payloads; only of a batch that was just submitted."""

    def _keep(self, told: Mapping[str, Any]) -> None:
        try:
            self.id, self.api = str(told["batch"]), str(told["api"])
            self.status: str = BatchStatus(told["status"]).value
            self.counts: dict[str, int] = dict(told["counts"])
        except (LookupError, TypeError, ValueError):
            raise protocol.not_ours("a batch") from None

    @property
    def is_terminal(self) -> bool:
        """Whether every workload has ended, however."""
        return self.status == BatchStatus.COMPLETED

    def _pace(self, timeout: float | None) -> Pace:
        return Pace(timeout, f"batch {self.id}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.api}/{self.id} {self.status}>"


class BatchHandle(_Known):
    """A batch, for `Client`."""

    def __init__(self, client: Batching, told: Mapping[str, Any], ids: tuple[str, ...] = ()) -> None:
        super().__init__(told, ids)
        self._client = client

    def refresh(self) -> BatchHandle:
        """Ask the server how it stands."""
        self._keep(self._client.describe_batch(self.id))
        return self

    def wait(self, timeout: float | None = None) -> BatchHandle:
        """Wait until every workload has ended, however; over broken connections and restarts of the server.

        Raises:
            TimeoutError: they have not within `timeout` seconds.
            RingbackError: the server refused it, or cannot be reached for a minute.
        """
        for _ in self.waiting(timeout):
            pass
        return self

    def waiting(self, timeout: float | None = None) -> Iterator[BatchHandle]:
        """Itself, again and again as it comes on, until every workload has ended. Raises as `wait`."""
        pace = self._pace(timeout)
        while not self.is_terminal:
            pace.hold()
            with pace.patient():
                self.refresh()
            yield self
            if not self.is_terminal:
                Event().wait(pace.rest())

    def results(self) -> Iterator[dict[str, Any]]:
        """Each workload as the server tells it: `id`, `status`, `result` or `error`; in the order of the payloads."""
        return self._client.results_of_batch(self.id)

    def cancel(self) -> int:
        """Cancel all that has not ended; how many were changed."""
        changed = self._client.cancel_many(batch=self.id)
        self.refresh()
        return changed

    def retry(self) -> int:
        """Have all that has failed run again; how many."""
        changed = self._client.retry_many(batch=self.id)
        self.refresh()  # it may be open again: a wait that follows must know
        return changed


class AsyncBatchHandle(_Known):
    """A batch, for `AsyncClient`."""

    def __init__(self, client: AsyncBatching, told: Mapping[str, Any], ids: tuple[str, ...] = ()) -> None:
        super().__init__(told, ids)
        self._client = client

    async def refresh(self) -> AsyncBatchHandle:
        """As `BatchHandle.refresh`."""
        self._keep(await self._client.describe_batch(self.id))
        return self

    async def wait(self, timeout: float | None = None) -> AsyncBatchHandle:
        """As `BatchHandle.wait`."""
        pace = self._pace(timeout)
        while not self.is_terminal:
            pace.hold()
            with pace.patient():
                await self.refresh()
            if not self.is_terminal:
                await asyncio.sleep(pace.rest())
        return self

    def results(self) -> AsyncIterator[dict[str, Any]]:
        """As `BatchHandle.results`."""
        return self._client.results_of_batch(self.id)

    async def cancel(self) -> int:
        """As `BatchHandle.cancel`."""
        changed = await self._client.cancel_many(batch=self.id)
        await self.refresh()
        return changed

    async def retry(self) -> int:
        """As `BatchHandle.retry`."""
        changed = await self._client.retry_many(batch=self.id)
        await self.refresh()
        return changed


class Batching(Sweeping):
    """What `Client` knows of batches."""

    def submit_many(
        self,
        api: str,
        payloads: Payloads,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> BatchHandle:
        """Submit a workload for each payload, all of them or none. When this returns they are on the server's disk.

        The payloads are taken and sent one after the other, so that there may be any number of them.

        Args:
            api: the API's endpoint.
            payloads: each goes as JSON, bytes as the JSON text they are; a path, or a file open for bytes, has one JSON
                text a line.
            idempotency_key: the same one again, with the same payloads, is the same batch.
            headers: more headers; they mean the same for each of the workloads.

        Raises:
            TypeError: it is one payload, not many.
            InvalidPayload: one is no JSON; it is named by its number, and nothing was taken in.
            RingbackError: the server refused it, or cannot be reached.
        """
        request = _submission(api, idempotency_key, headers)
        must_be_many(payloads)
        body = pieces_of(payloads)
        try:
            built = self._http.build_request(
                "POST", request.path, headers=dict(request.headers), content=body, timeout=_patience()
            )
            answer = self._http.send(built)
        except httpx2.RequestError as error:
            raise protocol.unreachable(self.url, error) from error
        batch, ids = _accepted(read_answer(answer, self.url))
        return BatchHandle(self, self.describe_batch(batch), ids)

    def batch(self, batch_id: str) -> BatchHandle:
        """A batch as it stands now."""
        return BatchHandle(self, self.describe_batch(batch_id))

    def describe_batch(self, batch_id: str) -> dict[str, Any]:
        """A batch as the server tells it."""
        return repair.object_of(self._send(_batch(batch_id)))

    def batches(self, api: str | None = None, *, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        """A page of batches, newest first, and the cursor of the next page."""
        return repair.object_of(self._send(_batches(api, limit, cursor)))

    def results_of_batch(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """Each workload of a batch as the server tells it, in the order of the payloads.

        Raises:
            RingbackError: the server refused it, cannot be reached, or has broken off.
        """
        request = _results(batch_id)
        try:
            with self._http.stream("GET", request.path, timeout=large.TIMEOUT_SECONDS) as answer:
                if answer.status_code != _OK:
                    answer.read()
                    read_answer(answer, self.url)
                for line in answer.iter_lines():
                    yield json.loads(line)
        except httpx2.RequestError as error:
            raise protocol.unreachable(self.url, error) from error


class AsyncBatching(AsyncSweeping):
    """What `AsyncClient` knows of batches."""

    async def submit_many(
        self,
        api: str,
        payloads: Payloads | AsyncIterable[Any],
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncBatchHandle:
        """As `Client.submit_many`; the payloads may also come asynchronously."""
        request = _submission(api, idempotency_key, headers)
        must_be_many(payloads)
        body = pieces_async(payloads)
        try:
            built = self._http.build_request(
                "POST", request.path, headers=dict(request.headers), content=body, timeout=_patience()
            )
            answer = await self._http.send(built)
        except httpx2.RequestError as error:
            raise protocol.unreachable(self.url, error) from error
        batch, ids = _accepted(read_answer(answer, self.url))
        return AsyncBatchHandle(self, await self.describe_batch(batch), ids)

    async def batch(self, batch_id: str) -> AsyncBatchHandle:
        """As `Client.batch`."""
        return AsyncBatchHandle(self, await self.describe_batch(batch_id))

    async def describe_batch(self, batch_id: str) -> dict[str, Any]:
        """As `Client.describe_batch`."""
        return repair.object_of(await self._send(_batch(batch_id)))

    async def batches(self, api: str | None = None, *, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        """As `Client.batches`."""
        return repair.object_of(await self._send(_batches(api, limit, cursor)))

    async def results_of_batch(self, batch_id: str) -> AsyncIterator[dict[str, Any]]:
        """As `Client.results_of_batch`."""
        request = _results(batch_id)
        try:
            async with self._http.stream("GET", request.path, timeout=large.TIMEOUT_SECONDS) as answer:
                if answer.status_code != _OK:
                    await answer.aread()
                    read_answer(answer, self.url)
                async for line in answer.aiter_lines():
                    yield json.loads(line)
        except httpx2.RequestError as error:
            raise protocol.unreachable(self.url, error) from error


# ── What is said and understood ─────────────────────────────────────────────────────────────────────


def _submission(api: str, idempotency_key: str | None, headers: Mapping[str, str] | None) -> Request:
    head = {name.lower(): value for name, value in (headers or {}).items()}
    head |= {"content-type": "application/x-ndjson", "ringback-batch": "true"}
    if idempotency_key is not None:
        head["idempotency-key"] = idempotency_key
    for name, value in head.items():
        protocol.check_header(name, value)
    return Request(method="POST", path=protocol.path_of(api), headers=head, is_repeatable=False)


def _batch(batch_id: str) -> Request:
    return Request(method="GET", path=protocol.path_of("-", "batches", batch_id))


def _batches(api: str | None, limit: int, cursor: str | None) -> Request:
    asked = {"api": api, "limit": str(limit), "cursor": cursor}
    query = {name: value for name, value in asked.items() if value is not None}
    return Request(method="GET", path="/-/batches", query=query)


def _results(batch_id: str) -> Request:
    return Request(method="GET", path=protocol.path_of("-", "batches", batch_id, "results"))


def _patience() -> httpx2.Timeout:
    return httpx2.Timeout(large.TIMEOUT_SECONDS, read=_TAKEN_IN_SECONDS)


def _accepted(value: Any) -> tuple[str, tuple[str, ...]]:
    try:
        return value["batch"], tuple(value["ids"])
    except (LookupError, TypeError):
        raise Unreachable("the answer is not a batch, as Ringback's would be; is it another server?") from None
