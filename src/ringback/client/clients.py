"""The two clients: the same words, one of them to be awaited. They only send; `protocol` knows what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from ringback.client import protocol
from ringback.client.batches import AsyncBatching, Batching
from ringback.client.handles import AsyncWorkloadHandle, WorkloadHandle
from ringback.client.webhooks import AsyncWebhooks, Webhooks
from ringback.client.workloads import AsyncWorkloads, Workloads
from ringback.core.workload import Status


class Client(Workloads, Batching, Webhooks):
    """Talks to one Ringback server. Use it as a context manager, or `close` it."""

    def submit(
        self,
        api: str,
        payload: Any,
        *,
        id: str | None = None,  # noqa: A002 - the name users know it by
        idempotency_key: str | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> WorkloadHandle:
        """Submit a workload. When this returns it is on the server's disk.

        Args:
            api: the API's endpoint.
            payload: bytes go as they are, text as text/plain, everything else as JSON; of a `Path`, the file's bytes
                go as they are read, typed by its name.
            id: an id of your own; the same one again with the same payload is the same workload.
            idempotency_key: submits with the same key are the same workload; one is made if there is no id.
            content_type: instead of the one that follows from the payload's type.
            headers: more headers; predict can name them.

        Raises:
            RingbackError: the server refused it, or cannot be reached.
        """
        request = protocol.submit(
            api, payload, id=id, idempotency_key=idempotency_key, content_type=content_type, headers=headers
        )
        return WorkloadHandle(self, api, protocol.state_of(self._send(request), Status.IN_QUEUE))

    def get(self, api: str, workload_id: str) -> WorkloadHandle:
        """A workload as it stands now."""
        return WorkloadHandle(self, api, self.state(api, workload_id))

    def page(
        self, api: str, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """One page of an API's workloads, newest first, as the server tells it."""
        return protocol.page_of(self._send(protocol.page(api, status=status, limit=limit, cursor=cursor)))

    def list(self, api: str, *, status: str | None = None) -> Iterator[dict[str, Any]]:
        """All of an API's workloads, newest first, page by page."""
        cursor: str | None = None
        while True:
            found = self.page(api, status=status, limit=500, cursor=cursor)
            yield from found["workloads"]
            cursor = found["cursor"]
            if cursor is None:
                return

    def apis(self) -> tuple[dict[str, Any], ...]:
        """What is served, and how it stands."""
        return protocol.apis_of(self._send(protocol.apis()))


class AsyncClient(AsyncWorkloads, AsyncBatching, AsyncWebhooks):
    """Talks to one Ringback server from a coroutine. Use it as a context manager, or `close` it."""

    async def submit(
        self,
        api: str,
        payload: Any,
        *,
        id: str | None = None,  # noqa: A002 - the name users know it by
        idempotency_key: str | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncWorkloadHandle:
        """As `Client.submit`."""
        request = protocol.submit(
            api, payload, id=id, idempotency_key=idempotency_key, content_type=content_type, headers=headers
        )
        return AsyncWorkloadHandle(self, api, protocol.state_of(await self._send(request), Status.IN_QUEUE))

    async def get(self, api: str, workload_id: str) -> AsyncWorkloadHandle:
        """A workload as it stands now."""
        return AsyncWorkloadHandle(self, api, await self.state(api, workload_id))

    async def page(
        self, api: str, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """As `Client.page`."""
        return protocol.page_of(await self._send(protocol.page(api, status=status, limit=limit, cursor=cursor)))

    async def list(self, api: str, *, status: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """All of an API's workloads, newest first, page by page."""
        cursor: str | None = None
        while True:
            found = await self.page(api, status=status, limit=500, cursor=cursor)
            for workload in found["workloads"]:
                yield workload
            cursor = found["cursor"]
            if cursor is None:
                return

    async def apis(self) -> tuple[dict[str, Any], ...]:
        """What is served, and how it stands."""
        return protocol.apis_of(await self._send(protocol.apis()))
