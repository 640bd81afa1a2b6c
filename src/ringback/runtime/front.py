"""What browsers are shown: the parts with pages, put under their paths. The one place that says which there are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from ringback.core.inbox import PATH
from ringback.core.spec import Api
from ringback.dashboard import Dashboard, Hour
from ringback.gateway import Front, Gateway, Probes
from ringback.inspector import Inspector, Reach
from ringback.pages import Inside, Link, Pages, warm
from ringback.runtime.metrics import Metrics
from ringback.store.contract import Store

_PARTS: Final = ("ringback.dashboard", "ringback.inspector")
"""Packages with templates and assets of their own."""

_LINKS: Final = (
    Link(words="Overview", path="/"),
    Link(words="Workloads", path="/-/ui/workloads"),
    Link(words="Batches", path="/-/ui/batches"),
    Link(words="Deliveries", path="/-/ui/deliveries"),
    Link(words="Endpoints", path="/-/ui/endpoints"),
    Link(words="Submit", path="/-/ui/submit"),
)
"""The navigation, on every page."""
_WARM_AFTER_SECONDS: Final = 2.0
_INSPECTOR_LINK: Final = Link(words="Inspector", path=PATH)


class Face:
    """What the world sees of one member: a gateway and its pages, or the answers to probes alone."""

    def __init__(self, app: Gateway | Probes, front: FrontOfHouse | None = None) -> None:
        """Put them together: a gateway with its pages, or probes without any."""
        self.app = app
        self._front = front

    @property
    def hour(self) -> Hour | None:
        """What charts have shown until now."""
        return None if self._front is None else self._front.hour

    async def prepare(self) -> None:
        """Be ready for what this server's own webhooks bring, before the first is sent."""
        if self._front is not None:
            await self._front.prepare()

    def open(self) -> None:
        """Let pages ask the gateway."""
        if self._front is not None and isinstance(self.app, Gateway):
            self._front.open(self.app)

    def close_streams(self) -> None:
        """Send away whoever is kept waiting."""
        if self._front is not None:
            self._front.close_streams()

    async def close(self) -> None:
        """End what `open` has begun."""
        if self._front is not None:
            await self._front.close()


class FrontOfHouse:
    """The parts with pages over one open store."""

    def __init__(
        self,
        store: Store,
        apis: Sequence[Api],
        metrics: Metrics,
        public_url: str,
        *,
        reach: Reach | None,
        hour: Hour | None = None,
    ) -> None:
        """Put them together.

        Args:
            store: what they look at.
            apis: what is served.
            metrics: what charts are made of.
            public_url: where browsers reach the server.
            reach: the inspector's; None when there is to be none.
            hour: what charts have shown until now; None begins anew.
        """
        self._pages = pages = Pages(_PARTS, _LINKS if reach is None else (*_LINKS, _INSPECTOR_LINK))
        self._ask = Inside()
        self.hour = Hour(partial(metrics.reading, store), store.queue_ages, store.clock) if hour is None else hour
        self._dashboard = Dashboard(
            store, apis, pages=pages, hour=self.hour, ask=self._ask, has_inspector=reach is not None
        )
        self._inspector = None if reach is None else Inspector(store, apis, pages, reach)
        self._tasks: list[asyncio.Task[None]] = []
        inspectors = () if self._inspector is None else (self._inspector.mount,)
        self.front = Front(pages=pages, mounts=(self._dashboard.mount, *inspectors), public_url=public_url)

    async def prepare(self) -> None:
        """Be ready for what this server's own webhooks bring, before the first is sent."""
        if self._inspector is not None:
            await self._inspector.start()

    def open(self, gateway: Gateway) -> None:
        """Let pages ask this gateway, and begin to sample what their charts show."""
        self._ask.belongs_to(gateway.inside)
        self._tasks = [
            asyncio.create_task(self.hour.run(), name="ringback-hour"),
            asyncio.create_task(self._warm(), name="ringback-pages"),
        ]

    def close_streams(self) -> None:
        """Send browsers away, and whoever else is kept waiting: they find whoever serves next."""
        self._dashboard.close()
        if self._inspector is not None:
            self._inspector.close_streams()

    async def close(self) -> None:
        """End what `open` has begun."""
        self.close_streams()
        if self._inspector is not None:
            await self._inspector.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _warm(self) -> None:
        """Once the start is over, have the pages ready before somebody looks."""
        await asyncio.sleep(_WARM_AFTER_SECONDS)
        await warm(self._pages)
