"""Webhooks, those that fail first; one with every attempt; and the endpoints they go to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from ringback.core.clock import SECOND, Instant
from ringback.core.delivery import DeliveryPage, DeliveryRecord, DeliveryState, Pause, PauseKind
from ringback.core.errors import UnknownDelivery
from ringback.core.registration import REGISTERED_PREFIX
from ringback.core.spec import GUEST_PREFIX, Endpoint, guest_endpoint
from ringback.dashboard.asked import Asked, Known, View
from ringback.dashboard.figures import Health, attempts_chart, health_of
from ringback.pages import CURSOR, pager
from ringback.store.contract import Backlog

ID_PREFIX: Final = "dlv_"
PAGE: Final = 100
_FIRST: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Deliveries in one state, as the first page shows them."""

    title: str
    state: DeliveryState | None
    page: DeliveryPage


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """One endpoint as it stands."""

    key: str
    endpoint: Endpoint
    apis: tuple[str, ...] | None
    """Whose events it is told of; None: every API's."""
    pause: Pause | None
    is_tripped: bool
    backlog: Backlog
    health: Health
    chart: Markup
    now: Instant

    @property
    def state(self) -> tuple[str, str]:
        """How it is treated, as a class and a word."""
        if self.pause is not None:
            return ("bad", "gone") if self.pause.kind is PauseKind.GONE else ("wait", "disabled")
        return ("warn", "failing, probed") if self.is_tripped else ("good", "active")

    @property
    def origin(self) -> str:
        """Who has named it: `file`, `registered` or `request`."""
        if self.key.startswith(GUEST_PREFIX):
            return "request"
        return "registered" if self.key.startswith(REGISTERED_PREFIX) else "file"

    @property
    def oldest_seconds(self) -> float | None:
        oldest = self.backlog.oldest_at
        return None if oldest is None else max(0, self.now - oldest) / SECOND


class Deliveries:
    """Makes the pages about webhooks."""

    def __init__(self, known: Known) -> None:
        self._known = known

    async def list(self, asked: Asked) -> View:
        """Without a filter what was given up on, what is on its way, and what came last; else a page of one state."""
        state = asked.choice("state", set(DeliveryState))
        endpoint = asked.query.get("endpoint") or None
        cursor = asked.query.get(CURSOR) or None
        wanted: list[DeliveryState | None] = [DeliveryState.PARKED, DeliveryState.PENDING, None]
        if state or endpoint or cursor:
            wanted = [DeliveryState(state) if state else None]
        limit = PAGE if len(wanted) == 1 else _FIRST
        pages = await asyncio.gather(
            *(
                self._known.store.find_deliveries(endpoint=endpoint, state=each, limit=limit, cursor=cursor)
                for each in wanted
            )
        )
        backlogs = await self._known.store.backlogs()
        kept = {"state": state or "", "endpoint": endpoint or ""}
        return View(
            template="dashboard/deliveries.html",
            values={
                "portions": [
                    Portion(title=_TITLES[each], state=each, page=page)
                    for each, page in zip(wanted, pages, strict=True)
                    if page.deliveries or len(wanted) == 1
                ],
                "wanted": kept,
                "states": list(DeliveryState),
                "endpoints": sorted(
                    {
                        *self._known.endpoints,
                        *(each.endpoint.key for each in self._known.store.registrations()),
                        *backlogs,
                    }
                ),
                "parked": {key: backlog.parked for key, backlog in sorted(backlogs.items()) if backlog.parked},
                "is_paged": len(wanted) == 1,
                "pager": pager(asked.query, pages[0].cursor, kept),
            },
            marks="/-/ui/deliveries",
        )

    async def one(self, asked: Asked) -> View:
        """One delivery with every attempt."""
        record = await self._known.store.delivery(seq_of(asked.places["id"]))
        values = {"record": record, "is_captured": await self._is_captured(record)}
        return View(template="dashboard/delivery.html", values=values, marks="/-/ui/deliveries")

    async def _is_captured(self, record: DeliveryRecord) -> bool:
        """Whether an inbox has a request of it to show."""
        if not self._known.has_inspector:
            return False
        return bool(await self._known.store.inboxes.of_message(record.message_id, 1))

    async def endpoints(self, asked: Asked) -> View:  # noqa: ARG002 - it has no parameters
        """Every endpoint: those of the file, registered ones, and guests with something left to deliver."""
        backlogs = await self._known.store.backlogs()
        named = [*self._known.endpoints, *(each.endpoint.key for each in self._known.store.registrations())]
        keys = [*named, *sorted(key for key in backlogs if key not in named and key.startswith(GUEST_PREFIX))]
        return View(
            template="dashboard/endpoints.html",
            values={"rows": [self._row(key, backlogs.get(key)) for key in keys]},
            marks="/-/ui/endpoints",
        )

    def _row(self, key: str, backlog: Backlog | None) -> EndpointRow:
        endpoint, apis = self._endpoint(key)
        return EndpointRow(
            key=key,
            endpoint=endpoint,
            apis=apis,
            pause=self._known.store.paused(key),
            is_tripped=key in self._known.hour.tripped,
            backlog=backlog or Backlog(pending=0, parked=0, oldest_at=None),
            health=health_of(self._known.hour.samples(), key),
            chart=attempts_chart(self._known.hour.window(), key),
            now=self._known.store.clock.now(),
        )

    def _endpoint(self, key: str) -> tuple[Endpoint, tuple[str, ...] | None]:
        """An endpoint and the APIs it is told of."""
        of_file = self._known.endpoints.get(key)
        if of_file is not None:
            return of_file[1], (of_file[0].name,)
        registration = self._known.store.registered(key)
        if registration is not None:
            return registration.endpoint, None if registration.apis is None else tuple(sorted(registration.apis))
        return guest_endpoint(key.removeprefix(GUEST_PREFIX)), ()


_TITLES: Final = {
    DeliveryState.PARKED: "Parked: given up on, kept, replayable",
    DeliveryState.PENDING: "On their way",
    DeliveryState.DELIVERED: "Delivered",
    None: "Latest",
}


def seq_of(text: str) -> int:
    """The number in a delivery's id.

    Raises:
        UnknownDelivery: that is none.
    """
    digits = text.removeprefix(ID_PREFIX)
    if text == digits or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UnknownDelivery(f"there is no delivery {text[:80]!r}; ids begin with {ID_PREFIX}")
    return int(digits)


def is_failing(record: DeliveryRecord) -> bool:
    """Whether it has been tried and has not arrived."""
    return record.state is not DeliveryState.DELIVERED and record.tries > 0
