"""Tenants of one API, each in its turn: whoever was served longest ago is next. Promises T.

An API that no tenant shares has no turns, and nothing is paid for them. Marks of who waits are hints: what they miss is
taken once nobody else waits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, zip_longest

from ringback.core.queueing import TURNS_AHEAD
from ringback.store.verbs.rows import Row
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction

Take = Callable[[str, int], list[Row]]
"""Takes up to so many workloads of one tenant."""


class Turns:
    """Whose turn it is."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def is_shared(self, tx: Transaction, api: str) -> bool:
        """Whether any tenant has lately submitted to the API."""
        tallies = self._session.tallies_of(tx)
        if api not in tallies.shared:
            found = bool(tx.execute(self._sql["is_shared"], {"api": api}).fetchall())
            tallies.learn_shared(api, found)
        return tallies.shared[api]

    def enter(self, tx: Transaction, api: str, tenant: str) -> None:
        """A workload of the tenant stands in line."""
        if not self.is_shared(tx, api):
            if not tenant:
                return
            self._session.tallies_of(tx).shared[api] = True
            # Whatever stands there already has had the replicas to itself so far: it counts as served just now.
            self._enter(tx, api, "")
            tx.execute(self._sql["take_turn"], {"api": api, "tenant": "", "waiting": 1})
        self._enter(tx, api, tenant)

    def take(self, tx: Transaction, api: str, room: int, take: Take) -> list[Row]:
        """Up to `room` workloads, of each tenant in its turn."""
        if not tx.execute(self._sql["is_member"], {"member": self._session.member}).fetchall():
            return []  # nothing can be taken; that says nothing about who waits
        lots: list[list[Row]] = []
        while room > 0:
            tenants = tx.execute(self._sql["next_turns"], {"api": api, "room": room}).fetchall()
            if not tenants:
                break
            share = room // len(tenants)
            for (tenant,) in tenants:
                lot = take(tenant, share)
                has_more = len(lot) == share
                statement = "take_turn" if lot else "pass_by"
                tx.execute(self._sql[statement], {"api": api, "tenant": tenant, "waiting": int(has_more)})
                lots.append(lot)
                room -= len(lot)
        return [row for row in chain.from_iterable(zip_longest(*lots)) if row is not None]

    def forget(self, tx: Transaction, api: str, room: int) -> int:
        """Drop what is known of tenants that have had nothing to do for long; say of how many."""
        wanted = {"api": api, "room": room, "ahead": TURNS_AHEAD}
        forgotten = tx.execute(self._sql["forget_turns"], wanted).rowcount
        if forgotten:
            self._session.tallies_of(tx).shared.pop(api, None)
        return forgotten

    def _enter(self, tx: Transaction, api: str, tenant: str) -> None:
        tx.execute(self._sql["enter_turns"], {"api": api, "tenant": tenant, "ahead": TURNS_AHEAD})
