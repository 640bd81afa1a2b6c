"""What a client asks of one workload: how it stands, what came of it, and that it end, run again or be forgotten."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ringback.client import large, protocol, repair
from ringback.client.large import Fetch
from ringback.client.protocol import State
from ringback.client.streams import AsyncStreams, Streams


class Workloads(Streams):
    """What `Client` knows of a workload by its id; a handle asks it."""

    def state(self, api: str, workload_id: str, wait_seconds: float = 0.0) -> State:
        """What the server says of a workload, held up to `wait_seconds` until it ends."""
        return protocol.state_of(self._send(protocol.get(api, workload_id, wait_seconds)))

    def cancel(self, api: str, workload_id: str) -> State:
        """Have a workload end as canceled: at once in the queue, within the API's `cancel_grace` where it runs.

        Raises:
            AlreadyEnded: it has completed or failed.
        """
        return protocol.state_of(self._send(protocol.cancel(api, workload_id)))

    def retry(self, api: str, workload_id: str) -> State:
        """Have a failed or canceled workload run again under its id.

        Raises:
            Conflict: it has completed, or is being canceled.
        """
        return protocol.state_of(self._send(protocol.retry(api, workload_id)))

    def erase(self, api: str, workload_id: str) -> None:
        """Erase a workload and all that is kept of it; one that has not ended is canceled, and nobody is told."""
        self._send(protocol.erase(api, workload_id))

    def describe(self, api: str, workload_id: str) -> dict[str, Any]:
        """All that is known of a workload, its attempts included, but for payload and result themselves."""
        return repair.object_of(self._send(protocol.describe(api, workload_id)))

    def result(self, api: str, workload_id: str) -> Any:
        """A completed workload's result, however large: parsed if it is JSON, bytes otherwise."""
        with TemporaryFile() as file:
            return large.value_of(large.fetched(self._http, Fetch(api, workload_id, file)), file)

    def download(self, api: str, workload_id: str, path: Path | str) -> Path:
        """Put a completed workload's result into a file, as it comes; a broken connection is gone on with."""
        with large.partial(path) as (file, target):
            large.fetched(self._http, Fetch(api, workload_id, file))
        return target


class AsyncWorkloads(AsyncStreams):
    """What `AsyncClient` knows of a workload by its id."""

    async def state(self, api: str, workload_id: str, wait_seconds: float = 0.0) -> State:
        """As `Client.state`."""
        return protocol.state_of(await self._send(protocol.get(api, workload_id, wait_seconds)))

    async def cancel(self, api: str, workload_id: str) -> State:
        """As `Client.cancel`."""
        return protocol.state_of(await self._send(protocol.cancel(api, workload_id)))

    async def retry(self, api: str, workload_id: str) -> State:
        """As `Client.retry`."""
        return protocol.state_of(await self._send(protocol.retry(api, workload_id)))

    async def erase(self, api: str, workload_id: str) -> None:
        """As `Client.erase`."""
        await self._send(protocol.erase(api, workload_id))

    async def describe(self, api: str, workload_id: str) -> dict[str, Any]:
        """As `Client.describe`."""
        return repair.object_of(await self._send(protocol.describe(api, workload_id)))

    async def result(self, api: str, workload_id: str) -> Any:
        """As `Client.result`."""
        with TemporaryFile() as file:
            return large.value_of(await large.fetched_async(self._http, Fetch(api, workload_id, file)), file)

    async def download(self, api: str, workload_id: str, path: Path | str) -> Path:
        """As `Client.download`."""
        with large.partial(path) as (file, target):
            await large.fetched_async(self._http, Fetch(api, workload_id, file))
        return target
