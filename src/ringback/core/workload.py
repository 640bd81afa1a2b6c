"""A workload's life: its states, its legal moves, and the values that travel between floors.

Pure. `MOVES` is the one table; the store's guards, the docs' diagram and the model test derive from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ringback.core.blob import Blob
from ringback.core.clock import Instant
from ringback.core.errors import InvalidParameter
from ringback.core.queueing import NO_WISH, Wish
from ringback.core.spec import Endpoint, Event


class Status(StrEnum):
    """What a user sees of a workload. The words are Cortex's and part of the interface."""

    IN_QUEUE = "in_queue"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended: it moves again only if somebody has it retried."""
        return self in TERMINAL


MOVES: Final[Mapping[Status, frozenset[Status]]] = {
    Status.IN_QUEUE: frozenset({Status.IN_PROGRESS, Status.CANCELED, Status.FAILED}),
    Status.IN_PROGRESS: frozenset({Status.IN_QUEUE, Status.COMPLETED, Status.FAILED, Status.CANCELED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.IN_QUEUE}),
    Status.CANCELED: frozenset({Status.IN_QUEUE}),
}
"""What can follow what. From an end nothing does by itself."""

TERMINAL: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED})


class ErrorType(StrEnum):
    """The `error.type` of a failure that was not an exception of the predictor's own."""

    REPLICA_LOST = "replica_lost"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    EXPIRED = "expired"
    RESULT_NOT_SERIALIZABLE = "result_not_serializable"
    PAYLOAD_LOST = "payload_lost"
    RESULT_LOST = "result_lost"


LOSSES: Final = frozenset({ErrorType.REPLICA_LOST, ErrorType.OUT_OF_MEMORY})
"""Failures of the replica, not of predict."""


class Spent(StrEnum):
    """What going back to the queue costs a workload (the file's `retries`)."""

    NOTHING = "nothing"  # a drain, or it was handed over but never started
    ATTEMPT = "attempt"  # predict raised or timed out
    LOSS = "loss"  # the replica died under it


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a caller hands in. `payload` is kept byte for byte."""

    api: str
    payload: bytes
    """Empty when it is a blob."""
    content_type: str
    headers: bytes = b"{}"
    """The submit request's headers as a JSON object with lower-case keys."""
    id: str | None = None
    """The caller's own id; None lets the store make one."""
    idempotency_key: str | None = None
    webhooks: tuple[Endpoint, ...] = ()
    """Where to ring besides the API's own endpoints: guests, made by `spec.guest_endpoint`."""
    trace_id: str | None = None
    """32 hexadecimal digits taken from the caller's `traceparent` (W3C Trace Context)."""
    blob: Blob | None = None
    """The payload, when it is too large for a row."""
    digest: bytes | None = None
    """`PayloadDigest` of a payload that is a blob."""
    order_key: str | None = None
    """Webhooks of workloads with the same one wait for each other at endpoints with `order: fifo`."""
    wish: Wish = NO_WISH
    """What it asks of the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The fence: proof of holding one attempt of one workload.

    `attempt` grows by one at every hand-over, so an older holder's proof is worthless.
    """

    seq: int
    """The store's own row number; means nothing outside."""
    api: str
    id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A workload in somebody's hands, with all that is needed to run it or to judge its loss."""

    held: Held
    payload: bytes
    content_type: str
    headers: bytes
    trace_id: str | None
    raised: int
    """How often predict has raised or timed out before."""
    losses: int
    """How often a replica has died under it before."""
    submitted_at: Instant
    blob: Blob | None = None
    """The payload, when it is too large for a row; `payload` is empty then."""
    asked: frozenset[Event] = frozenset()
    """What endpoints that its holder cannot know want to be told of on the way: those that came with the submit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """predict returned. `result` is its JSON text, UTF-8, embedded as it is wherever it goes."""

    result: bytes = b""
    blob: Blob | None = None
    """The result, when it is too large for a row or no JSON; `result` is empty then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It will not complete. `type` is an exception's class name or an `ErrorType`."""

    type: str
    message: str
    kinds: frozenset[str] = field(default=frozenset(), compare=False)
    """What else the failure may be called in the file: the classes the exception derives from, also with modules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """Somebody has asked for it to end."""


Outcome = Completed | Failed | Canceled

STATUS_AFTER: Final[Mapping[type[Outcome], Status]] = {
    Completed: Status.COMPLETED,
    Failed: Status.FAILED,
    Canceled: Status.CANCELED,
}
"""How a workload stands that has come to such an outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A replica has begun with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The latest word from inside a running predict."""

    fraction: float
    """0.0 to 1.0."""
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One value that a generator has yielded."""

    index: int
    """0 for the attempt's first."""
    value: bytes
    """Its JSON text, UTF-8."""


News = Started | Progress | Output
"""What happens on the way to an outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload as a reader sees it."""

    seq: int
    api: str
    id: str
    status: Status
    attempt: int
    submitted_at: Instant
    started_at: Instant | None = None
    """Start of the attempt that runs, or was the last; None while none has begun since the one before."""
    finished_at: Instant | None = None
    result: bytes | None = None
    blob: Blob | None = None
    """The result, when it is a blob; `result` is None then."""
    error: Failed | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What was submitted, or the beginning of it."""

    content_type: str
    body: bytes
    """Empty when it is a blob."""
    blob: Blob | None = None


class Ending(StrEnum):
    """How an attempt came to its end."""

    COMPLETED = "completed"
    FAILED = "failed"  # predict raised or timed out
    CANCELED = "canceled"
    LOST = "lost"  # the replica died under it, or its server
    INTERRUPTED = "interrupted"  # given back half way, by a drain or for another's sake


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt at a workload, as a reader sees it."""

    number: int | None
    """What predict was told it was, 1-based; some may be missing. None: the workload ended without one."""
    started_at: Instant | None
    ended_at: Instant | None = None
    """None while it runs."""
    ending: Ending | None = None
    error: Failed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRecord:
    """All that is known of a workload, but for its payload and result themselves."""

    workload: Workload
    """Without its result."""
    due_at: Instant | None
    """When it may be taken, while it is in the queue."""
    expires_at: Instant | None
    """When it fails if it has not begun, while it is in the queue."""
    position: int | None
    """Where it stands in its tenant's line, 1 being next; None when it does not, or far behind."""
    tenant: str
    priority: int
    content_type: str
    payload_bytes: int
    result_bytes: int | None
    raised: int
    """How often predict has raised or timed out."""
    losses: int
    """How often a replica has died under it."""
    idempotency_key: str | None
    order_key: str | None
    trace_id: str | None
    batch: str | None = None
    """The id of the batch it came with."""
    checkpoint_bytes: int | None = None
    """The size of what its next attempt may go on from."""
    attempts: tuple[AttemptRecord, ...]
    """In their order, the one that runs included."""
    deliveries: Mapping[str, int]
    """How many of its webhooks stand in each `DeliveryState`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some workloads, newest first, and where the next page begins."""

    workloads: tuple[Workload, ...]
    cursor: str | None
    """Opaque; None on the last page."""


_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


def check_id(text: str) -> str:
    """Return `text` if it may serve as a caller's own workload id.

    Raises:
        InvalidParameter: it is empty, longer than 128 characters, or has a character that would need
            escaping in a URL path.
    """
    if _ID.fullmatch(text) is None:
        raise InvalidParameter(
            f"{text[:140]!r} cannot be a workload id: "
            "use 1 to 128 of A-Z a-z 0-9 . _ ~ -, starting with a letter or digit"
        )
    return text
