"""Which workloads are meant when many are canceled or retried at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ringback.core.clock import Instant
from ringback.core.workload import Status


class Move(StrEnum):
    """What is done to them."""

    CANCEL = "cancel"
    RETRY = "retry"


MOVABLE: Final = {
    Move.CANCEL: (Status.IN_QUEUE, Status.IN_PROGRESS),
    Move.RETRY: (Status.FAILED, Status.CANCELED),
}
"""Which statuses each move is for."""

BY_DEFAULT: Final = {Move.CANCEL: MOVABLE[Move.CANCEL], Move.RETRY: (Status.FAILED,)}
"""Which are meant when none is named: what was canceled on purpose runs again only by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the workloads have in common; None is no condition."""

    apis: tuple[str, ...]
    statuses: tuple[Status, ...]
    batch: int | None = None
    """The batch's own number in the store."""
    tenant: str | None = None
    since: Instant | None = None
    """Ended then or later; of one that has not ended: submitted."""
    before: Instant | None = None
    """Ended earlier, or submitted, as `since`."""
    words: str | None = None
    """In their id, idempotency key or error, in whatever case."""
