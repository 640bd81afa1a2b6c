"""Deliveries brought forth by an event: their bodies, their links, their places in line. Promises A, F and O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ringback.core.batch import BatchCompleted
from ringback.core.body import Happened, Told, cortex_body, enveloped, event_of, without_its_value
from ringback.core.clock import Instant, after
from ringback.core.delivery import Delivery
from ringback.core.links import LINK_SECONDS, result_path, signed_link
from ringback.core.spec import BodyFormat, Endpoint, Order
from ringback.core.workload import Completed, Held, Output
from ringback.store.verbs import rows
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import SetTransaction, Transaction

NEVER: Final = 1 << 62
"""The due time of a delivery that waits for another to arrive."""

_LINK_SLACK_SECONDS: Final = 86_400.0
"""A link holds for a week, and always for a day longer than its webhook may be on its way."""


@dataclass(frozen=True, slots=True)
class Teller:
    """What whoever tells of a workload knows: when it is, and columns of `finish`, `progress` and `announce`."""

    at: Instant
    trace_id: str | None
    guests: bytes | None
    sequence: int
    order_key: str | None
    tenant: str
    batch: int | None


class Announcing:
    """Makes the deliveries of one event, within the transaction that the event happens in."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def tell(
        self, tx: Transaction, held: Held, happened: Happened, teller: Teller, endpoints: Sequence[Endpoint]
    ) -> None:
        """A delivery for each endpoint that asked: those given, the registered, and those that came with the submit."""
        if asked := self.asking(held, happened, teller.guests, endpoints):
            told = self._told(held, happened, teller)
            order_key = held.id if teller.order_key is None else teller.order_key
            if lines := [(endpoint.key, order_key) for endpoint in asked if endpoint.order is Order.FIFO]:
                self._session.hold_lines(tx, lines)
            for endpoint, body in self._bodies(told, happened, asked):
                self._deliver(tx, held, told, teller, endpoint, body)

    def tell_in_set(
        self, tx: SetTransaction, held: Held, happened: Happened, teller: Teller, asking: Sequence[Endpoint]
    ) -> None:
        """As `tell`, of endpoints that have asked and keep no order, by rows of the set `told`."""
        if asking:
            told = self._told(held, happened, teller)
            for endpoint, body in self._bodies(told, happened, asking):
                self._deliver_in_set(tx, held, told, teller, endpoint, body)

    def asking(
        self, held: Held, happened: Happened, guests: bytes | None, endpoints: Sequence[Endpoint]
    ) -> list[Endpoint]:
        """Whoever is to be told of it."""
        event = event_of(happened)
        everyone: Sequence[Endpoint] = endpoints
        if registered := self._session.registry.told_of(
            happened.api if isinstance(happened, BatchCompleted) else held.api
        ):
            everyone = (*everyone, *registered)
        if guests is not None:
            everyone = (*everyone, *rows.guests(guests))
        return [endpoint for endpoint in everyone if event in endpoint.events]

    def let_next_go(self, tx: Transaction, endpoint: str, order_key: str) -> None:
        """What has been in the way of the next one in line has arrived, or stands aside."""
        session = self._session
        session.hold_lines(tx, [(endpoint, order_key)])
        moved = tx.execute(
            self._sql["let_the_next_go"],
            {"endpoint": endpoint, "order_key": order_key, "due_at": session.steady(), "never": NEVER},
        )
        if moved.rowcount:
            session.meeting.due.call(endpoint)

    def _told(self, held: Held, happened: Happened, teller: Teller) -> Told:
        return Told(
            event=event_of(happened),
            message_id=f"msg_{self._session.ids.new()}",
            api=held.api,
            workload_id=held.id,
            at=teller.at,
            sequence=teller.sequence,
        )

    def _bodies(self, told: Told, happened: Happened, asking: Sequence[Endpoint]) -> Iterator[tuple[Endpoint, bytes]]:
        """Each endpoint with the bytes it is to get; the same are made once."""
        bodies: dict[tuple[BodyFormat, str | None, bool], bytes] = {}
        for endpoint in asking:
            form = endpoint.format, *self._left_out(told, happened, endpoint)
            body = bodies.get(form)
            if body is None:
                body = bodies[form] = _body(told, happened, *form)
            yield endpoint, body

    def _deliver_in_set(
        self, tx: SetTransaction, held: Held, told: Told, teller: Teller, endpoint: Endpoint, body: bytes
    ) -> None:
        """As `_deliver`, where nothing is in the way. Nobody can take it before the batch is on disk."""
        session, key = self._session, endpoint.key
        outlet = session.meeting.outlet
        if outlet is not None and not outlet.has_room(key):
            outlet = None
        row = (
            held.seq,
            key,
            endpoint.shown_url,
            told.message_id,
            told.event.value,
            session.steady(),
            int(outlet is not None),
            told.at,
            tx.lay(body),
            len(body),
            endpoint.format.value,
            told.sequence,
        )
        if outlet is None:
            tx.put("told", row)
            tx.after(partial(session.meeting.due.call, key))
            return
        put = outlet.put

        def hand_on(seq: int) -> None:
            put(_delivery(seq, told, teller, endpoint, body, None))

        tx.put("told", row, hand_on)

    def _deliver(
        self, tx: Transaction, held: Held, told: Told, teller: Teller, endpoint: Endpoint, body: bytes
    ) -> None:
        """In the outlet's hands where it has room, due for anyone otherwise, or behind another one in a line held."""
        session, key = self._session, endpoint.key
        meeting, outlet = session.meeting, session.meeting.outlet
        due_at, order_key = session.steady(), None
        if endpoint.order is Order.FIFO:
            order_key = held.id if teller.order_key is None else teller.order_key
            line = {"endpoint": key, "order_key": order_key}
            if tx.execute(self._sql["is_in_the_way"], line).fetchall():
                due_at = Instant(NEVER)
        if due_at == NEVER or outlet is None or not outlet.has_room(key):
            outlet = None
        inserted = tx.execute(
            self._sql["insert_delivery"],
            {
                "workload": held.seq,
                "endpoint": key,
                "url": endpoint.shown_url,
                "message_id": told.message_id,
                "event": told.event.value,
                "due_at": due_at,
                "holder": session.member if outlet is not None else None,
                "now": told.at,
                "body": body,
                "format": endpoint.format.value,
                "sequence": told.sequence,
                "order_key": order_key,
            },
        )
        seq = session.seq_of(inserted)
        if outlet is None:
            if due_at != NEVER:
                meeting.due.call(key)
            return
        tx.after(partial(outlet.put, _delivery(seq, told, teller, endpoint, body, order_key)))

    def _left_out(self, told: Told, happened: Happened, endpoint: Endpoint) -> tuple[str | None, bool]:
        """The link that stands in a result's place, and whether an output's value is left out, for their size."""
        match happened:
            case Completed(result=result, blob=blob) if blob or len(result) > endpoint.inline_limit_bytes:
                until = after(told.at, max(LINK_SECONDS, sum(endpoint.retry_seconds) + _LINK_SLACK_SECONDS))
                session, path = self._session, result_path(told.api, told.workload_id)
                return signed_link(session.part.public_url, path, session.link_key, until), False
            case Output(value=value) if len(value) > endpoint.inline_limit_bytes:
                return None, True
            case _:
                return None, False


def _delivery(seq: int, told: Told, teller: Teller, endpoint: Endpoint, body: bytes, order_key: str | None) -> Delivery:
    return Delivery(
        seq=seq,
        endpoint=endpoint.key,
        message_id=told.message_id,
        event=told.event,
        api=told.api,
        workload_id=told.workload_id,
        body=body,
        format=endpoint.format,
        sequence=told.sequence,
        order_key=order_key,
        tries=0,
        trace_id=teller.trace_id,
        created_at=told.at,
    )


def _body(told: Told, happened: Happened, form: BodyFormat, link: str | None, is_bare: bool) -> bytes:
    if is_bare:
        assert isinstance(happened, Output)
        return enveloped(form, told, without_its_value(told, happened))
    return enveloped(form, told, cortex_body(told, happened, link))
