"""What follows whenever a workload ends, whoever ends it: it is counted and told of, and those who wait are answered.

The one place that does; each verb that moves a workload to a terminal status calls it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ringback.core.spec import Endpoint
from ringback.core.workload import Held, Outcome
from ringback.store.verbs.announcing import Announcing, Teller
from ringback.store.verbs.session import Session, Transaction


class Ends:
    """Ends of workloads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._announcing = Announcing(session)

    def end(
        self, tx: Transaction, held: Held, outcome: Outcome, teller: Teller, endpoints: Sequence[Endpoint] | None
    ) -> None:
        """A workload has just been moved to its terminal status; without endpoints nobody is told of it."""
        session = self._session
        session.count(held.api, teller.tenant, -1)
        if endpoints is not None:
            self._announcing.tell(tx, held, outcome, teller, endpoints)
        tx.after(partial(session.meeting.tell_ended, held.api, held.id))
