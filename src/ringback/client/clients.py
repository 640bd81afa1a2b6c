"""The two clients: the same words, one of them to be awaited. They only send; `protocol` knows what."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Final

import httpx2

from ringback.client import large, protocol, repair
from ringback.client.handles import AsyncWorkloadHandle, WorkloadHandle
from ringback.client.large import Fetch
from ringback.client.protocol import Request, State
from ringback.client.streams import AsyncStreams, Streams
from ringback.core.workload import Status

DEFAULT_URL: Final = "http://127.0.0.1:8080"

_TRIES: Final = 3


def _headers(api_key: str | None) -> dict[str, str]:
    if api_key is None:
        return {}
    protocol.check_header("Authorization", api_key)
    return {"Authorization": f"Bearer {api_key}"}


def _base(url: str) -> httpx2.URL:
    try:
        return httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise protocol.unreachable(url, error) from error


def _trust(url: httpx2.URL) -> ssl.SSLContext | bool:
    """Whom to believe: httpx's authorities; over plain HTTP nobody, for to load them takes longer than to ask."""
    return url.scheme != "http" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Client(Streams):
    """Talks to one Ringback server. Use it as a context manager, or `close` it."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        base = _base(self.url)
        self._http = httpx2.Client(base_url=base, headers=_headers(api_key), verify=_trust(base), transport=transport)

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

    def deliveries(
        self, *, endpoint: str | None = None, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """A page of deliveries, newest first, and the cursor of the next page."""
        request = repair.deliveries(endpoint=endpoint, state=state, limit=limit, cursor=cursor)
        return repair.object_of(self._send(request))

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        """One delivery with its attempts."""
        return repair.object_of(self._send(repair.delivery(delivery_id)))

    def replay(self, delivery_id: str) -> dict[str, Any]:
        """Have one delivery sent again, whatever became of it."""
        return repair.object_of(self._send(repair.replay(delivery_id)))

    def skip(self, delivery_id: str) -> dict[str, Any]:
        """Let what waits for a parked delivery go without it."""
        return repair.object_of(self._send(repair.skip(delivery_id)))

    def recover(self, endpoint: str, since: str | None = None) -> int:
        """Have all that an endpoint's schedule gave up on since then (`2h`, or a moment) sent again; say how many."""
        return int(repair.object_of(self._send(repair.recover(endpoint, since)))["recovered"])

    def endpoints(self) -> tuple[dict[str, Any], ...]:
        """The endpoints that webhooks go to, and how they stand."""
        return tuple(repair.object_of(self._send(repair.endpoints()))["endpoints"])

    def endpoint(self, key: str, verb: repair.Verb) -> dict[str, Any]:
        """Take an endpoint up again, put it to rest, or try it out with one webhook."""
        return repair.object_of(self._send(repair.endpoint(key, verb)))

    def add_endpoint(self, url: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Register an endpoint; `settings` are keys as in the file's `webhook`. Its secret is told this once."""
        return repair.object_of(self._send(repair.add_endpoint(url, settings or {})))

    def change_endpoint(self, key: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change a registered endpoint where `settings` say so."""
        return repair.object_of(self._send(repair.change_endpoint(key, settings)))

    def rotate_endpoint(self, key: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give a registered endpoint a new secret, told this once; the old one signs on for a day, or an `overlap`."""
        return repair.object_of(self._send(repair.rotate_endpoint(key, settings or {})))

    def remove_endpoint(self, key: str, undelivered: repair.Undelivered = "park") -> dict[str, Any]:
        """Tell a registered endpoint of nothing more; what has not reached it is kept, or erased."""
        return repair.object_of(self._send(repair.remove_endpoint(key, undelivered)))

    def result(self, api: str, workload_id: str) -> Any:
        """A completed workload's result, however large: parsed if it is JSON, bytes otherwise."""
        with TemporaryFile() as file:
            return large.value_of(large.fetched(self._http, Fetch(api, workload_id, file)), file)

    def download(self, api: str, workload_id: str, path: Path | str) -> Path:
        """Put a completed workload's result into a file, as it comes; a broken connection is gone on with."""
        with large.partial(path) as (file, target):
            large.fetched(self._http, Fetch(api, workload_id, file))
        return target

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, request: Request) -> Any:
        return _read(self._answer(request), self.url)

    def _answer(self, request: Request) -> httpx2.Response:
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._http.send(large.built(self._http, request))
            except httpx2.RequestError as error:
                if tries_left == 0 or not (request.is_repeatable and _is_worth_repeating(error)):
                    raise protocol.unreachable(self.url, error) from error
        raise AssertionError("the last try returns or raises")


class AsyncClient(AsyncStreams):
    """Talks to one Ringback server from a coroutine. Use it as a context manager, or `close` it."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        base = _base(self.url)
        self._http = httpx2.AsyncClient(
            base_url=base, headers=_headers(api_key), verify=_trust(base), transport=transport
        )

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

    async def deliveries(
        self, *, endpoint: str | None = None, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """A page of deliveries, newest first, and the cursor of the next page."""
        request = repair.deliveries(endpoint=endpoint, state=state, limit=limit, cursor=cursor)
        return repair.object_of(await self._send(request))

    async def delivery(self, delivery_id: str) -> dict[str, Any]:
        """One delivery with its attempts."""
        return repair.object_of(await self._send(repair.delivery(delivery_id)))

    async def replay(self, delivery_id: str) -> dict[str, Any]:
        """Have one delivery sent again, whatever became of it."""
        return repair.object_of(await self._send(repair.replay(delivery_id)))

    async def skip(self, delivery_id: str) -> dict[str, Any]:
        """Let what waits for a parked delivery go without it."""
        return repair.object_of(await self._send(repair.skip(delivery_id)))

    async def recover(self, endpoint: str, since: str | None = None) -> int:
        """Have all that an endpoint's schedule gave up on since then (`2h`, or a moment) sent again; say how many."""
        return int(repair.object_of(await self._send(repair.recover(endpoint, since)))["recovered"])

    async def endpoints(self) -> tuple[dict[str, Any], ...]:
        """The endpoints that webhooks go to, and how they stand."""
        return tuple(repair.object_of(await self._send(repair.endpoints()))["endpoints"])

    async def endpoint(self, key: str, verb: repair.Verb) -> dict[str, Any]:
        """Take an endpoint up again, put it to rest, or try it out with one webhook."""
        return repair.object_of(await self._send(repair.endpoint(key, verb)))

    async def add_endpoint(self, url: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Register an endpoint; `settings` are keys as in the file's `webhook`. Its secret is told this once."""
        return repair.object_of(await self._send(repair.add_endpoint(url, settings or {})))

    async def change_endpoint(self, key: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change a registered endpoint where `settings` say so."""
        return repair.object_of(await self._send(repair.change_endpoint(key, settings)))

    async def rotate_endpoint(self, key: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give a registered endpoint a new secret, told this once; the old one signs on for a day, or an `overlap`."""
        return repair.object_of(await self._send(repair.rotate_endpoint(key, settings or {})))

    async def remove_endpoint(self, key: str, undelivered: repair.Undelivered = "park") -> dict[str, Any]:
        """Tell a registered endpoint of nothing more; what has not reached it is kept, or erased."""
        return repair.object_of(await self._send(repair.remove_endpoint(key, undelivered)))

    async def result(self, api: str, workload_id: str) -> Any:
        """As `Client.result`."""
        with TemporaryFile() as file:
            return large.value_of(await large.fetched_async(self._http, Fetch(api, workload_id, file)), file)

    async def download(self, api: str, workload_id: str, path: Path | str) -> Path:
        """As `Client.download`."""
        with large.partial(path) as (file, target):
            await large.fetched_async(self._http, Fetch(api, workload_id, file))
        return target

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, request: Request) -> Any:
        return _read(await self._answer(request), self.url)

    async def _answer(self, request: Request) -> httpx2.Response:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._http.send(large.built(self._http, request))
            except httpx2.RequestError as error:
                if tries_left == 0 or not (request.is_repeatable and _is_worth_repeating(error)):
                    raise protocol.unreachable(self.url, error) from error
        raise AssertionError("the last try returns or raises")


def _read(answer: httpx2.Response, url: str) -> Any:
    return protocol.read(answer.status_code, answer.content, url=url, retry_after=answer.headers.get("retry-after"))


def _is_worth_repeating(error: httpx2.RequestError) -> bool:
    """Whether another try may help: after a broken connection.

    Nobody listening, a slow server or an answer that cannot be read will be the same again.
    """
    return isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError) and not isinstance(
        error, httpx2.ConnectError
    )
