"""The verbs of the journal: enter and happenings. Promises J."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Future
from collections.abc import Sequence
from functools import partial

import orjson

from ringback.core.clock import Instant
from ringback.core.errors import Erased, LeaseLost, UnknownWorkload
from ringback.core.journal import Entered, Entry, LeftOut, Said, Story, entries_after, story
from ringback.core.workload import AttemptRecord, Held, Output, Progress
from ringback.store.verbs import rows
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction


class Journal:
    """Writes and reads the table of entries."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────

    def enter(self, held: Held, entries: Sequence[Entry], drop: range | None) -> Future[None]:
        fence = {"seq": held.seq, "attempt": held.attempt, "member": self._session.member}

        def write(tx: Transaction) -> None:
            if not tx.execute(self._sql["is_held"], fence).fetchall():
                raise LeaseLost(f"attempt {held.attempt} of workload {held.id} is not this member's any more")
            self.write(tx, held, entries)
            if drop is not None:
                lines = {"first": drop.start, "until": drop.stop}
                tx.execute(self._sql["drop_lines"], {"seq": held.seq, "attempt": held.attempt, **lines})

        return self._session.commits.write(write)

    def write(self, tx: Transaction, held: Held, entries: Sequence[Entry], *, instead: bool = False) -> None:
        """Add entries within a transaction that has seen to the fence; `instead` of the latest word about progress."""
        if not entries:
            return
        owner = {"seq": held.seq, "attempt": held.attempt}
        [(number,)] = tx.execute(self._sql["last_number"], owner).fetchall()
        if instead:
            tx.execute(self._sql["drop_last_progress"], owner)
        now = self._session.clock.now()
        for place, entry in enumerate(entries, start=number + 1):
            tx.execute(self._sql["insert_entry"], {**owner, "number": place, "now": now, **_columns(entry)})
        self._session.stir(tx, held.api, held.id)

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────

    async def happenings(self, api: str, workload_id: str, after: int, room: int, timeout_seconds: float) -> Story:
        session = self._session
        # First the waiter, then the look: what is committed between the two is not missed.
        waiter = session.meeting.listen_for(api, workload_id)
        try:
            found = await self._look(api, workload_id, after, room)
            if found.happenings or found.is_over or timeout_seconds <= 0:
                return found
            if session.commits.is_under_way:
                # What is being committed was written when nobody listened.
                session.commits.settled().add_done_callback(partial(self._tell_settled, api, workload_id))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await waiter
            return await self._look(api, workload_id, after, room)
        finally:
            waiter.cancel()

    def _tell_settled(self, api: str, workload_id: str, done: Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:  # otherwise the listener waits on
            self._session.meeting.tell_happened(api, workload_id)

    async def _look(self, api: str, workload_id: str, after: int, room: int) -> Story:
        # The row, then its attempts, then its journal: what one says is over has nothing to come in the next.
        session = self._session
        found = await session.read("read_standing", api=api, id=workload_id)
        if not found:
            raise UnknownWorkload(f"{api} has no workload {workload_id}")
        if rows.is_erased(found[0]):
            raise Erased(f"workload {workload_id} of {api} is over and has been erased")
        workload = rows.workload(found[0])
        past: list[AttemptRecord] = []
        if workload.attempt > 1 or workload.started_at is None:  # else none went before
            past = [*map(rows.attempt_record, await session.read("past_attempts_of", seq=workload.seq))]
        number, first = entries_after(after)
        taken = await session.read(
            "read_entries", seq=workload.seq, number=number, first=first, last=workload.attempt, room=room + 1
        )
        entered = [_entered(row) for row in taken[:room]]
        return story(workload, past, entered, after=after, is_all=len(taken) <= room)


def _columns(entry: Entry) -> dict[str, object]:
    match entry:
        case Said(line=line, text=text):
            return {"kind": "log", "place": line, "body": text.encode("utf-8", "replace")}
        case Progress(fraction=fraction, message=message):
            words = None if message is None else rows.storable(message)
            return {"kind": "progress", "place": 0, "body": orjson.dumps([fraction, words])}
        case Output(index=index, value=value):
            return {"kind": "output", "place": index, "body": value}
        case LeftOut(index=index, output_bytes=size):
            return {"kind": "left_out", "place": index, "body": b"%d" % size}


def _entered(row: rows.Row) -> Entered:
    number, attempt, at, kind, place, body = row
    entry: Entry
    match kind:
        case "log":
            entry = Said(line=place, text=body.decode())
        case "progress":
            fraction, message = orjson.loads(body)
            entry = Progress(fraction=fraction, message=message)
        case "output":
            entry = Output(index=place, value=body)
        case _:
            entry = LeftOut(index=place, output_bytes=int(body))
    return Entered(number=number, attempt=attempt, at=Instant(at), entry=entry)
