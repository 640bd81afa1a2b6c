"""Inboxes: made, changed, filled, emptied. Promises IC, as far as they write; `captures` reads."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ringback.core.clock import after
from ringback.core.delivery import DeliveryRecord
from ringback.core.errors import Conflict, UnknownInbox
from ringback.core.inbox import (
    MOST_INBOXES,
    Answered,
    Arrival,
    Capture,
    CapturePage,
    Forwarded,
    Inbox,
    InboxSettings,
    Search,
    Taken,
    forwards_from_bytes,
    forwards_to_bytes,
    settings_from_bytes,
    settings_to_bytes,
)
from ringback.core.script import counts_turns, step_for
from ringback.store.verbs import rows
from ringback.store.verbs.captures import Captures, inbox_of
from ringback.store.verbs.readers import Readers
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction

_MOST_AT_ONCE: Final = 256
"""Captures looked at together when the oldest have to go; as a rule it is one that has to."""


class Inboxes:
    """A `store.contract.Inboxes`."""

    def __init__(self, session: Session, readers: Readers) -> None:
        self._session = session
        self._sql = session.sql
        self._captures = Captures(session, readers)

    # ── Inboxes ─────────────────────────────────────────────────────────────────────────────────

    def make(self, inbox_id: str, name: str, settings: InboxSettings) -> Future[Inbox]:
        def write(tx: Transaction) -> Inbox:
            wanted = {"id": inbox_id, "name": rows.storable(name)}
            found = tx.execute(self._sql["inbox_named"], wanted).fetchall()
            if not found:
                [(count,)] = tx.execute(self._sql["count_inboxes"]).fetchall()
                if count >= MOST_INBOXES:
                    raise Conflict(f"there are {count} inboxes already; delete one before")
                tx.execute(
                    self._sql["insert_inbox"],
                    {**wanted, "now": self._session.clock.now(), "settings": settings_to_bytes(settings)},
                )
                found = tx.execute(self._sql["inbox_named"], wanted).fetchall()
            return inbox_of(found[0])

        return self._session.commits.write(write)

    def change(self, inbox_id: str, settings: InboxSettings) -> Future[Inbox]:
        def write(tx: Transaction) -> Inbox:
            row = self._row(tx, inbox_id)
            before = inbox_of(row)
            is_another = settings.script != before.settings.script
            tx.execute(
                self._sql["change_inbox"],
                {
                    "id": inbox_id,
                    "settings": settings_to_bytes(settings),
                    "script_from": before.captured if is_another else row[10],
                },
            )
            self._make_room(tx, row[0], before.captured, before.dropped, before.kept_bytes, settings)
            self._changed(tx, inbox_id)
            return inbox_of(self._row(tx, inbox_id))

        return self._session.commits.write(write)

    def drop(self, inbox_id: str) -> Future[None]:
        def write(tx: Transaction) -> None:
            for row in tx.execute(self._sql["inbox"], {"id": inbox_id}).fetchall():
                tx.execute(self._sql["drop_all_captures"], {"inbox": row[0]})
                tx.execute(self._sql["drop_inbox"], {"inbox": row[0]})
                self._changed(tx, inbox_id)

        return self._session.commits.write(write)

    def clear(self, inbox_id: str) -> Future[None]:
        def write(tx: Transaction) -> None:
            row = self._row(tx, inbox_id)
            tx.execute(self._sql["drop_all_captures"], {"inbox": row[0]})
            tx.execute(self._sql["clear_inbox"], {"inbox": row[0]})
            self._changed(tx, inbox_id)

        return self._session.commits.write(write)

    # ── Captures ────────────────────────────────────────────────────────────────────────────────

    def capture(self, inbox_id: str, arrival: Arrival) -> Future[Taken]:
        return self._session.commits.write(lambda tx: self._capture(tx, inbox_id, arrival))

    def _capture(self, tx: Transaction, inbox_id: str, arrival: Arrival) -> Taken:
        kept = len(arrival.head) + len(arrival.body)
        counted = tx.execute(
            self._sql["count_capture"], {"id": inbox_id, "kept": kept, "now": arrival.received_at}
        ).fetchall()
        if not counted:
            raise _unknown(inbox_id)
        [(inbox, number, dropped, change, kept_bytes, raw, script_from)] = counted
        settings = settings_from_bytes(raw)
        if (excess := len(arrival.body) - settings.body_limit_bytes) > 0:
            arrival = arrival.within(settings.body_limit_bytes)
            tx.execute(self._sql["count_cut"], {"inbox": inbox, "excess": excess})
            kept, kept_bytes = kept - excess, kept_bytes - excess
        nth = number - script_from
        if arrival.message_id is not None and counts_turns(settings.script):
            place = {"inbox": inbox, "message_id": arrival.message_id, "script_from": script_from}
            [(turns,)] = tx.execute(self._sql["turns_of_message"], place).fetchall()
            nth = turns + 1
        step = step_for(settings.script, nth)
        tx.execute(
            self._sql["insert_capture"],
            {
                "inbox": inbox,
                "number": number,
                "change": change,
                "received_at": arrival.received_at,
                "read_us": arrival.read_us,
                "message_id": arrival.message_id,
                "method": arrival.method,
                "http_version": arrival.http_version,
                "peer": arrival.peer,
                "size_bytes": arrival.size_bytes,
                "kept": kept,
                "nth": nth,
                "act": step.act.value,
                "status": step.status if step.act.has_status else None,
                "target": arrival.target,
                "head": arrival.head,
                "body": arrival.body,
            },
        )
        if number - dropped > settings.keep or kept_bytes > settings.keep_bytes:
            self._make_room(tx, inbox, number, dropped, kept_bytes, settings)
        self._changed(tx, inbox_id)
        return Taken(number=number, step=step, settings=settings)

    def note_answer(self, inbox_id: str, number: int, answered: Answered) -> Future[None]:
        noted = {
            "act": answered.act.value,
            "status": answered.status,
            "answered_us": answered.duration_us,
            "detail": None if answered.detail is None else rows.storable(answered.detail),
        }

        def write(tx: Transaction) -> None:
            for inbox, _ in tx.execute(self._sql["place_of_capture"], {"id": inbox_id, "number": number}).fetchall():
                self._note(tx, "note_answer", inbox, {"number": number, **noted})
                self._changed(tx, inbox_id)

        return self._session.commits.write(write)

    def note_forward(self, inbox_id: str, number: int, forwarded: Forwarded) -> Future[None]:
        def write(tx: Transaction) -> None:
            for inbox, raw in tx.execute(self._sql["place_of_capture"], {"id": inbox_id, "number": number}).fetchall():
                forwards = forwards_to_bytes((*forwards_from_bytes(raw), forwarded))
                self._note(tx, "note_forwards", inbox, {"number": number, "forwards": forwards})
                self._changed(tx, inbox_id)

        return self._session.commits.write(write)

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────

    async def get(self, inbox_id: str) -> Inbox:
        found = await self._session.read("inbox", id=inbox_id)
        if not found:
            raise _unknown(inbox_id)
        return inbox_of(found[0])

    async def all(self) -> Sequence[Inbox]:
        return [inbox_of(row) for row in await self._session.read("all_inboxes")]

    async def one(self, inbox_id: str, number: int) -> Capture:
        return await self._captures.one(inbox_id, number)

    async def find(self, inbox_id: str, search: Search, *, limit: int, cursor: str | None) -> CapturePage:
        return await self._captures.find(inbox_id, search, limit, cursor)

    async def since(self, inbox_id: str, change: int, limit: int) -> Sequence[Capture]:
        return await self._captures.since(inbox_id, change, limit)

    async def of_message(self, message_id: str, limit: int) -> Sequence[Capture]:
        return await self._captures.of_message(message_id, limit)

    async def sent(self, message_id: str) -> Sequence[tuple[DeliveryRecord, bytes]]:
        return await self._captures.sent(message_id)

    def on_change(self, inbox_id: str, wake: Callable[[], None]) -> None:
        self._session.meeting.captured.register(inbox_id, wake)

    def off_change(self, inbox_id: str, wake: Callable[[], None]) -> None:
        self._session.meeting.captured.remove(inbox_id, wake)

    # ── Erasing ─────────────────────────────────────────────────────────────────────────────────

    def erase_expired(self, retention_seconds: float, room: int) -> Future[int]:
        session = self._session

        def write(tx: Transaction) -> int:
            # The earlier of the two: a time of day set forward must erase nothing early.
            until = after(min(session.clock.now(), session.steady()), -retention_seconds)
            erased = 0
            for inbox, inbox_id, _ in tx.execute(self._sql["inboxes_with_captures"]).fetchall():
                oldest = tx.execute(self._sql["oldest_captures"], {"inbox": inbox, "room": room - erased}).fetchall()
                expired = [(number, kept) for number, kept, received_at in oldest if received_at <= until]
                if expired:
                    self._drop_upto(tx, inbox, expired[-1][0], sum(kept for _, kept in expired))
                    self._changed(tx, inbox_id)
                    erased += len(expired)
            return erased

        return session.commits.write(write)

    # ── Within a transaction ────────────────────────────────────────────────────────────────────

    def _row(self, tx: Transaction, inbox_id: str) -> rows.Row:
        found = tx.execute(self._sql["inbox"], {"id": inbox_id}).fetchall()
        if not found:
            raise _unknown(inbox_id)
        row: rows.Row = found[0]
        return row

    def _make_room(
        self, tx: Transaction, inbox: int, captured: int, dropped: int, kept_bytes: int, settings: InboxSettings
    ) -> None:
        """Drop the oldest until count and bytes are within bounds; the newest stays whatever its size."""
        upto = max(dropped, captured - settings.keep)
        room = 2
        while True:
            oldest = tx.execute(self._sql["oldest_captures"], {"inbox": inbox, "room": room}).fetchall()
            last, freed = dropped, 0
            for number, kept, _ in oldest:
                if number >= captured or (number > upto and kept_bytes - freed <= settings.keep_bytes):
                    break
                last, freed = number, freed + kept
            if last == dropped:
                return
            self._drop_upto(tx, inbox, last, freed)
            dropped, kept_bytes = last, kept_bytes - freed
            room = min(room * 2, _MOST_AT_ONCE)

    def _drop_upto(self, tx: Transaction, inbox: int, upto: int, kept: int) -> None:
        tx.execute(self._sql["drop_captures"], {"inbox": inbox, "upto": upto})
        tx.execute(self._sql["count_dropped"], {"inbox": inbox, "upto": upto, "kept": kept})

    def _note(self, tx: Transaction, statement: str, inbox: int, noted: dict[str, object]) -> None:
        [(change,)] = tx.execute(self._sql["count_change"], {"inbox": inbox}).fetchall()
        tx.execute(self._sql[statement], {"inbox": inbox, "change": change, **noted})

    def _changed(self, tx: Transaction, inbox_id: str) -> None:
        tx.after(partial(self._session.meeting.captured.call, inbox_id))


def _unknown(inbox_id: str) -> UnknownInbox:
    return UnknownInbox(f"there is no inbox {inbox_id[:80]!r}; it may have been deleted")
