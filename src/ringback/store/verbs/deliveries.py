"""The verbs that move deliveries: take_due, record, release, replay, recover, skip, pause. Promises D, H, O and Y."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence

from ringback.core.clock import Instant, after
from ringback.core.delivery import Attempt, Delivered, Delivery, DeliveryState, Park, Pause, TryAgain, Verdict
from ringback.core.errors import Conflict, UnknownDelivery
from ringback.core.spec import BodyFormat, Event
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import NEVER, Announcing
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Kin, Transaction


class Deliveries:
    """Writes to the tables of deliveries and attempts."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql
        self._announcing = Announcing(session)

    def take_due(self, endpoint: str, room: int, again: bool) -> Future[tuple[list[Delivery], float | None]]:
        return self._session.commits.write(lambda tx: self._take_due(tx, endpoint, room, again))

    def _take_due(self, tx: Transaction, endpoint: str, room: int, again: bool) -> tuple[list[Delivery], float | None]:
        session = self._session
        parameters = {"endpoint": endpoint, "now": session.steady(), "room": room, "again": again}
        taken = tx.execute(self._sql["take_due"], {**parameters, "member": session.member}).fetchall()
        taken.sort(key=lambda row: (row[8], row[0]))  # RETURNING promises no order
        following = tx.execute(self._sql["next_due"], {**parameters, "never": NEVER}).fetchall()
        return [_delivery(row) for row in taken], session.seconds_until(following[0][0]) if following else None

    # ── Writing down what was tried ─────────────────────────────────────────────────────────────

    def record(self, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> Future[None]:
        def write(tx: Transaction) -> None:
            self._record(tx, delivery, attempt, verdict)

        if isinstance(verdict, Delivered) and delivery.order_key is None and attempt.is_bare:
            row = rows.arrived_row(delivery.seq, attempt, settled_at=self._session.clock.now())
            return self._session.commits.write_in_set(lambda tx: tx.put("arrived", row), write, Kin.ATTEMPTS)
        return self._session.commits.write_apart(write, Kin.ATTEMPTS)

    def _record(self, tx: Transaction, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> None:
        tx.hold(("delivery", delivery.seq))
        if self._move_held(tx, delivery, attempt, verdict):
            columns = rows.attempt_parameters(delivery.seq, attempt)
            if tx.execute(self._sql["insert_attempt"], columns).rowcount == 0:
                # A former holder wrote this number down after it had lost the delivery: keep both.
                tx.execute(self._sql["append_attempt"], columns)
            if isinstance(verdict, TryAgain):
                self._session.meeting.due.call(delivery.endpoint)
            elif delivery.order_key is not None and isinstance(verdict, Delivered):
                self._announcing.let_next_go(tx, delivery.endpoint, delivery.order_key)
        else:
            self._record_late(tx, delivery, attempt, verdict)

    def _move_held(self, tx: Transaction, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> bool:
        """Move a delivery in this member's hands; False when it is not, or the attempt is already counted."""
        now = self._session.clock.now()
        fence = {"seq": delivery.seq, "member": self._session.member, "number": attempt.number}
        match verdict:
            case TryAgain(wait_seconds=wait):
                due_at = after(self._session.steady(), wait)
                moved = tx.execute(self._sql["retry_held"], {**fence, "due_at": due_at})
            case Delivered():
                settled = {"state": DeliveryState.DELIVERED.value, "settled_at": now, "reason": None}
                moved = tx.execute(self._sql["settle_held"], {**fence, **settled})
            case Park(reason=reason):
                parked = {"state": DeliveryState.PARKED.value, "settled_at": now, "reason": rows.storable(reason)}
                moved = tx.execute(self._sql["settle_held"], {**fence, **parked})
        return moved.rowcount == 1

    def _record_late(self, tx: Transaction, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> None:
        """Keep what a former holder has tried; a delivery that arrived has arrived, whoever brought it."""
        seq = delivery.seq
        if not tx.execute(self._sql["read_delivery"], {"seq": seq}).fetchall():
            return  # erased meanwhile
        tx.execute(self._sql["insert_attempt"], rows.attempt_parameters(seq, attempt))
        if isinstance(verdict, Delivered):
            tx.execute(self._sql["settle_unheld"], {"seq": seq, "settled_at": self._session.clock.now()})
            if delivery.order_key is not None:
                self._announcing.let_next_go(tx, delivery.endpoint, delivery.order_key)

    # ── Letting go ──────────────────────────────────────────────────────────────────────────────

    def release(self, deliveries: Sequence[Delivery]) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            for delivery in deliveries:
                tx.execute(self._sql["release"], {"seq": delivery.seq, "member": session.member})
                session.meeting.due.call(delivery.endpoint)

        return session.commits.write(write)

    # ── Once more ───────────────────────────────────────────────────────────────────────────────

    def replay(self, seq: int) -> Future[None]:
        def write(tx: Transaction) -> None:
            found = tx.execute(self._sql["one_delivery"], {"seq": seq}).fetchall()
            if not found:
                raise UnknownDelivery(f"there is no delivery {seq}")
            self._replay(tx, seq)
            self._session.meeting.due.call(found[0][3])

        return self._session.commits.write(write)

    def recover(self, endpoint: str, since: Instant, room: int) -> Future[int]:
        def write(tx: Transaction) -> int:
            parked = tx.execute(
                self._sql["parked_since"], {"endpoint": endpoint, "since": since, "room": room}
            ).fetchall()
            for (seq,) in parked:
                self._replay(tx, seq)
            self._session.meeting.due.call(endpoint)
            return len(parked)

        return self._session.commits.write(write)

    def _replay(self, tx: Transaction, seq: int) -> None:
        tx.execute(self._sql["replay"], {"seq": seq, "due_at": self._session.steady(), "never": NEVER})

    def skip(self, seq: int) -> Future[None]:
        def write(tx: Transaction) -> None:
            found = tx.execute(self._sql["one_delivery"], {"seq": seq}).fetchall()
            if not found:
                raise UnknownDelivery(f"there is no delivery {seq}")
            order_key = found[0][14]
            if tx.execute(self._sql["skip"], {"seq": seq}).rowcount == 0:
                raise Conflict("only a parked delivery can be skipped; this one is " + found[0][7])
            if order_key is not None:
                self._announcing.let_next_go(tx, found[0][3], order_key)

        return self._session.commits.write(write)

    # ── Rest ────────────────────────────────────────────────────────────────────────────────────

    def pause(self, endpoint: str, pause: Pause) -> Future[None]:
        session = self._session
        row = {"kind": pause.kind.value, "reason": rows.storable(pause.reason), "since": pause.since}

        def write(tx: Transaction) -> None:
            tx.execute(self._sql["pause"], {"endpoint": endpoint, **row})
            session.meeting.news.call(Topic.PAUSES)
            self._session.hear_of_pauses(tx)

        return session.commits.write(write)

    def resume(self, endpoint: str) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            tx.execute(self._sql["resume"], {"endpoint": endpoint})
            session.meeting.news.call(Topic.PAUSES)
            self._session.hear_of_pauses(tx)

        return session.commits.write(write)


def _delivery(row: rows.Row) -> Delivery:
    seq, endpoint, message_id, event, body, tries, base, created_at, _, form, sequence, order_key, *owner = row
    api, workload_id, trace_id = owner
    return Delivery(
        seq=seq,
        endpoint=endpoint,
        message_id=message_id,
        event=Event(event),
        api=api,
        workload_id=workload_id,
        body=body,
        format=BodyFormat(form),
        sequence=sequence,
        order_key=order_key,
        tries=tries,
        base=base,
        trace_id=trace_id,
        created_at=created_at,
    )
