"""Webhooks and the endpoints they go to, in the words of both clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.client import repair
from ringback.client.connections import AsyncConnection, Connection


class Webhooks(Connection):
    """What `Client` knows of webhooks."""

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


class AsyncWebhooks(AsyncConnection):
    """What `AsyncClient` knows of webhooks."""

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
