"""The order of the queue, and what a caller may ask of it. Pure.

One number decides: the moment a workload became due, earlier by a minute for each step of its priority. So a workload
gains a step for every minute it waits, and none is overtaken for ever: after a minute for each step between them, what
is submitted later stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.core.clock import SECOND, Instant

LOWEST_PRIORITY: Final = -100
HIGHEST_PRIORITY: Final = 100

STEP_SECONDS: Final = 60.0
"""What one step of priority is worth, in time waited."""

STEP: Final = round(STEP_SECONDS * SECOND)
"""The same on the store's timeline."""

TURNS_AHEAD: Final = 1_000
"""A tenant that comes new, or back, is ahead of those that were served within so many turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a submit asks of the queue."""

    priority: int = 0
    """Higher first, from `LOWEST_PRIORITY` to `HIGHEST_PRIORITY`."""
    delay_seconds: float = 0.0
    """It is not due before."""
    expires_seconds: float | None = None
    """The longest wait from when it is due; one that has not begun by then fails."""
    tenant: str = ""
    """Whose share of the replicas it takes; the empty one is shared by all that name none."""


NO_WISH: Final = Wish()


def place(due_at: Instant, priority: int) -> Instant:
    """Where a workload stands in its tenant's line: those with the lowest place go first."""
    return Instant(due_at - priority * STEP)
