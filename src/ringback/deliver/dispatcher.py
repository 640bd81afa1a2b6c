"""Brings each delivery of this member to its endpoint's lane, and takes up what the store has left over.

Takes deliveries of the endpoints it knows; those of an endpoint that has gone from the file stay pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ringback.core.delivery import Delivery
from ringback.core.emit import Emit
from ringback.core.netguard import Guard
from ringback.core.spec import Endpoint
from ringback.deliver.flow import PROBE_SECONDS
from ringback.deliver.lane import Lane
from ringback.store.contract import Store


class Dispatcher:
    """A `store.contract.Outlet` with a lane for each endpoint."""

    def __init__(
        self,
        store: Store,
        endpoints: Mapping[str, Endpoint],
        emit: Emit,
        *,
        chance: Callable[[], float],
        guard: Guard,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        """Make the lanes; nothing is sent yet.

        Raises:
            SpecError: an endpoint's URL, headers or secret cannot be used.
        """
        self._store = store
        self._lanes = {
            key: Lane(endpoint, store, emit, chance=chance, guard=guard, probe_seconds=probe_seconds)
            for key, endpoint in endpoints.items()
        }

    async def start(self) -> None:
        """Send what is due, and from now on whatever becomes so."""
        self._store.hand_on(self)
        for key, lane in self._lanes.items():
            self._store.on_due(key, lane.on_due)
            lane.on_due()

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more, give back what waits, let attempts under way end within the grace period."""
        await asyncio.gather(*(lane.stop(grace_seconds) for lane in self._lanes.values()))

    def abandon(self) -> None:
        """Stop at once and tell the store nothing: others hold what was ours."""
        for lane in self._lanes.values():
            lane.abandon()

    # ── Outlet ──────────────────────────────────────────────────────────────────────────────────

    def has_room(self, endpoint: str) -> bool:
        lane = self._lanes.get(endpoint)
        return lane is not None and lane.has_room

    def put(self, delivery: Delivery) -> None:
        self._lanes[delivery.endpoint].put(delivery)
