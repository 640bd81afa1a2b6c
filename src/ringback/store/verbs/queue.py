"""The line in which workloads stand until they are claimed: who is next, who is not due yet, who has waited too long.

Promises C, Q and T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringback.core.clock import Instant, after
from ringback.core.queueing import STEP, Wish, place
from ringback.core.spec import Endpoint
from ringback.core.workload import ErrorType, Failed, Held
from ringback.store.verbs import rows
from ringback.store.verbs.announcing import NEVER, Teller
from ringback.store.verbs.ends import Ends
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction
from ringback.store.verbs.turns import Turns

_AT_ONCE: Final = 1_000
"""Workloads whose time has come that one transaction sees to, so that a heap of them holds nobody up for long."""

_EXPIRED: Final = Failed(
    type=ErrorType.EXPIRED.value, message="no replica was free for it within the longest wait it allows"
)

Columns = dict[str, object]


class Queue:
    """Workloads that are `in_queue`, within the transactions of others."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql
        self._turns = Turns(session)
        self._ends = Ends(session)

    # ── Standing in line ────────────────────────────────────────────────────────────────────────

    def columns(self, wish: Wish, now: Instant) -> Columns:
        """Where a workload with a wish stands that came `now`, or a little before: columns of `insert_with_wish`."""
        due_at = now if wish.delay_seconds <= 0 else after(now, wish.delay_seconds)
        return {
            "due_at": due_at,
            "place": place(due_at, wish.priority) if due_at == now else None,
            "tenant": wish.tenant,
            "priority": wish.priority,
            "expires_at": None if wish.expires_seconds is None else after(due_at, wish.expires_seconds),
        }

    def enter(self, tx: Transaction, api: str, tenant: str) -> None:
        """A workload stands there: let those know who claim."""
        self._turns.enter(tx, api, tenant)
        self._session.meeting.queued.call(api)

    # ── Leaving it ──────────────────────────────────────────────────────────────────────────────

    def take(self, tx: Transaction, api: str, room: int) -> tuple[list[rows.Row], Instant | None]:
        """Up to `room` rows of `claim`, in order; and when the next one that waits for its time is due."""
        session = self._session
        following, is_clear = self._see_to_time(tx, api)
        if not is_clear:
            return [], session.steady()  # some have waited too long and are not aside yet: come again at once
        wanted: Columns = {"api": api, "member": session.member, "started_at": session.clock.now(), "step": STEP}
        taken: list[rows.Row] = []
        if self._turns.is_shared(tx, api):

            def of_tenant(tenant: str, share: int) -> list[rows.Row]:
                return self._claim(tx, "claim_of_tenant", {**wanted, "tenant": tenant, "room": share})

            taken = self._turns.take(tx, api, room, of_tenant)
        if len(taken) < room:
            taken += self._claim(tx, "claim", {**wanted, "room": room - len(taken)})
        return taken, following

    def expire(self, tx: Transaction, api: str, endpoints: Sequence[Endpoint], room: int) -> int:
        """End up to `room` workloads that have waited too long; say how many."""
        session = self._session
        self._see_to_time(tx, api)
        now = session.clock.now()
        ended = tx.execute(
            self._sql["expire"],
            {
                "api": api,
                "never": NEVER,
                "room": room,
                "finished_at": now,
                "error_type": _EXPIRED.type,
                "error_message": _EXPIRED.message,
            },
        ).fetchall()
        for seq, workload_id, attempt, *told in sorted(ended, key=rows.seq_of):
            held = Held(seq=seq, api=api, id=workload_id, attempt=attempt)
            self._ends.end(tx, held, _EXPIRED, Teller(now, *told), endpoints)
        return len(ended)

    async def position(self, api: str, workload_id: str, most: int) -> int | None:
        found = await self._session.read("stands_behind", api=api, id=workload_id, most=most)
        return position(found, most)

    def forget_tenants(self, tx: Transaction, apis: Sequence[str], room: int) -> int:
        """Drop up to `room` rows about tenants that have had nothing to do for long; say how many."""
        forgotten = 0
        for api in apis:
            forgotten += self._turns.forget(tx, api, room - forgotten)
        return forgotten + tx.execute(self._sql["forget_tenants"], {"room": room - forgotten}).rowcount

    async def has_late_ones(self, api: str) -> bool:
        """Whether `expire` may find anything."""
        session = self._session
        now = session.steady()
        [(*moments, _)] = await session.read("next_moments", api=api, never=NEVER)
        if any(moment is not None and moment <= now for moment in moments):
            return True
        return bool(await session.read("is_any_aside", api=api, never=NEVER))

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    def _claim(self, tx: Transaction, statement: str, wanted: Columns) -> list[rows.Row]:
        taken = tx.execute(self._sql[statement], wanted).fetchall()
        if len(taken) > 1:
            taken.sort(key=rows.queue_order)
        return taken

    def _see_to_time(self, tx: Transaction, api: str) -> tuple[Instant | None, bool]:
        """Let those stand in line whose time has come, and take those out of it that have waited too long.

        Returns:
            When the next one is due, and whether none is left in line that has waited too long.
        """
        now = self._session.steady()
        due_at, expires_at = self._moments(tx, api)
        if due_at is not None and due_at <= now:
            wanted: Columns = {"api": api, "now": now, "step": STEP, "room": _AT_ONCE}
            for tenant in sorted({tenant for (tenant,) in tx.execute(self._sql["let_due_stand"], wanted).fetchall()}):
                self._turns.enter(tx, api, tenant)
            due_at, expires_at = self._moments(tx, api)
        if expires_at is not None and expires_at <= now:
            tx.execute(self._sql["set_late_aside"], {"api": api, "now": now, "never": NEVER, "room": _AT_ONCE})
            due_at, expires_at = self._moments(tx, api)
        return due_at, expires_at is None or expires_at > now

    def _moments(self, tx: Transaction, api: str) -> tuple[Instant | None, Instant | None]:
        [(due_at, expires_at, is_shared)] = tx.execute(
            self._sql["next_moments"], {"api": api, "never": NEVER}
        ).fetchall()
        self._session.tallies_of(tx).learn_shared(api, is_shared)
        return due_at, expires_at


def position(found: Sequence[rows.Row], most: int) -> int | None:
    """A row of `stands_behind`, if there is one, as a place in line; None when that is too far behind to be counted."""
    return found[0][0] + 1 if found and found[0][0] < most else None
