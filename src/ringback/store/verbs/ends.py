"""What follows whenever a workload ends, whoever ends it: it is counted and told of, and those who wait are answered.

The one place that does; each verb that moves a workload to a terminal status calls it in the same transaction. Promises
B4 and B5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from ringback.core.batch import BATCHES, COUNTED, LINE_CONTENT_TYPE, BatchCompleted, Counts, kept
from ringback.core.spec import Endpoint
from ringback.core.workload import STATUS_AFTER, Held, Outcome, Status
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import Announcing, Teller
from ringback.store.verbs.session import Session
from ringback.store.verbs.tallies import tally_of
from ringback.store.verbs.transaction import SetTransaction, Transaction

_ENDS: Final = tuple(COUNTED.values())


class Ends:
    """Ends of workloads, and of batches with them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql
        self._announcing = Announcing(session)

    def end(
        self, tx: Transaction, held: Held, outcome: Outcome, teller: Teller, endpoints: Sequence[Endpoint] | None
    ) -> None:
        """A workload has just been moved to its terminal status; without endpoints nobody is told of it."""
        self._end_one(tx, held, outcome, teller, endpoints)
        if teller.batch is not None:
            self._count(tx, teller.batch, _ends(outcome), endpoints)

    def end_in_set(
        self, tx: SetTransaction, held: Held, outcome: Outcome, teller: Teller, asking: Sequence[Endpoint]
    ) -> None:
        """As `end`, of one that came in no batch and is moved by a row of the set `ended`; `asking` keep no order."""
        session = self._session
        session.count(tx, held.api, tally_of(teller.tenant, None), -1)
        self._announcing.tell_in_set(tx, held, outcome, teller, asking)
        tx.after(partial(session.meeting.tell_ended, held.api, held.id))

    def asking(
        self, held: Held, outcome: Outcome, guests: bytes | None, endpoints: Sequence[Endpoint]
    ) -> list[Endpoint]:
        """Whoever is to be told of an end."""
        return self._announcing.asking(held, outcome, guests, endpoints)

    def end_all(
        self,
        tx: Transaction,
        ended: Sequence[tuple[Held, Teller]],
        outcome: Outcome,
        endpoints: Mapping[str, Sequence[Endpoint]],
    ) -> None:
        """The same of many, each told of to its API's endpoints; a batch is counted once for all of its own."""
        of_batch: dict[int, list[str]] = {}
        for held, teller in ended:
            self._end_one(tx, held, outcome, teller, endpoints[held.api])
            if teller.batch is not None:
                of_batch.setdefault(teller.batch, []).append(held.api)
        for batch, apis in sorted(of_batch.items()):
            self._count(tx, batch, _ends(outcome, len(apis)), endpoints[apis[0]])

    def again(self, tx: Transaction, batch: int, ended: Status, count: int) -> None:
        """So many workloads of a batch that had ended like this run once more."""
        tx.execute(self._sql["reopen_batch"], _counted(ended, count) | {"batch": batch})

    def tell_batches(self, tx: Transaction, api: str, endpoints: Sequence[Endpoint], room: int) -> int:
        """Tell of up to `room` batches that are over and that nobody could tell of then; say of how many."""
        found = tx.execute(self._sql["tell_batches"], {"api": api, "room": room}).fetchall()
        for row in sorted(found, key=rows.seq_of):
            self._tell(tx, api, row, endpoints)
        return len(found)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    def _end_one(
        self, tx: Transaction, held: Held, outcome: Outcome, teller: Teller, endpoints: Sequence[Endpoint] | None
    ) -> None:
        session = self._session
        session.count(tx, held.api, tally_of(teller.tenant, teller.batch), -1)
        if endpoints is not None:
            self._announcing.tell(tx, held, outcome, teller, endpoints)
        tx.after(partial(session.meeting.tell_ended, held.api, held.id))

    def _count(
        self, tx: Transaction, batch: int, ends: Mapping[str, object], endpoints: Sequence[Endpoint] | None
    ) -> None:
        [row] = tx.execute(self._sql["count_end"], {**ends, "batch": batch}).fetchall()
        _, api, *numbers = row
        if not _counts(numbers).is_over:
            return
        tx.execute(self._sql["end_batch"], {"batch": batch, "now": self._session.clock.now()})
        if endpoints is not None:  # otherwise whoever comes by and knows them tells
            [told] = tx.execute(self._sql["tell_batch"], {"batch": batch}).fetchall()
            self._tell(tx, api, told, endpoints)

    def _tell(self, tx: Transaction, api: str, row: rows.Row, endpoints: Sequence[Endpoint]) -> None:
        """The one event of a batch that is over: a row of `tell_batch`."""
        _, batch_id, template, *numbers, finished_at = row
        shared = kept(api, template)
        standing = {
            "api": BATCHES,
            "id": batch_id,
            "due_at": self._session.steady(),
            "now": finished_at,
            "content_type": LINE_CONTENT_TYPE,
            "nothing": b"",
        }
        [(seq, sequence)] = tx.execute(self._sql["stand_for_batch"], standing).fetchall()
        teller = Teller(
            at=finished_at,
            trace_id=shared.trace_id,
            guests=rows.guests_column(shared.webhooks),
            sequence=sequence,
            order_key=shared.order_key,
            tenant="",
            batch=None,
        )
        completed = BatchCompleted(api=api, counts=_counts(numbers))
        self._announcing.tell(tx, Held(seq=seq, api=BATCHES, id=batch_id, attempt=0), completed, teller, endpoints)


def _ends(outcome: Outcome, count: int = 1) -> dict[str, object]:
    """So many ends of one kind, as they are counted."""
    return _counted(STATUS_AFTER[type(outcome)], count)


def _counted(ended: Status, count: int) -> dict[str, object]:
    return {name: count if name == COUNTED[ended] else 0 for name in _ENDS}


def _counts(numbers: Sequence[int]) -> Counts:
    total, completed, failed, canceled = numbers
    return Counts(total=total, completed=completed, failed=failed, canceled=canceled)
