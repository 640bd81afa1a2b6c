"""A batch: many workloads handed in as one, and counted until the last has ended. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from ringback.core.clock import Instant
from ringback.core.queueing import Wish
from ringback.core.spec import Event, guest_endpoint
from ringback.core.workload import Status, Submission

BATCHES: Final = "-/batches"
"""Under this name, which no API can have, stand the batches themselves, so that their webhooks belong to something."""

CONTENT_TYPE: Final = "application/x-ndjson"
LINE_CONTENT_TYPE: Final = "application/json"
"""What each line is."""


class BatchStatus(StrEnum):
    """What a user sees of a batch."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"  # every workload has ended, however


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of a batch's workloads have ended, and how."""

    total: int
    completed: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.canceled

    @property
    def is_over(self) -> bool:
        return self.ended == self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as a reader sees it."""

    seq: int
    """The store's own row number; means nothing outside."""
    api: str
    id: str
    counts: Counts
    in_progress: int = 0
    """How many run."""
    submitted_at: Instant
    finished_at: Instant | None
    """When the last one ended; None as long as one has not."""

    @property
    def status(self) -> BatchStatus:
        return BatchStatus.IN_PROGRESS if self.finished_at is None else BatchStatus.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """Some batches, newest first, and where the next page begins."""

    batches: tuple[Batch, ...]
    cursor: str | None
    """Opaque; None on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCompleted:
    """The last workload of a batch has ended."""

    api: str
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A batch that is being taken in, or was before under the same key."""

    seq: int
    id: str
    is_known: bool
    """It was taken in before, under the same key: nothing more is to be staged."""


COUNTED: Final[Mapping[Status, str]] = {
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
}
"""Where each end is counted."""


def keep(template: Submission) -> bytes:
    """What all workloads of a batch share, as text that `kept` reads.

    The payload, the ids and the key are each workload's own.
    """
    return json.dumps(
        {
            "headers": template.headers.decode(),
            "webhooks": [[endpoint.url, sorted(endpoint.events)] for endpoint in template.webhooks],
            "trace_id": template.trace_id,
            "order_key": template.order_key,
            "wish": asdict(template.wish),
        }
    ).encode()


def kept(api: str, text: bytes) -> Submission:
    """What `keep` was given, with nothing for a payload."""
    found: dict[str, Any] = json.loads(text)
    return Submission(
        api=api,
        payload=b"",
        content_type=LINE_CONTENT_TYPE,
        headers=found["headers"].encode(),
        webhooks=tuple(guest_endpoint(url, frozenset(map(Event, events))) for url, events in found["webhooks"]),
        trace_id=found["trace_id"],
        order_key=found["order_key"],
        wish=Wish(**found["wish"]),
    )
