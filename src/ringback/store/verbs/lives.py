"""The verbs that people ask for: cancel, retry, erase; and what they mean for a holder's word. Promises X, U2, U3."""

from __future__ import annotations

import json
from asyncio import Future
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ringback.core.errors import AlreadyEnded, CancelAsked, Conflict, Erased, LeaseLost, QueueFull, UnknownWorkload
from ringback.core.queueing import STEP
from ringback.core.spec import Endpoint
from ringback.core.workload import Canceled, Ending, Held, Status, Workload
from ringback.store.contract import Asked
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import Teller
from ringback.store.verbs.ends import Ends
from ringback.store.verbs.erasing import Erasing
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.queue import Queue
from ringback.store.verbs.room import make_room
from ringback.store.verbs.session import Session
from ringback.store.verbs.tallies import tally_of
from ringback.store.verbs.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a workload stands, for a decision about it."""

    workload: Workload
    is_erased: bool
    holder: str | None
    is_canceling: bool
    tenant: str
    batch: int | None

    @property
    def held(self) -> Held:
        """What its holder, if it has one, has to prove that."""
        workload = self.workload
        return Held(seq=workload.seq, api=workload.api, id=workload.id, attempt=workload.attempt)


class Lives:
    """Moves of workloads that no holder makes."""

    def __init__(self, session: Session, erasing: Erasing, queue: Queue) -> None:
        self._session = session
        self._sql = session.sql
        self._erasing = erasing
        self._queue = queue
        self._ends = Ends(session)
        self._with_checkpoint: set[int] = set()
        """Workloads that this member has kept a checkpoint of, in their first attempt or later."""

    # ── Asked for ───────────────────────────────────────────────────────────────────────────────

    def cancel(self, api: str, workload_id: str, endpoints: Sequence[Endpoint]) -> Future[Asked]:
        def write(tx: Transaction) -> Asked:
            return self.cancel_standing(tx, self._standing(tx, api, workload_id), endpoints)

        return self._session.commits.write(write)

    def cancel_standing(self, tx: Transaction, standing: Standing, endpoints: Sequence[Endpoint]) -> Asked:
        """As `cancel`, of one that is not erased."""
        match standing.workload.status:
            case Status.IN_QUEUE:
                self._end_queued(tx, standing, endpoints)
                return Asked(status=Status.CANCELED, changed=True)
            case Status.IN_PROGRESS:
                self._ask(tx, standing)
                return Asked(status=Status.IN_PROGRESS, changed=not standing.is_canceling)
            case Status.CANCELED as same:
                return Asked(status=same, changed=False)
            case ended:
                workload_id = standing.workload.id
                raise AlreadyEnded(f"workload {workload_id} has {ended.value} and cannot be canceled any more")

    def retry(self, api: str, workload_id: str, limit: int | None) -> Future[Asked]:
        def write(tx: Transaction) -> Asked:
            standing = self._standing(tx, api, workload_id)
            if standing.is_canceling:
                raise Conflict(f"workload {workload_id} is being canceled; retry it once it has ended")
            if standing.workload.status is Status.COMPLETED:
                raise Conflict(f"workload {workload_id} has completed; only what failed or was canceled is retried")
            if not standing.workload.status.is_terminal:
                return Asked(status=standing.workload.status, changed=False)
            _, full = self.retry_all(tx, [standing], {api: limit})
            if full is not None:
                raise full
            return Asked(status=Status.IN_QUEUE, changed=True)

        return self._session.commits.write(write)

    def retry_all(
        self, tx: Transaction, standings: Sequence[Standing], limits: Mapping[str, int | None]
    ) -> tuple[Sequence[Standing], QueueFull | None]:
        """Have what failed or was canceled run again, one after the other, as long as there is room.

        Returns:
            Those of the beginning that run again, and why not all of them.
        """
        session = self._session
        fitting, full = self._fitting(tx, standings, limits)
        by_ending: dict[Ending, list[int]] = {}
        of_batch: Counter[tuple[int, Status]] = Counter()
        for each in fitting:
            ending = rows.ending_of(each.workload)
            assert ending is not None
            by_ending.setdefault(ending, []).append(each.workload.seq)
            if each.batch is not None:
                of_batch[each.batch, each.workload.status] += 1
        for ending, seqs in by_ending.items():
            tx.execute(self._sql["note_ends"], {"seqs": json.dumps(seqs), "ending": ending.value})
        seqs = [each.workload.seq for each in fitting]
        tx.execute(self._sql["retry"], {"seqs": json.dumps(seqs), "due_at": session.steady(), "step": STEP})
        for (batch, ended), count in sorted(of_batch.items()):
            self._ends.again(tx, batch, ended, count)
        for api, tenant in sorted({(each.workload.api, each.tenant) for each in fitting}):
            self._queue.enter(tx, api, tenant)
        for each in fitting:
            session.stir(tx, each.workload.api, each.workload.id)
        return fitting, full

    def _fitting(
        self, tx: Transaction, standings: Sequence[Standing], limits: Mapping[str, int | None]
    ) -> tuple[Sequence[Standing], QueueFull | None]:
        """Those there is room for, which they take; those of batches need none."""
        for number, each in enumerate(standings):
            api = each.workload.api
            try:
                if each.batch is None:
                    make_room(self._session, tx, api, each.tenant, limits[api])
            except QueueFull as full:
                return standings[:number], full
            self._session.count(tx, api, tally_of(each.tenant, each.batch), +1)
        return standings, None

    def erase(self, api: str, workload_id: str) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            standing = self._standing(tx, api, workload_id, erased_too=True)
            if standing.is_erased:
                return
            match standing.workload.status:
                case Status.IN_QUEUE:
                    self._end_queued(tx, standing, None)
                case Status.IN_PROGRESS:
                    self._ask(tx, standing)
                case _:
                    pass
            self._erasing.erase(tx, standing.workload.seq, session.clock.now())
            tx.after(partial(session.meeting.tell_ended, api, workload_id))

        return session.commits.write(write)

    # ── Checkpoints ─────────────────────────────────────────────────────────────────────────────

    def checkpoint(self, held: Held, data: bytes) -> Future[None]:
        session = self._session
        session.fresh.forget(held.seq)

        def write(tx: Transaction) -> None:
            if not tx.execute(self._sql["is_held"], session.fence(held)).fetchall():
                raise lost(held)
            row = {"seq": held.seq, "attempt": held.attempt, "now": session.clock.now(), "data": data}
            tx.execute(self._sql["keep_checkpoint"], row)
            tx.after(partial(self._with_checkpoint.add, held.seq))

        return session.commits.write(write)

    async def last_checkpoint(self, held: Held) -> bytes | None:
        found = await self._session.read("last_checkpoint", seq=held.seq)
        return bytes(found[0][0]) if found else None

    def drop_checkpoint(self, tx: Transaction, held: Held) -> None:
        """The workload has completed: nothing goes on from there. Free for those that never had one."""
        if held.attempt > 1 or held.seq in self._with_checkpoint:
            tx.execute(self._sql["drop_checkpoint"], {"seq": held.seq})
            tx.after(partial(self._with_checkpoint.discard, held.seq))

    # ── A holder's word ─────────────────────────────────────────────────────────────────────────

    def finish_canceled(self, tx: Transaction, held: Held, endpoints: Sequence[Endpoint]) -> bool | None:
        """End a workload that somebody wants to end, if this member holds it.

        Returns:
            Whether it is kept: one that has been erased is not. None when the member has no such workload.
        """
        session, now = self._session, self._session.clock.now()
        ended = tx.execute(self._sql["finish_canceled"], {**session.fence(held), "now": now}).fetchall()
        if not ended:
            return None
        standing = self.standing_of(tx, held.seq)
        is_kept = standing is not None and not standing.is_erased
        self._ends.end(tx, held, Canceled(), Teller(now, *ended[0]), endpoints if is_kept else None)
        return is_kept

    def refusal(self, tx: Transaction, held: Held) -> Conflict:
        """Why a holder's word about one attempt cannot be taken."""
        standing = self.standing_of(tx, held.seq)
        if standing is None or standing.held != held or standing.holder != self._session.member:
            return lost(held)
        return CancelAsked(f"somebody wants workload {held.id} to end") if standing.is_canceling else lost(held)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    def _standing(self, tx: Transaction, api: str, workload_id: str, *, erased_too: bool = False) -> Standing:
        found = tx.execute(self._sql["standing"], {"api": api, "id": workload_id}).fetchall()
        if not found:
            raise UnknownWorkload(f"{api} has no workload {workload_id}")
        standing = _standing(found[0])
        if standing.is_erased and not erased_too:
            raise Erased(f"workload {workload_id} of {api} is over and has been erased")
        return standing

    def standing_of(self, tx: Transaction, seq: int) -> Standing | None:
        """How the workload of that number stands, and nobody else moves it meanwhile; None when it is gone."""
        found = tx.execute(self._sql["standing_of"], {"seq": seq}).fetchall()
        return _standing(found[0]) if found else None

    def standings(self, tx: Transaction, seqs: Sequence[int]) -> list[Standing]:
        """How those stand that are there, in the order of their numbers, and nobody else moves them meanwhile."""
        found = tx.execute(self._sql["standings"], {"seqs": json.dumps(seqs)}).fetchall()
        return [_standing(row) for row in found]

    def end_queued(
        self, tx: Transaction, standings: Sequence[Standing], endpoints: Mapping[str, Sequence[Endpoint]]
    ) -> None:
        """End as canceled, as by `cancel`, what was just seen in the queue by `standings`; `endpoints` by API."""
        helds, now = {each.workload.seq: each.held for each in standings}, self._session.clock.now()
        ended = tx.execute(self._sql["cancel_all_queued"], {"seqs": json.dumps([*helds]), "now": now}).fetchall()
        told = [(helds[seq], Teller(now, *row)) for seq, *row in sorted(ended, key=rows.seq_of)]
        self._ends.end_all(tx, told, Canceled(), endpoints)

    def _end_queued(self, tx: Transaction, standing: Standing, endpoints: Sequence[Endpoint] | None) -> None:
        held, now = standing.held, self._session.clock.now()
        [row] = tx.execute(self._sql["cancel_queued"], {"seq": held.seq, "now": now}).fetchall()
        self._ends.end(tx, held, Canceled(), Teller(now, *row), endpoints)

    def _ask(self, tx: Transaction, standing: Standing) -> None:
        session = self._session
        tx.execute(self._sql["ask_cancel"], {"seq": standing.workload.seq, "now": session.clock.now()})
        session.meeting.news.call(Topic.CANCELS)
        if standing.holder == session.member:
            tx.after(partial(session.meeting.tell_cancel, standing.held))


def lost(held: Held) -> LeaseLost:
    """What a holder is told whose word is worth nothing any more."""
    return LeaseLost(f"attempt {held.attempt} of workload {held.id} is not this member's any more")


def _standing(row: rows.Row) -> Standing:
    *columns, holder, cancel_at, tenant, batch = row
    return Standing(
        workload=rows.workload(tuple(columns)),
        is_erased=rows.is_erased(row),
        holder=holder,
        is_canceling=cancel_at is not None,
        tenant=tenant,
        batch=batch,
    )
