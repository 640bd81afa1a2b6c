"""Brings each delivery of this member to its endpoint's lane, and takes up what the store has left over.

Takes deliveries of the endpoints it knows; those of an endpoint that has gone from the file stay pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from ringback.core.delivery import Delivery
from ringback.core.emit import Emit
from ringback.core.netguard import Guard
from ringback.core.spec import GUEST_PREFIX, Endpoint, guest_endpoint
from ringback.deliver.flow import PROBE_SECONDS
from ringback.deliver.lane import Lane
from ringback.store.contract import Store

_GUESTS_BEFORE_SWEEP: Final = 256
"""Lanes of endpoints that came with requests before those that are done with are looked for."""


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
        self._loop = asyncio.get_running_loop()
        self._emit = emit
        self._chance = chance
        self._guard = guard
        self._probe_seconds = probe_seconds
        self._lanes = {key: self._lane(endpoint) for key, endpoint in endpoints.items()}
        self._kept = frozenset(self._lanes)

    async def start(self) -> None:
        """Send what is due, and from now on whatever becomes so."""
        self._store.hand_on(self)
        for key, lane in self._lanes.items():
            self._store.on_due(key, lane.on_due)
            lane.on_due()
        for key, backlog in (await self._store.backlogs()).items():
            if backlog.pending and key.startswith(GUEST_PREFIX):
                self._guests_lane(key)

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more, give back what waits, let attempts under way end within the grace period."""
        await asyncio.gather(*(lane.stop(grace_seconds) for lane in self._lanes.values()))

    def abandon(self) -> None:
        """Stop at once and tell the store nothing: others hold what was ours."""
        for lane in self._lanes.values():
            lane.abandon()

    @property
    def is_still(self) -> bool:
        """Whether no attempt is under way or still to be written down."""
        return all(lane.is_still for lane in self._lanes.values())

    # ── Outlet ──────────────────────────────────────────────────────────────────────────────────

    def has_room(self, endpoint: str) -> bool:
        lane = self._lanes.get(endpoint)
        if lane is None and endpoint.startswith(GUEST_PREFIX):
            lane = self._guests_lane(endpoint)
        return lane is not None and lane.has_room

    def put(self, delivery: Delivery) -> None:
        self._lanes[delivery.endpoint].put(delivery)

    # ── Lanes ───────────────────────────────────────────────────────────────────────────────────

    def _guests_lane(self, key: str) -> Lane:
        """A lane for an endpoint that came with a request; it goes again when it is no longer needed."""
        if len(self._lanes) - len(self._kept) >= _GUESTS_BEFORE_SWEEP:
            self._sweep()
        lane = self._lane(guest_endpoint(key.removeprefix(GUEST_PREFIX)))
        self._lanes[key] = lane
        self._store.on_due(key, lane.on_due)
        self._loop.call_soon(lane.on_due)  # not now: this may be asked inside a transaction
        return lane

    def _sweep(self) -> None:
        for key in [key for key, lane in self._lanes.items() if key not in self._kept and lane.is_quiet]:
            self._store.off_due(key)
            self._lanes.pop(key).abandon()

    def _lane(self, endpoint: Endpoint) -> Lane:
        return Lane(
            endpoint,
            self._store,
            self._emit,
            chance=self._chance,
            guard=self._guard,
            probe_seconds=self._probe_seconds,
        )
