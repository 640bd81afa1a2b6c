"""Workloads listed and described: page and describe. Promises U1, L1 to L3, L5 and L6."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

from ringback.core.errors import Erased, UnknownWorkload
from ringback.core.paging import decode_cursor, encode_cursor
from ringback.core.workload import Page, Payload, Status, WorkloadRecord
from ringback.store.contract import SEARCH_ROWS
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import NEVER
from ringback.store.verbs.blobs import PAYLOAD, BlobRows
from ringback.store.verbs.queue import position
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection

_BEFORE_ALL: Final = 2**63 - 1
_POSITION_MOST: Final = 10_000
_WINDOW_ROWS: Final = SEARCH_ROWS // 10
_WILD: Final = str.maketrans({"!": "!!", "%": "!%", "_": "!_"})


class Listings:
    """Reads for people, in a thread: none is on a workload's way."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql
        self._blobs = BlobRows(session)

    async def page(
        self, apis: Sequence[str], status: Status | None, limit: int, cursor: str | None, words: str | None
    ) -> Page:
        before = _BEFORE_ALL if cursor is None else decode_cursor(cursor)
        ranges = [(api, each.value) for api in apis for each in ([status] if status is not None else Status)]
        if words:
            return await self._session.scan(lambda connection: self._search(connection, ranges, limit, before, words))

        def read(connection: Connection) -> list[rows.Row]:
            return self._merged(connection, "page", ranges, {"before": before, "limit": limit + 1})

        return _page(await self._session.scan(read), limit)

    async def describe(self, api: str, workload_id: str) -> WorkloadRecord:
        return await self._session.scan(lambda connection: self._describe(connection, api, workload_id))

    async def payload(self, api: str, workload_id: str, most_bytes: int) -> Payload:
        wanted = {"api": api, "id": workload_id, "most": most_bytes}

        def read(connection: Connection) -> Payload:
            found = connection.execute(self._sql["beginning_of_payload"], wanted).fetchall()
            if not found:
                raise _unknown(api, workload_id)
            [(seq, content_type, body, is_large, erased_at)] = found
            if erased_at is not None:
                raise _erased(api, workload_id)
            blob = self._blobs.of(connection, seq, PAYLOAD) if is_large else None
            # SQLite takes the beginning of nothing for NULL.
            return Payload(content_type=content_type, body=bytes(body or b""), blob=blob)

        return await self._session.scan(read)

    def _merged(
        self,
        connection: Connection,
        statement: str,
        ranges: Sequence[tuple[str, str]],
        bounds: dict[str, object],
    ) -> list[rows.Row]:
        """A short range of the index on (api, status, seq) for each, merged, newest first."""
        found = [
            connection.execute(self._sql[statement], {"api": api, "status": status, **bounds}).fetchall()
            for api, status in ranges
        ]
        return list(heapq.merge(*found, key=lambda row: -row[0]))

    def _search(
        self, connection: Connection, ranges: Sequence[tuple[str, str]], limit: int, before: int, words: str
    ) -> Page:
        [(newest,)] = connection.execute(self._sql["newest"]).fetchall()
        before = min(before, newest + 1)
        last = max(1, before - SEARCH_ROWS)
        found: list[rows.Row] = []
        while len(found) <= limit and before > last:
            start = max(last, before - _WINDOW_ROWS)
            bounds = {"before": before, "from": start, "limit": limit + 1 - len(found), "words": like(words)}
            found += self._merged(connection, "page_with_words", ranges, bounds)
            before = start
        page = _page(found, limit)
        if page.cursor is None and last > 1:
            return Page(workloads=page.workloads, cursor=encode_cursor(last))
        return page

    def _describe(self, connection: Connection, api: str, workload_id: str) -> WorkloadRecord:
        found = connection.execute(self._sql["describe"], {"api": api, "id": workload_id}).fetchall()
        if not found:
            raise _unknown(api, workload_id)
        row = found[0]
        if rows.is_erased(row):
            raise _erased(api, workload_id)
        workload = rows.workload(row[:14])
        due_at, content_type, payload_bytes, result_bytes, raised, losses, key, order_key, trace_id, *wish = row[14:]
        tenant, priority, expires_at, batch = wish
        place = {"seq": workload.seq}
        kept = connection.execute(self._sql["describe_checkpoint"], place).fetchall()
        past = connection.execute(self._sql["past_attempts_of"], place).fetchall()
        behind = connection.execute(
            self._sql["stands_behind"], {"api": api, "id": workload_id, "most": _POSITION_MOST}
        ).fetchall()
        waits = workload.status is Status.IN_QUEUE and due_at < NEVER
        return WorkloadRecord(
            workload=workload,
            due_at=self._session.in_days_time(due_at) if waits else None,
            expires_at=self._session.in_days_time(expires_at) if waits and expires_at is not None else None,
            position=position(behind, _POSITION_MOST),
            tenant=tenant,
            priority=priority,
            content_type=content_type,
            payload_bytes=payload_bytes,
            result_bytes=result_bytes,
            raised=raised,
            losses=losses,
            idempotency_key=key,
            order_key=order_key,
            trace_id=trace_id,
            batch=batch,
            checkpoint_bytes=next((size for (size,) in kept), None),
            attempts=(*map(rows.attempt_record, past), *rows.latest_attempt(workload)),
            deliveries=dict(connection.execute(self._sql["deliveries_by_state"], place).fetchall()),
        )


def like(words: str) -> str:
    """The words as a pattern for LIKE, with `!` as its escape."""
    return f"%{words.lower().translate(_WILD)}%"


def _unknown(api: str, workload_id: str) -> UnknownWorkload:
    return UnknownWorkload(f"{api} has no workload {workload_id}")


def _erased(api: str, workload_id: str) -> Erased:
    return Erased(f"workload {workload_id} of {api} is over and has been erased")


def _page(found: Sequence[rows.Row], limit: int) -> Page:
    workloads = tuple(rows.workload(row) for row in found[:limit])
    return Page(workloads=workloads, cursor=encode_cursor(workloads[-1].seq) if len(found) > limit else None)
