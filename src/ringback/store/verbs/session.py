"""What every verb works with: statements, the clock, this member's name, and a place to write and to read.

A backend makes a session of its own; the verbs beside this module know nothing else of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from ringback.core.clock import SECOND, Clock, Instant
from ringback.core.delivery import Pause
from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.ids import Ids
from ringback.core.roles import known_roles
from ringback.core.workload import Held
from ringback.store import registrations
from ringback.store.registry import Registry
from ringback.store.values import WHOLE, ReplicaState
from ringback.store.verbs import rows
from ringback.store.verbs.fresh import Fresh
from ringback.store.verbs.meeting import Meeting, Topic
from ringback.store.verbs.paces import Paces
from ringback.store.verbs.rows import Row, about_of
from ringback.store.verbs.tallies import Tallies
from ringback.store.verbs.transaction import Commits, Connection, Cursor, Transaction

T = TypeVar("T")


class Session(ABC):
    """One member's open database.

    A backend writes `tallies` as the last thing inside every transaction, undoes them when it is rolled back, and
    forgets them when another member has written.
    """

    commits: Commits

    def __init__(self, loop: AbstractEventLoop, *, clock: Clock, lease_seconds: float, sql: Mapping[str, str]) -> None:
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.sql = sql
        self.ids = Ids(clock)
        self.member = self.ids.new()
        self.meeting = Meeting(loop)
        self.tallies = Tallies(sql, self.member)
        self.paces = Paces(sql, clock)
        self.pauses: dict[str, Pause] = {}
        self.tripped: frozenset[str] = frozenset()
        self.registry = Registry()
        self.fresh = Fresh()
        self.logouts: frozenset[str] = frozenset()
        self.part = WHOLE
        self.link_key = b""  # found on joining
        self.blob_space = ""  # found on joining
        self.origin = 0  # of the timeline; found on joining
        self.lease_until = 0  # as the others have last been told
        self.is_adrift = False

    # ── Time ────────────────────────────────────────────────────────────────────────────────────

    def steady(self) -> Instant:
        """Now, on the timeline that all members share and nobody sets: what is due when is judged by it."""
        return Instant(self.origin + self.clock.elapsed())

    def fence(self, held: Held) -> dict[str, object]:
        """What a statement compares with the row of a workload that this member says it holds."""
        return {"seq": held.seq, "attempt": held.attempt, "member": self.member}

    def seconds_until(self, due_at: int) -> float:
        """How long until a moment of the timeline."""
        return (due_at - self.steady()) / SECOND

    def in_days_time(self, due_at: int) -> Instant:
        """A moment of the timeline as the time of day it will be."""
        return Instant(self.clock.now() + due_at - self.steady())

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def read(self, statement: str, **parameters: object) -> list[Row]:
        """Rows of a short read, as last committed."""

    @abstractmethod
    async def scan(self, reading: Callable[[Connection], T]) -> T:
        """A read that may take long, off the loop and from one snapshot."""

    # ── How full it is ──────────────────────────────────────────────────────────────────────────

    def unfinished(self, tx: Transaction, api: str, tenant: str) -> int:
        """How many of the tenant's workloads have not ended."""
        return self.tallies_of(tx).unfinished(tx.execute, api, tenant)

    def count(self, tx: Transaction, api: str, tenant: str, change: int) -> None:
        """The transaction has taken in so many workloads, or ended some."""
        self.tallies_of(tx).note(api, tenant, change)

    def tallies_of(self, tx: Transaction) -> Tallies:  # noqa: ARG002 - for backends that have several
        """The sums as this transaction leaves them."""
        return self.tallies

    @abstractmethod
    def hold_lines(self, tx: Transaction, lines: Sequence[tuple[str, str]]) -> None:
        """Keep other members from changing these lines of deliveries until the transaction is over.

        Args:
            tx: the transaction.
            lines: the endpoint and the order key of each; all that are wanted are named at once.
        """

    # ── What a change brings ────────────────────────────────────────────────────────────────────

    @abstractmethod
    def seq_of(self, inserted: Cursor) -> int:
        """The key of the one row that `insert_delivery` has made."""

    @abstractmethod
    def teller_of(self, tx: Transaction, seq: int, ended: Cursor) -> Row | None:
        """The row of `teller` as `finish` has left it; None if that has changed nothing."""

    # ── Who listens ─────────────────────────────────────────────────────────────────────────────

    def stir(self, tx: Transaction, api: str, workload_id: str) -> None:
        """Tell those who listen for a workload, if there are any, once the transaction is on disk."""
        if self.meeting.is_listened_for(api, workload_id):
            tx.after(partial(self.meeting.tell_happened, api, workload_id))

    # ── Members ─────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def is_gone(self, tx: Transaction, member: str) -> bool:
        """Whether another member's process is provably dead."""

    @abstractmethod
    def forget(self, member: str) -> None:
        """Clean up what proved that a member was dead."""

    @property
    def holds_lease(self) -> bool:
        """Whether the others must believe that this member lives."""
        return self.steady() < self.lease_until

    def renewed(self, lease_until: int) -> None:
        """The others have been told of a lease that ends then."""
        had_ended, self.lease_until = not self.holds_lease, lease_until
        if had_ended:
            self.meeting.due.call_all()

    def go_adrift(self) -> None:
        """A write has happened that this member had to take for failed: it holds what it knows nothing of."""
        self.is_adrift = True

    def adrift(self) -> LeaseLost:
        """What a heartbeat raises then: started over, the member is given what it held, as from any other that died."""
        return LeaseLost(
            "a commit that was taken for failed has happened, and what this member holds by it is not known"
        )

    def declared_dead(self) -> LeaseLost:
        """What a verb raises that finds this member struck off."""
        return LeaseLost("this member's lease had ended, and others have taken over what it held")

    def hear_of_roster(self, tx: Transaction) -> None:
        """Take in who the living members are, once this is on disk."""
        tx.after(partial(self.retell_roster, tx.execute(self.sql["roster"]).fetchall()))

    def retell_roster(self, found: Iterable[Row]) -> None:
        """Take in who the living members are: rows of `roster`."""
        living = list(found)
        self.meeting.retell_roster(
            {member: known_roles(roles) for member, roles, _ in living},
            {member: about for member, _, text in living if (about := about_of(text)) is not None},
        )

    def retell_replicas(self, reports: Iterable[Row]) -> None:
        """Take in what the living members tell of their replicas: rows of `reports`."""
        self.meeting.retell_replicas(
            (
                (member, api, ReplicaState(ready=ready, starting=starting, problem=problem, preparing=preparing))
                for member, api, ready, starting, problem, preparing in reports
            ),
            but=self.member,
        )

    def hear_of_pauses(self, tx: Transaction) -> None:
        """Take in which endpoints are at rest, this transaction's part included, once it is on disk."""
        tx.after(partial(self.retell_pauses, tx.execute(self.sql["pauses"]).fetchall()))

    def retell_pauses(self, found: Iterable[Row]) -> None:
        """Take in which endpoints are at rest, rows of `pauses`, and wake those whose rest has begun or ended."""
        before, self.pauses = self.pauses, {row[0]: rows.pause(row) for row in found}
        for endpoint in before.keys() ^ self.pauses.keys():
            self.meeting.due.call(endpoint)

    def hear_of_tripped(self, tx: Transaction) -> None:
        """Take in which endpoints do not work at all, this transaction's part included, once it is on disk."""
        tx.after(partial(self.retell_tripped, tx.execute(self.sql["tripped"]).fetchall()))

    def retell_tripped(self, found: Iterable[Row]) -> None:
        """Take in which endpoints do not work at all: rows of `tripped`."""
        self.tripped = frozenset(endpoint for (endpoint,) in found)

    def hear_of_endpoint(self, tx: Transaction, key: str) -> None:
        """Take in a registered endpoint as this transaction has made it, once it is on disk."""
        self.meeting.news.call(Topic.ENDPOINTS)
        [row] = tx.execute(self.sql["read_endpoint"], {"key": key}).fetchall()
        tx.after(partial(self._learn_endpoint, row))

    def retell_endpoints(self, found: Sequence[Row]) -> None:
        """Take in registered endpoints that have come, changed or gone: all rows of `endpoints_since`."""
        for row in found:
            self._learn_endpoint(row)
        if found:
            self.registry.catch_up(found[-1][7])

    def _learn_endpoint(self, row: Row) -> None:
        key, removed_at, revision = row[0], row[6], row[7]
        if self.registry.learn(revision, key, None if removed_at else registrations.registration(row)):
            self.meeting.tell_endpoint(key)

    def retell_logouts(self, found: Iterable[Row]) -> None:
        """Take in which logins have been ended: all rows of `logouts`."""
        self.logouts = frozenset(login for (login,) in found)

    def retell_cancels(self, found: Iterable[Row]) -> None:
        """Tell those who work on them which workloads somebody wants to end: rows of `cancels_asked`."""
        for api, workload_id, seq, attempt in found:
            self.meeting.tell_cancel(Held(seq=seq, api=api, id=workload_id, attempt=attempt))

    @abstractmethod
    def refusal(self) -> RingbackError:
        """What verbs raise once the store is closed."""
