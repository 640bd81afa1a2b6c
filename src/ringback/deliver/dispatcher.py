"""Brings each delivery of this member to its endpoint's lane, and takes up what the store has left over.

The file's endpoints have a lane each for good. Registered ones, and those that came with a submit, have one as long as
there is something to send. Deliveries of an endpoint that has gone from the file stay pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from ringback.core.delivery import Delivery
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError, SpecError
from ringback.core.roles import Role
from ringback.core.spec import GUEST_PREFIX, Endpoint, guest_endpoint
from ringback.deliver.flow import PROBE_SECONDS
from ringback.deliver.lane import Lane
from ringback.deliver.means import Means
from ringback.deliver.sender import Dialling
from ringback.deliver.sharing import chosen
from ringback.store.contract import Store

_BEFORE_SWEEP: Final = 256
"""Lanes that are not for good before those that are done with are looked for."""
_AFTER_FAULT_SECONDS: Final = 5.0
_SLACK_SECONDS: Final = 1.0
_ORPHANS_SECONDS: Final = 3.0
"""Between two looks for what nobody sends; twice seen is left to nobody any more."""


class Dispatcher:
    """A `store.contract.Outlet` with a lane for each endpoint."""

    def __init__(
        self,
        store: Store,
        endpoints: Mapping[str, Endpoint],
        emit: Emit,
        *,
        chance: Callable[[], float],
        dialling: Dialling,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        """Make the lanes; nothing is sent yet.

        Raises:
            SpecError: an endpoint's URL, headers or secret cannot be used.
        """
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._emit = emit
        self._means = Means(dialling=dialling, chance=chance, probe_seconds=probe_seconds)
        self._lanes = {key: self._lane(endpoint) for key, endpoint in endpoints.items()}
        self._kept = frozenset(self._lanes)
        self._before_sweep = _BEFORE_SWEEP
        self._leaving: dict[asyncio.Task[None], Lane] = {}
        self._looking: asyncio.Task[None] | None = None
        self._adopting: asyncio.Task[None] | None = None
        self._orphans: frozenset[str] = frozenset()
        self._look_again = False
        self._stopped = False

    async def start(self) -> None:
        """Send what is due, and from now on whatever becomes so."""
        self._store.hand_on(self)
        for key, lane in self._lanes.items():
            self._store.on_due(key, lane.on_due)
            lane.on_due()
        self._store.on_endpoints(self._on_endpoint)
        self._store.on_strangers(self._look_for_strangers)
        self._store.on_roster(self._on_roster)
        self._adopting = self._loop.create_task(self._adopt_orphans(), name="ringback-orphans")
        for key in await self._store.waiting():
            self._lane_of(key)

    def serve(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Send to these from now on. Deliveries of one that has gone stay pending; attempts under way end as they end.

        Raises:
            SpecError: an endpoint's URL, headers or secret cannot be used.
        """
        for key in self._kept - endpoints.keys():
            self._retire(key)
        for key, endpoint in endpoints.items():
            lane = self._lanes.get(key)
            if lane is not None:
                lane.become(endpoint)
                continue
            self._lanes[key] = lane = self._lane(endpoint)
            self._store.on_due(key, lane.on_due)
            lane.on_due()
        self._kept = frozenset(endpoints)

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more, give back what waits, let attempts under way end within the grace period."""
        self._end_tasks()
        await asyncio.gather(*(lane.stop(grace_seconds) for lane in (*self._lanes.values(), *self._leaving.values())))

    def abandon(self) -> None:
        """Stop at once and tell the store nothing: others hold what was ours."""
        self._end_tasks()
        for lane in (*self._lanes.values(), *self._leaving.values()):
            lane.abandon()

    def _end_tasks(self) -> None:
        self._stopped = True
        for task in (self._looking, self._adopting):
            if task is not None:
                task.cancel()

    @property
    def is_still(self) -> bool:
        """Whether no attempt is under way or still to be written down."""
        return all(lane.is_still for lane in (*self._lanes.values(), *self._leaving.values()))

    # ── Outlet ──────────────────────────────────────────────────────────────────────────────────

    def has_room(self, endpoint: str) -> bool:
        lane = self._lane_of(endpoint)
        return lane is not None and lane.has_room

    def put(self, delivery: Delivery) -> None:
        lane = self._lane_of(delivery.endpoint)
        if lane is not None:
            lane.put(delivery)
        else:  # its endpoint was removed in the same breath
            asyncio.ensure_future(self._store.release([delivery])).add_done_callback(self._on_released)

    def _on_released(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._emit("store.fault", act="giving back a delivery", error=error)

    # ── Lanes that come and go ──────────────────────────────────────────────────────────────────

    def _lane_of(self, key: str, *, is_adopted: bool = False) -> Lane | None:
        """The endpoint's lane, made if there is none, there can be one, and it is for this member to have it."""
        lane = self._lanes.get(key)
        if lane is not None or self._stopped or not (is_adopted or self._is_meant_for_this(key)):
            return lane
        if (endpoint := self._passing(key)) is None:
            return None
        if len(self._lanes) - len(self._kept) >= self._before_sweep:
            self._sweep()
        try:
            lane = self._lane(endpoint)
        except SpecError as error:
            self._emit("endpoint.unusable", endpoint=key, detail=str(error))
            return None
        self._lanes[key] = lane
        self._store.on_due(key, lane.on_due)
        self._loop.call_soon(lane.on_due)  # not now: this may be asked inside a transaction
        return lane

    def _passing(self, key: str) -> Endpoint | None:
        """An endpoint that the file does not know; None if nobody does."""
        if key.startswith(GUEST_PREFIX):
            return guest_endpoint(key.removeprefix(GUEST_PREFIX))
        registration = self._store.registered(key)
        return None if registration is None else registration.endpoint

    def _sweep(self) -> None:
        for key in [key for key, lane in self._lanes.items() if key not in self._kept and lane.is_quiet]:
            self._retire(key)
        # Twice as many as are needed still: looking at all of them for each new one would hold up everybody.
        self._before_sweep = max(_BEFORE_SWEEP, 2 * (len(self._lanes) - len(self._kept)))

    def _on_endpoint(self, key: str) -> None:
        """A registered endpoint has come, changed or gone."""
        lane = self._lanes.get(key)
        if lane is None or self._stopped:
            return
        endpoint = self._passing(key)
        if endpoint is None:
            self._retire(key)
            return
        try:
            lane.become(endpoint)
        except SpecError as error:
            self._emit("endpoint.unusable", endpoint=key, detail=str(error))

    def _retire(self, key: str) -> None:
        """Send it nothing more; attempts under way end as they end."""
        self._store.off_due(key)
        lane = self._lanes.pop(key)
        leaving = asyncio.ensure_future(lane.stop(lane.timeout_seconds + _SLACK_SECONDS))
        self._leaving[leaving] = lane
        leaving.add_done_callback(self._leaving.pop)
        self._emit("endpoint.closed", endpoint=key)

    # ── What others have left ───────────────────────────────────────────────────────────────────

    def _look_for_strangers(self) -> None:
        """Other members may have left deliveries of endpoints that have no lane here."""
        self._look_again = True
        if self._looking is None and not self._stopped:
            self._looking = asyncio.ensure_future(self._take_in_strangers())
            self._looking.add_done_callback(self._on_looked)

    async def _take_in_strangers(self) -> None:
        while self._look_again:
            self._look_again = False
            for key in await self._store.waiting():
                self._lane_of(key)

    def _on_looked(self, done: asyncio.Task[None]) -> None:
        self._looking = None
        if done.cancelled() or (error := done.exception()) is None:
            return
        if not isinstance(error, RingbackError):
            raise error
        self._emit("store.fault", act="looking for deliveries that others have left", error=error)
        self._loop.call_later(_AFTER_FAULT_SECONDS, self._look_for_strangers)

    def _lane(self, endpoint: Endpoint) -> Lane:
        wanted = partial(self._is_meant_for_this, endpoint.key)
        return Lane(endpoint, self._store, self._emit, means=self._means, wanted=wanted)

    # ── Shared with other dispatchers ───────────────────────────────────────────────────────────

    def _is_meant_for_this(self, key: str) -> bool:
        """Whether this member is the one that all dispatchers would have send to the endpoint."""
        everyone = self._store.roster(Role.DISPATCHER)
        return len(everyone) < 2 or chosen(key, everyone) == self._store.member

    def _on_roster(self) -> None:
        """Dispatchers have come or gone: leave to others what is theirs now, take what is this one's."""
        if self._stopped:
            return
        for lane in self._lanes.values():
            lane.on_roster()
        self._look_for_strangers()

    async def _adopt_orphans(self) -> None:
        while True:
            await asyncio.sleep(_ORPHANS_SECONDS)
            try:
                await self._look_for_orphans()
            except RingbackError as error:
                self._emit("store.fault", act="looking for what nobody sends", error=error)

    async def _look_for_orphans(self) -> None:
        """Send, for good measure, what those it is meant for do not: their file may not know the endpoint."""
        if len(self._store.roster(Role.DISPATCHER)) < 2:
            return  # all is meant for this one
        before, self._orphans = self._orphans, await self._store.orphans()
        for key in before & self._orphans:
            if (lane := self._lane_of(key, is_adopted=True)) is not None:
                lane.adopt()
