"""The verbs that move workloads: submit, claim, finish, requeue, progress, announce. Promises W, C, F, R, P, A."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Mapping, Sequence

from ringback.core.blob import Blob
from ringback.core.clock import Instant, after
from ringback.core.errors import IdTaken
from ringback.core.journal import Entry
from ringback.core.queueing import NO_WISH, STEP
from ringback.core.spec import Endpoint, Order
from ringback.core.workload import (
    STATUS_AFTER,
    Canceled,
    Claimed,
    Completed,
    Failed,
    Held,
    News,
    Outcome,
    Progress,
    Spent,
    Status,
    Submission,
)
from ringback.store.contract import Accepted
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import Announcing, Teller
from ringback.store.verbs.blobs import PAYLOAD, RESULT, BlobRows
from ringback.store.verbs.ends import Ends
from ringback.store.verbs.fresh import Known
from ringback.store.verbs.journal import Journal
from ringback.store.verbs.lives import Lives, lost
from ringback.store.verbs.queue import Queue
from ringback.store.verbs.room import make_room
from ringback.store.verbs.session import Session
from ringback.store.verbs.tallies import tally_of
from ringback.store.verbs.transaction import Kin, SetTransaction, Transaction


class Workloads:
    """Writes to the table of workloads."""

    def __init__(self, session: Session, lives: Lives, queue: Queue) -> None:
        self._session = session
        self._sql = session.sql
        self._announcing = Announcing(session)
        self._lives = lives
        self._queue = queue
        self._ends = Ends(session)
        self._journal = Journal(session)
        self._blobs = BlobRows(session)

    # ── Taking in ───────────────────────────────────────────────────────────────────────────────

    def submit(self, submission: Submission, limit: int | None) -> Future[Accepted]:
        return self._session.commits.write_beside(lambda tx: self._submit(tx, submission, limit))

    def _submit(self, tx: Transaction, submission: Submission, limit: int | None) -> Accepted:
        session, api = self._session, submission.api
        named = submission.id is not None or submission.idempotency_key is not None
        mark = submission.digest or (rows.fingerprint(submission.content_type, submission.payload) if named else None)
        if named and mark is not None:
            known = self._known(tx, submission, mark)
            if known is not None:
                return known
        make_room(session, tx, api, submission.wish.tenant, limit)
        if submission.blob is not None:
            self._blobs.must_be_young(submission.blob)
        session.count(tx, api, submission.wish.tenant, +1)  # before anything is written, so that the limit holds
        workload_id = submission.id or session.ids.new()
        columns = self._columns(submission, workload_id, mark)
        if submission.wish is NO_WISH:
            tx.execute(self._sql["insert_workload"], columns)
        else:
            placed = self._queue.columns(submission.wish, session.steady())
            tx.execute(self._sql["insert_with_wish"], {**columns, **placed, "batch": None})
        if submission.blob is not None:
            [(_, _, seq)] = tx.execute(self._sql["find_by_id"], {"api": api, "id": workload_id}).fetchall()
            self._blobs.attach(tx, seq, PAYLOAD, submission.blob)
        self._queue.enter(tx, api, submission.wish.tenant)
        return Accepted(id=workload_id, created=True)

    async def expect_room(self, api: str, limit: int, tenant: str, workload_id: str | None, key: str | None) -> None:
        [(unfinished, _)] = await self._session.read("count_unfinished", api=api, tenant=tenant)
        if unfinished < limit:
            return

        def look(tx: Transaction) -> None:
            named = (("find_by_id", {"id": workload_id}), ("find_by_key", {"key": key}))
            for statement, name in named:
                if None not in name.values() and tx.execute(self._sql[statement], {"api": api, **name}).fetchall():
                    return  # submit will tell what has become of it
            make_room(self._session, tx, api, tenant, limit)

        await self._session.commits.write(look)

    def pour(self, tx: Transaction, submission: Submission, batch: int, due_at: Instant) -> None:
        """Take in one workload of a batch that was accepted at `due_at`, under the id that it was given then."""
        assert submission.id is not None
        session, api, tenant = self._session, submission.api, submission.wish.tenant
        placed = self._queue.columns(submission.wish, due_at)
        columns = self._columns(submission, submission.id, None)
        tx.execute(self._sql["insert_with_wish"], {**columns, **placed, "batch": batch})
        session.count(tx, api, tally_of(tenant, batch), +1)
        self._queue.enter(tx, api, tenant)

    def _columns(self, submission: Submission, workload_id: str, mark: bytes | None) -> dict[str, object]:
        """What `insert_workload` takes."""
        session = self._session
        return {
            "api": submission.api,
            "id": workload_id,
            "due_at": session.steady(),
            "now": session.clock.now(),
            "trace_id": submission.trace_id,
            "key": submission.idempotency_key,
            "fingerprint": mark,
            "content_type": submission.content_type,
            "headers": submission.headers,
            "payload": submission.payload,
            "webhooks": rows.guests_column(submission.webhooks),
            "order_key": submission.order_key,
        }

    def _known(self, tx: Transaction, submission: Submission, mark: bytes) -> Accepted | None:
        """The earlier submit under the same id or key, if there was one with the same content."""
        for statement, column, value in (
            ("find_by_id", "id", submission.id),
            ("find_by_key", "key", submission.idempotency_key),
        ):
            if value is None:
                continue
            tx.hold((column, submission.api, value))
            found = tx.execute(self._sql[statement], {"api": submission.api, column: value}).fetchall()
            if not found:
                continue
            [(workload_id, earlier, seq)] = found
            if (earlier or self._fingerprint_of(tx, seq)) != mark or submission.id not in {None, workload_id}:
                what = "id" if column == "id" else "Idempotency-Key"
                raise IdTaken(f"the {what} {value!r} already stands for workload {workload_id} with another payload")
            return Accepted(id=workload_id, created=False)
        return None

    def _fingerprint_of(self, tx: Transaction, seq: int) -> bytes | None:
        # Submits under an id of the store's own making skip the digest; it is made when somebody asks.
        kept = tx.execute(self._sql["read_payload"], {"seq": seq}).fetchall()
        return rows.fingerprint(*kept[0]) if kept else None

    # ── Running ─────────────────────────────────────────────────────────────────────────────────

    def claim(self, api: str, room: int) -> Future[tuple[list[Claimed], float | None]]:
        return self._session.commits.write_beside(lambda tx: self._claim(tx, api, room))

    def _claim(self, tx: Transaction, api: str, room: int) -> tuple[list[Claimed], float | None]:
        session = self._session
        taken, following = self._queue.take(tx, api, room)
        for row in taken if session.meeting.has_listeners else ():
            session.stir(tx, api, row[1])
        claimed = [self._blobs.claimed(tx, api, row) for row in taken]
        self._session.fresh.learn(tx, taken)
        return claimed, None if following is None else max(0.0, session.seconds_until(following))

    def progress(self, held: Held, progress: Progress, tell: Sequence[Endpoint] | None, instead: bool) -> Future[None]:
        self._session.fresh.forget(held.seq)
        message = None if progress.message is None else rows.storable(progress.message)
        columns = {"fraction": progress.fraction, "message": message, "telling": tell is not None}

        def write(tx: Transaction) -> None:
            noted = tx.execute(self._sql["progress"], {**self._session.fence(held), **columns}).fetchall()
            if not noted:
                raise lost(held)
            self._journal.write(tx, held, [progress], instead=instead)
            if tell is not None:
                self._announcing.tell(tx, held, progress, Teller(self._session.clock.now(), *noted[0]), tell)

        return self._session.commits.write(write)

    def announce(self, held: Held, news: News, endpoints: Sequence[Endpoint]) -> Future[None]:
        self._session.fresh.forget(held.seq)

        def write(tx: Transaction) -> None:
            told = tx.execute(self._sql["announce"], self._session.fence(held)).fetchall()
            if not told:
                raise lost(held)
            self._announcing.tell(tx, held, news, Teller(self._session.clock.now(), *told[0]), endpoints)

        return self._session.commits.write(write)

    # ── Going back ──────────────────────────────────────────────────────────────────────────────

    def requeue(
        self, held: Held, spent: Spent, delay_seconds: float, why: Failed | None, entries: Sequence[Entry]
    ) -> Future[None]:
        session = self._session
        session.fresh.forget(held.seq)

        def write(tx: Transaction) -> None:
            if why is not None:
                noted = tx.execute(
                    self._sql["note_attempt"],
                    {**self._session.fence(held), **rows.past(spent, why), "now": session.clock.now()},
                )
                if noted.rowcount == 0:
                    raise self._lives.refusal(tx, held)
            due_at = after(session.steady(), delay_seconds) if delay_seconds > 0 else None
            changed = tx.execute(
                self._sql["requeue"],
                {
                    **self._session.fence(held),
                    "due_at": due_at,
                    "step": STEP,
                    "has_begun": int(why is not None),
                    "raised": spent is Spent.ATTEMPT,
                    "losses": spent is Spent.LOSS,
                },
            ).fetchall()
            if not changed:
                raise self._lives.refusal(tx, held)
            self._journal.write(tx, held, entries)
            self._queue.enter(tx, held.api, changed[0][0])
            session.stir(tx, held.api, held.id)

        return session.commits.write(write)

    # ── Ending ──────────────────────────────────────────────────────────────────────────────────

    def finish(
        self, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint], entries: Sequence[Entry]
    ) -> Future[Status]:
        def write(tx: Transaction) -> Status:
            tx.hold(("workload", held.seq))
            status, has_last_words = self._end(tx, held, outcome, endpoints)
            if has_last_words:
                self._journal.write(tx, held, entries)
            return status

        known = self._session.fresh.take(held)
        if known is None or entries or isinstance(outcome, Canceled) or not rows.is_small(outcome):
            return self._session.commits.write_apart(write, Kin.ENDS)

        def in_set(tx: SetTransaction) -> Status:
            asking = self._ends.asking(held, outcome, known.guests, endpoints)
            if any(endpoint.order is Order.FIFO for endpoint in asking):
                return write(tx)  # its deliveries have to see who is in the way
            self._end_in_set(tx, held, outcome, known, asking)
            return STATUS_AFTER[type(outcome)]

        return self._session.commits.write_in_set(in_set, write, Kin.ENDS)

    def _end_in_set(
        self, tx: SetTransaction, held: Held, outcome: Completed | Failed, known: Known, asking: Sequence[Endpoint]
    ) -> None:
        """As `_end`, of one whose row is taken to be as it was claimed."""
        now = self._session.clock.now()
        trace_id, guests, told, order_key, tenant = known
        row = held.seq, held.attempt, told, now, STATUS_AFTER[type(outcome)].value
        if isinstance(outcome, Completed):
            tx.put("ended", (*row, tx.lay(outcome.result), len(outcome.result), None, None))
        else:
            tx.put("ended", (*row, None, None, rows.storable(outcome.type), rows.storable(outcome.message)))
        teller = Teller(now, trace_id, guests, told + 1, order_key, tenant, None)
        self._ends.end_in_set(tx, held, outcome, teller, asking)

    def _end(self, tx: Transaction, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint]) -> tuple[Status, bool]:
        """How it has ended, and whether that was only now and is still kept."""
        now = self._session.clock.now()
        columns = rows.outcome_columns(outcome)
        blob = outcome.blob if isinstance(outcome, Completed) else None
        if blob is not None:
            self._blobs.must_be_young(blob)
        ended = tx.execute(self._sql["finish"], {**self._session.fence(held), **columns, "now": now})
        teller = self._session.teller_of(tx, held.seq, ended)
        if teller is None:
            if (is_kept := self._lives.finish_canceled(tx, held, endpoints)) is not None:
                return Status.CANCELED, is_kept
            return self._must_have_ended_so(tx, held, columns, blob), False
        if blob is not None:
            self._blobs.attach(tx, held.seq, RESULT, blob)
        if isinstance(outcome, Completed):
            self._lives.drop_checkpoint(tx, held)
        self._ends.end(tx, held, outcome, Teller(now, *teller), endpoints)
        return STATUS_AFTER[type(outcome)], True

    def _must_have_ended_so(
        self, tx: Transaction, held: Held, columns: Mapping[str, object], blob: Blob | None
    ) -> Status:
        """Accept a repeated finish; refuse a late one, or one that says something else."""
        found = tx.execute(self._sql["read_end"], {"seq": held.seq}).fetchall()
        if found:
            workload = rows.workload(found[0])
            if workload.attempt == held.attempt and workload.status is Status.CANCELED:
                return Status.CANCELED  # whatever the holder had to say
            same = workload.attempt == held.attempt and rows.end_columns(found[0]) == columns
            if rows.is_large(found[0]) or blob is not None:
                same = same and self._blobs.of(tx, held.seq, RESULT) == blob
            if workload.status.is_terminal and same and not rows.is_erased(found[0]):
                return workload.status
        raise lost(held)
