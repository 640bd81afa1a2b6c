"""What the rows of workloads say that this member has just claimed, so that ending one need not read its row again.

Memory only, and a guess: whatever is written on the way makes it forget, and the statement that ends many looks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ringback.core.workload import Held
from ringback.store.verbs.rows import Row
from ringback.store.verbs.transaction import Transaction


class Known(NamedTuple):
    """What a delivery of a workload's end takes from its row."""

    trace_id: str | None
    guests: bytes | None
    told: int
    """How often it had been told of before."""
    order_key: str | None
    tenant: str


class Fresh:
    """Workloads in this member's hands of which nothing has been written since they were claimed."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}

    def learn(self, tx: Transaction, claimed: Sequence[Row]) -> None:
        """Rows of `claim`, once on disk; of batches and of later attempts nothing: there is more to end."""
        plain = {row[0]: row for row in claimed if row[2] == 1 and row[15] is None}
        if plain:
            tx.after(partial(self._rows.update, plain))

    def forget(self, seq: int) -> None:
        """Something is written about a workload."""
        self._rows.pop(seq, None)

    def take(self, held: Held) -> Known | None:
        """What is known of a workload that ends now; it is forgotten."""
        row = self._rows.pop(held.seq, None)
        if row is None or row[2] != held.attempt:
            return None
        return Known(row[6], *row[11:15])
