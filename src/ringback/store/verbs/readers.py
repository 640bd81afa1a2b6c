"""The verbs that only read: get, ended, deliveries, depths, backlogs. Promises V and L4."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from ringback.core.clock import SECOND
from ringback.core.delivery import Attempt, DeliveryPage, DeliveryRecord, DeliveryState
from ringback.core.errors import Erased, UnknownDelivery, UnknownWorkload
from ringback.core.paging import decode_cursor, encode_cursor
from ringback.core.workload import Workload
from ringback.store.contract import Backlog, QueueDepth
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import NEVER
from ringback.store.verbs.blobs import RESULT, BlobRows
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection

_BEFORE_ALL = 2**63 - 1


class Readers:
    """Reads as last committed. Short ones run on the loop, scans in a thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql
        self._blobs = BlobRows(session)

    async def get(self, api: str, workload_id: str) -> Workload:
        found = await self._session.read("read_workload", api=api, id=workload_id)
        if not found:
            raise UnknownWorkload(f"{api} has no workload {workload_id}")
        if rows.is_erased(found[0]):
            raise Erased(f"workload {workload_id} of {api} is over and has been erased")
        workload = rows.workload(found[0])
        if workload.result is None and rows.is_large(found[0]):
            return replace(workload, blob=await self._blobs.committed(workload.seq, RESULT))
        return workload

    async def ended(self, api: str, workload_id: str, timeout_seconds: float) -> Workload:
        # First the waiter, then the look: an end between the two is not missed.
        waiter = self._session.meeting.wait_for(api, workload_id)
        try:
            workload = await self.get(api, workload_id)
            if workload.status.is_terminal or timeout_seconds <= 0:
                return workload
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await waiter
            return await self.get(api, workload_id)
        finally:
            waiter.cancel()

    async def deliveries(self, api: str, workload_id: str) -> tuple[DeliveryRecord, ...]:
        return await self._session.scan(
            lambda connection: tuple(
                self._whole(connection, row)
                for row in connection.execute(self._sql["deliveries_of"], {"api": api, "id": workload_id}).fetchall()
            )
        )

    async def delivery(self, seq: int) -> DeliveryRecord:
        record = await self._session.scan(lambda connection: self.record_of(connection, seq))
        if record is None:
            raise UnknownDelivery(f"there is no delivery {seq}")
        return record

    async def find_deliveries(
        self, endpoint: str | None, state: DeliveryState | None, limit: int, cursor: str | None
    ) -> DeliveryPage:
        before = _BEFORE_ALL if cursor is None else decode_cursor(cursor)
        statement = self._sql[f"page_of_{state.value if state is not None else 'any'}"]
        wanted = {"endpoint": endpoint, "before": before, "limit": limit + 1}

        def read(connection: Connection) -> list[DeliveryRecord]:
            return [self._record(connection, row, ()) for row in connection.execute(statement, wanted).fetchall()]

        found = await self._session.scan(read)
        records = tuple(found[:limit])
        return DeliveryPage(deliveries=records, cursor=encode_cursor(records[-1].seq) if len(found) > limit else None)

    def record_of(self, connection: Connection, seq: int) -> DeliveryRecord | None:
        """A delivery with its attempts, read within a scan."""
        found = connection.execute(self._sql["one_delivery"], {"seq": seq}).fetchall()
        return self._whole(connection, found[0]) if found else None

    def _whole(self, connection: Connection, row: rows.Row) -> DeliveryRecord:
        made = connection.execute(self._sql["attempts_of"], {"seq": row[0]})
        return self._record(connection, row, tuple(map(rows.attempt, made)))

    def _record(self, connection: Connection, row: rows.Row, attempts: tuple[Attempt, ...]) -> DeliveryRecord:
        due_at = None if row[9] == NEVER else self._session.in_days_time(row[9])
        return rows.record(row, attempts, due_at=due_at, line=self._line(connection, row))

    def _line(self, connection: Connection, row: rows.Row) -> rows.Line:
        """Where a delivery stands among those of its order key."""
        if row[14] is None or row[7] == DeliveryState.DELIVERED.value:
            return None, 0
        place = {"seq": row[0], "endpoint": row[3], "order_key": row[14]}
        [(behind,)] = connection.execute(self._sql["before_it"], place).fetchall()
        [(holds_up,)] = connection.execute(self._sql["behind_it"], place).fetchall()
        return behind, holds_up

    async def depths(self) -> Mapping[str, QueueDepth]:
        found = await self._session.scan(lambda connection: connection.execute(self._sql["depths"]).fetchall())
        return {
            api: QueueDepth(in_queue=int(unfinished) - running, in_progress=running)
            for api, unfinished, running in found
        }

    async def in_flight(self, api: str, most: int) -> int:
        session = self._session
        if session.commits.is_under_way:
            await session.commits.settled()
        wanted = {"api": api, "now": session.steady(), "most": most}
        found = await session.scan(lambda connection: connection.execute(self._sql["in_flight"], wanted).fetchall())
        return min(most, int(found[0][0]))

    async def waiting(self) -> frozenset[str]:
        found = await self._session.scan(lambda connection: connection.execute(self._sql["waiting"]).fetchall())
        return frozenset(endpoint for (endpoint,) in found)

    async def queue_ages(self) -> Mapping[str, float]:
        now = self._session.steady()
        found = await self._session.scan(
            lambda connection: connection.execute(self._sql["first_due"], {"now": now}).fetchall()
        )
        return {api: (now - due_at) / SECOND for api, due_at in found if due_at is not None}

    async def backlogs(self) -> Mapping[str, Backlog]:
        found = await self._session.scan(lambda connection: connection.execute(self._sql["backlogs"]).fetchall())
        numbers = {(endpoint, state): (count, oldest) for endpoint, state, count, oldest in found}
        return {
            endpoint: Backlog(
                pending=numbers.get((endpoint, DeliveryState.PENDING.value), (0, None))[0],
                parked=numbers.get((endpoint, DeliveryState.PARKED.value), (0, None))[0],
                oldest_at=numbers.get((endpoint, DeliveryState.PENDING.value), (0, None))[1],
            )
            for endpoint, _ in numbers
        }
