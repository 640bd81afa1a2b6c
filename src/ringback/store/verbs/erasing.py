"""Erasing: what retention no longer covers, and what somebody wants gone. Promises E, U2 and U3.

The one place that knows all that is kept about a workload.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Mapping
from typing import Final

from ringback.core.clock import Instant, after
from ringback.store.contract import MARKER_SECONDS
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction

ERASERS: Final = (
    "erase_delivery_attempts",
    "erase_deliveries",
    "erase_past_attempts",
    "drop_checkpoint",
    "erase_journal",
    "doom_blobs",
    "erase_workload",
)
"""The statements that erase a workload, in order; each may use `seq`, `now` and `nothing` (no bytes).

Whoever keeps something about workloads in a table of its own adds the statement that erases it here.
"""


class Erasing:
    """Writes that leave of a workload nothing but a marker."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def erase_expired(self, retention_seconds: Mapping[str, float], room: int) -> Future[int]:
        return self._session.commits.write(lambda tx: self._erase_expired(tx, retention_seconds, room))

    def erase(self, tx: Transaction, seq: int, now: Instant) -> None:
        """Erase one workload within a transaction."""
        for statement in ERASERS:
            tx.execute(self._sql[statement], {"seq": seq, "now": now, "nothing": b""})

    def _erase_expired(self, tx: Transaction, retention_seconds: Mapping[str, float], room: int) -> int:
        # The earlier of the two: a time of day set forward must erase nothing early.
        now = min(self._session.clock.now(), self._session.steady())
        erased = 0
        for api, seconds in retention_seconds.items():
            parameters = {"api": api, "until": after(now, -seconds), "room": room - erased}
            for (seq,) in tx.execute(self._sql["expired"], parameters).fetchall():
                self.erase(tx, seq, now)
                erased += 1
        tx.execute(self._sql["drop_markers"], {"until": after(now, -MARKER_SECONDS), "room": room})
        return erased
