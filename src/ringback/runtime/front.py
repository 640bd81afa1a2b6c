"""What browsers are shown: the parts with pages, put under their paths. The one place that says which there are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from ringback.core.spec import Api
from ringback.dashboard import Dashboard, Hour
from ringback.gateway import Front, Gateway
from ringback.pages import Inside, Link, Pages
from ringback.runtime.metrics import Metrics
from ringback.store.contract import Store

_PARTS: Final = ("ringback.dashboard",)
"""Packages with templates and assets of their own."""

_LINKS: Final = (
    Link(words="Overview", path="/"),
    Link(words="Workloads", path="/-/ui/workloads"),
    Link(words="Deliveries", path="/-/ui/deliveries"),
    Link(words="Endpoints", path="/-/ui/endpoints"),
    Link(words="Submit", path="/-/ui/submit"),
)
"""The navigation, on every page."""


class FrontOfHouse:
    """The parts with pages over one open store."""

    def __init__(self, store: Store, apis: Sequence[Api], metrics: Metrics, public_url: str) -> None:
        pages = Pages(_PARTS, _LINKS)
        self._ask = Inside()
        self._hour = Hour(metrics.reading, store.queue_ages, store.clock)
        self._dashboard = Dashboard(store, apis, pages=pages, hour=self._hour, ask=self._ask)
        self._sampling: asyncio.Task[None] | None = None
        self.front = Front(pages=pages, mounts=(self._dashboard.mount,), public_url=public_url)

    def open(self, gateway: Gateway) -> None:
        """Let pages ask this gateway, and begin to sample what their charts show."""
        self._ask.belongs_to(gateway.inside)
        self._sampling = asyncio.create_task(self._hour.run(), name="ringback-hour")

    def close_streams(self) -> None:
        """Send browsers away: they find whoever serves next."""
        self._dashboard.close()

    async def close(self) -> None:
        """End what `open` has begun."""
        self.close_streams()
        if self._sampling is not None:
            self._sampling.cancel()
            await asyncio.gather(self._sampling, return_exceptions=True)
