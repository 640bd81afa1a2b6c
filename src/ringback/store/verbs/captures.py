"""What is read about captures: one, listed, as they change, by message, and the deliveries they came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ringback.core.clock import Instant
from ringback.core.delivery import DeliveryRecord
from ringback.core.errors import UnknownCapture, UnknownInbox
from ringback.core.inbox import (
    PREVIEW_BYTES,
    Answered,
    Arrival,
    Capture,
    CapturePage,
    Inbox,
    Search,
    forwards_from_bytes,
    settings_from_bytes,
)
from ringback.core.paging import decode_cursor, encode_cursor
from ringback.core.script import Act
from ringback.store.verbs import rows
from ringback.store.verbs.readers import Readers
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection

_BEFORE_ALL: Final = 2**63 - 1
_MESSAGE_ID: Final = re.compile(r"msg_([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LEEWAY_US: Final = 2_000_000
"""How far rows of several members may be out of the order of their time."""


class Captures:
    """Reads as last committed, in the thread for scans."""

    def __init__(self, session: Session, readers: Readers) -> None:
        self._session = session
        self._sql = session.sql
        self._readers = readers

    async def one(self, inbox_id: str, number: int) -> Capture:
        def read(connection: Connection) -> list[rows.Row]:
            return connection.execute(self._sql["one_capture"], {"id": inbox_id, "number": number}).fetchall()

        found = await self._session.scan(read)
        if not found:
            raise UnknownCapture(f"there is no capture {number} here, or it is kept no longer")
        return _capture_of(inbox_id, found[0])

    async def find(self, inbox_id: str, search: Search, limit: int, cursor: str | None) -> CapturePage:
        before = _BEFORE_ALL if cursor is None else decode_cursor(cursor)
        if search.number is not None:
            return await self._by_number(inbox_id, search, before)
        wanted = {
            "preview": PREVIEW_BYTES,
            "before": before,
            "limit": limit + 1,
            "message_id": search.message_id,
            "method": search.method,
            "status": search.status,
            "header": None if search.header is None else search.header.lower(),
            "body": search.body,
        }

        def read(connection: Connection) -> list[Capture]:
            inbox = self._seq(connection, inbox_id)
            found = connection.execute(self._sql["page_of_captures"], {"inbox": inbox, **wanted})
            return [_capture_of(inbox_id, row) for row in found]

        found = await self._session.scan(read)
        page = tuple(found[:limit])
        return CapturePage(captures=page, cursor=encode_cursor(page[-1].number) if len(found) > limit else None)

    async def _by_number(self, inbox_id: str, search: Search, before: int) -> CapturePage:
        """The one, if it fits the rest of the search: the number alone finds it, so the rest is seen here."""
        assert search.number is not None
        try:
            found = await self.one(inbox_id, search.number)
        except UnknownCapture:
            return CapturePage(captures=(), cursor=None)
        fits = (
            found.number < before
            and search.message_id in {None, found.arrival.message_id}
            and search.method in {None, found.arrival.method}
            and search.status in {None, found.answered.status}
            and (search.header is None or search.header.lower().encode("latin-1") in found.arrival.head.lower())
            and (search.body is None or search.body in found.arrival.body)
        )
        return CapturePage(captures=(found,) if fits else (), cursor=None)

    async def since(self, inbox_id: str, change: int, limit: int) -> Sequence[Capture]:
        def read(connection: Connection) -> list[Capture]:
            inbox = self._seq(connection, inbox_id)
            wanted = {"inbox": inbox, "after": change, "limit": limit, "preview": PREVIEW_BYTES}
            return [_capture_of(inbox_id, row) for row in connection.execute(self._sql["captures_since"], wanted)]

        return await self._session.scan(read)

    async def of_message(self, message_id: str, limit: int) -> Sequence[Capture]:
        def read(connection: Connection) -> list[Capture]:
            wanted = {"message_id": message_id, "limit": limit, "preview": PREVIEW_BYTES}
            found = connection.execute(self._sql["captures_of_message"], wanted)
            return [_capture_of(inbox_id, tuple(row)) for *row, inbox_id in found]

        return (await self._session.scan(read))[::-1]

    def _seq(self, connection: Connection, inbox_id: str) -> int:
        for row in connection.execute(self._sql["inbox"], {"id": inbox_id}):
            return int(row[0])
        raise UnknownInbox(f"there is no inbox {inbox_id[:80]!r}; it may have been deleted")

    # ── The deliveries they came from ───────────────────────────────────────────────────────────

    async def sent(self, message_id: str) -> Sequence[tuple[DeliveryRecord, bytes]]:
        made = _MESSAGE_ID.fullmatch(message_id)
        if made is None:
            return ()
        at = Instant(int(made[1] + made[2], 16) * 1_000)

        def read(connection: Connection) -> list[tuple[DeliveryRecord, bytes]]:
            [(last,)] = connection.execute(self._sql["last_delivery"]).fetchall()
            if last is None:
                return []
            wanted = {
                "message_id": message_id,
                "from_seq": self._first_at(connection, at - _LEEWAY_US, last),
                "to_seq": self._first_at(connection, at + _LEEWAY_US, last),
            }
            found = connection.execute(self._sql["deliveries_of_message"], wanted).fetchall()
            records = [(self._readers.record_of(connection, seq), bytes(body)) for seq, body in found]
            return [(record, body) for record, body in records if record is not None]

        return await self._session.scan(read)

    def _first_at(self, connection: Connection, at: int, last: int) -> int:
        """The first delivery that was made at that time or later: seqs and times ascend together."""
        low, high = 0, last + 1
        while low < high:
            middle = (low + high) // 2
            found = connection.execute(self._sql["delivery_from"], {"seq": middle}).fetchall()
            if not found or found[0][1] >= at:
                high = middle
            else:
                low = found[0][0] + 1
        return low


def inbox_of(row: rows.Row) -> Inbox:
    """A row of `inbox`, `inbox_named` or `all_inboxes`."""
    _, inbox_id, name, created_at, captured, dropped, change, kept_bytes, last_at, settings, _ = row
    return Inbox(
        id=inbox_id,
        name=name,
        created_at=created_at,
        captured=captured,
        dropped=dropped,
        change=change,
        kept_bytes=kept_bytes,
        last_at=last_at,
        settings=settings_from_bytes(settings),
    )


def _capture_of(inbox_id: str, row: rows.Row) -> Capture:
    """A row of `one_capture`, `captures_since`, `page_of_captures` or, but for its end, `captures_of_message`."""
    number, change, received_at, read_us, message_id, method, http_version, peer, size_bytes, kept, *rest = row
    act, status, answered_us, detail, target, head, forwards, body = rest
    return Capture(
        inbox_id=inbox_id,
        number=number,
        change=change,
        arrival=Arrival(
            received_at=received_at,
            read_us=read_us,
            method=method,
            target=target,
            http_version=http_version,
            peer=peer,
            head=head,
            body=body or b"",  # SQLite takes the beginning of nothing for NULL
            size_bytes=size_bytes,
            is_cut=kept - len(head) < size_bytes,
            message_id=message_id,
        ),
        answered=Answered(act=Act(act), status=status, duration_us=answered_us, detail=detail),
        forwards=forwards_from_bytes(forwards),
    )
