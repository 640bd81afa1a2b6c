"""Batches taken in and poured into the queue: nothing of one is seen before it is accepted.

Promises B1 to B3 and B6 to B9.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from dataclasses import replace

from ringback.core.batch import Batch, BatchPage, Counts, Opened, keep, kept
from ringback.core.clock import Instant, after
from ringback.core.errors import Conflict, Unavailable, UnknownBatch
from ringback.core.paging import decode_cursor, encode_cursor
from ringback.core.spec import Endpoint
from ringback.core.workload import Page, Status, Submission, Workload
from ringback.store.verbs import rows
from ringback.store.verbs.blobs import RESULT, BlobRows
from ringback.store.verbs.ends import Ends
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection, Transaction
from ringback.store.verbs.workloads import Workloads

_BEFORE_ALL = 2**63 - 1


class Batches:
    """Writes to the tables of batches and of what is staged for them."""

    def __init__(self, session: Session, workloads: Workloads) -> None:
        self._session = session
        self._sql = session.sql
        self._workloads = workloads
        self._blobs = BlobRows(session)
        self._ends = Ends(session)

    # ── Taken in ────────────────────────────────────────────────────────────────────────────────

    def open(self, template: Submission) -> Future[Opened]:
        session = self._session
        row = {"api": template.api, "key": template.idempotency_key, "template": keep(template)}

        def write(tx: Transaction) -> Opened:
            if template.idempotency_key is not None:
                known = tx.execute(self._sql["find_batch_by_key"], row).fetchall()
                if known:
                    return self._known(template.idempotency_key, known[0])
            batch_id = session.ids.new()
            placed = {"id": batch_id, "member": session.member, "due_at": session.steady(), "now": session.clock.now()}
            [(seq,)] = tx.execute(self._sql["open_batch"], row | placed).fetchall()
            return Opened(seq=seq, id=batch_id, is_known=False)

        return session.commits.write(write)

    def stage(self, batch: int, first_line: int, payloads: Sequence[bytes]) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            if not tx.execute(self._sql["holds_batch"], {"batch": batch, "member": session.member}).fetchall():
                raise _lost()
            for line, payload in enumerate(payloads, first_line):
                staged = {"batch": batch, "line": line, "id": session.ids.new(), "payload": payload}
                tx.execute(self._sql["stage"], staged)

        return session.commits.write(write)

    def accept(self, batch: int, total: int, fingerprint: bytes) -> Future[None]:
        session = self._session
        accepted = {"batch": batch, "total": total, "fingerprint": fingerprint, "member": session.member}

        def write(tx: Transaction) -> None:
            moment = {"due_at": session.steady(), "now": session.clock.now()}
            if tx.execute(self._sql["accept_batch"], accepted | moment).rowcount == 0:
                raise _lost()

        return session.commits.write(write)

    def drop(self, batch: int) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            tx.execute(self._sql["drop_batch"], {"batch": batch, "member": session.member})

        return session.commits.write(write)

    async def is_same(self, batch: int, fingerprint: bytes) -> bool:
        found = await self._session.read("fingerprint_of_batch", batch=batch)
        return bool(found) and bytes(found[0][0]) == fingerprint

    # ── Poured ──────────────────────────────────────────────────────────────────────────────────

    def pour(self, batch: int, room: int) -> Future[bool]:
        return self._session.commits.write(lambda tx: self._pour(tx, batch, room))

    def mend(self, room: int) -> Future[bool]:
        def write(tx: Transaction) -> bool:
            tx.execute(self._sql["drop_batches_of_the_dead"])
            found = tx.execute(self._sql["next_unsettled"]).fetchall()
            if not found:
                return False
            [(batch, state)] = found
            if state == "pouring":
                self._pour(tx, batch, room)
            elif tx.execute(self._sql["unstage"], {"batch": batch, "room": room}).rowcount == 0:
                tx.execute(self._sql["delete_batch"], {"batch": batch})
            return True

        return self._session.commits.write(write)

    def _pour(self, tx: Transaction, batch: int, room: int) -> bool:
        """Whether some lines are left."""
        found = tx.execute(self._sql["poured_batch"], {"batch": batch}).fetchall()
        if not found:
            return False
        [(api, template, due_at)] = found
        shared = kept(api, template)
        staged = tx.execute(self._sql["take_staged"], {"batch": batch, "room": room}).fetchall()
        for _, workload_id, payload in sorted(staged, key=rows.seq_of):
            submission = replace(shared, id=workload_id, payload=payload)
            self._workloads.pour(tx, submission, batch, due_at)
        if len(staged) == room:
            return True
        return tx.execute(self._sql["end_pouring"], {"batch": batch}).rowcount == 0

    def tell(self, api: str, endpoints: Sequence[Endpoint], room: int) -> Future[int]:
        return self._session.commits.write(lambda tx: self._ends.tell_batches(tx, api, endpoints, room))

    def forget(self, after_seconds: float, room: int) -> Future[int]:
        def write(tx: Transaction) -> int:
            now = min(self._session.clock.now(), self._session.steady())  # as in erasing: nothing early
            until = after(Instant(now), -after_seconds)
            return tx.execute(self._sql["forget_batches"], {"until": until, "room": room}).rowcount

        return self._session.commits.write(write)

    # ── Read ────────────────────────────────────────────────────────────────────────────────────

    async def get(self, batch_id: str) -> Batch:
        found = await self._session.scan(
            lambda connection: connection.execute(self._sql["read_batch"], {"id": batch_id}).fetchall()
        )
        if not found:
            raise UnknownBatch(f"there is no batch {batch_id}")
        return _batch(found[0])

    async def find(self, api: str | None, *, limit: int, cursor: str | None) -> BatchPage:
        wanted = {"api": api, "before": _BEFORE_ALL if cursor is None else decode_cursor(cursor), "limit": limit + 1}
        found = await self._session.scan(
            lambda connection: connection.execute(self._sql["page_of_batches"], wanted).fetchall()
        )
        batches = tuple(map(_batch, found[:limit]))
        return BatchPage(batches=batches, cursor=encode_cursor(batches[-1].seq) if len(found) > limit else None)

    async def page(self, batch: int, *, status: Status | None, limit: int, cursor: str | None) -> Page:
        bounds = {"batch": batch, "after": 0 if cursor is None else decode_cursor(cursor), "limit": limit + 1}

        def read(connection: Connection) -> list[Workload]:
            ranges = [
                connection.execute(self._sql["page_in_batch"], {**bounds, "status": each.value}).fetchall()
                for each in ([status] if status is not None else Status)
            ]
            found = sorted((row for each in ranges for row in each), key=rows.seq_of)[: limit + 1]
            return [self._workload(connection, row) for row in found]

        found = await self._session.scan(read)
        workloads = tuple(found[:limit])
        return Page(workloads=workloads, cursor=encode_cursor(workloads[-1].seq) if len(found) > limit else None)

    def _workload(self, connection: Connection, row: rows.Row) -> Workload:
        workload = rows.workload(row)
        if workload.result is None and rows.is_large(row):
            return replace(workload, blob=self._blobs.of(connection, workload.seq, RESULT))
        return workload

    def _known(self, key: str, row: rows.Row) -> Opened:
        seq, batch_id, state, _ = row
        if state == "open":
            raise Conflict(f"a batch with the Idempotency-Key {key!r} is being taken in; ask again when it is")
        return Opened(seq=seq, id=batch_id, is_known=True)


def _batch(row: rows.Row) -> Batch:
    """A row of `read_batch` or `page_of_batches`."""
    seq, api, batch_id, total, completed, failed, canceled, submitted_at, finished_at, running = row
    return Batch(
        seq=seq,
        api=api,
        id=batch_id,
        counts=Counts(total=total, completed=completed, failed=failed, canceled=canceled),
        in_progress=running,
        submitted_at=submitted_at,
        finished_at=finished_at,
    )


def _lost() -> Unavailable:
    return Unavailable("this member was believed dead, and the batch it was taking in has been dropped; send it again")
