"""A delivery's life: one event on its way to one endpoint, and each attempt made for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ringback.core.clock import Instant
from ringback.core.spec import BodyFormat, Event

TRIAL_API: Final = "-"
"""Under this name, which no API can have, stand the workloads whose webhooks only try an endpoint out."""


class DeliveryState(StrEnum):
    """Where one delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"  # kept, visible, replayable; nothing is tried any more

    @property
    def is_settled(self) -> bool:
        return self is not DeliveryState.PENDING


DELIVERY_MOVES: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.DELIVERED, DeliveryState.PARKED}),
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING}),
    DeliveryState.PARKED: frozenset({DeliveryState.PENDING}),
}
"""A settled delivery moves only when somebody has it sent again."""


class PauseKind(StrEnum):
    """Why nothing is sent to an endpoint until somebody resumes it."""

    GONE = "gone"  # it answered 410
    DISABLED = "disabled"  # somebody said so


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An endpoint at rest: its deliveries are kept and wait."""

    kind: PauseKind
    reason: str
    since: Instant


class AttemptClass(StrEnum):
    """What became of one attempt, coarse enough to count by."""

    OK = "ok"
    STATUS = "status"  # an answer, but no 2xx
    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    READ_TIMEOUT = "read_timeout"  # sent, but no whole answer in time: the receiver may have it
    RESET = "reset"  # the connection broke: the receiver may have it
    CAP = "cap"  # the answer's head is larger than any answer needs
    GUARD = "guard"  # nothing was sent: the URL leads to an address it must not

    @property
    def is_unknown(self) -> bool:
        """Whether the receiver may have the webhook all the same: it was sent, and no answer came."""
        return self in {AttemptClass.READ_TIMEOUT, AttemptClass.RESET, AttemptClass.CAP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one endpoint, in a dispatcher's hands. `body` are the very bytes to send and sign."""

    seq: int
    """The store's own row number; means nothing outside."""
    endpoint: str
    """The endpoint's key."""
    message_id: str
    """`webhook-id`: one per event, the same at every attempt and at every endpoint."""
    event: Event
    api: str
    workload_id: str
    body: bytes
    format: BodyFormat = BodyFormat.CORTEX
    """How the body was written, which its headers must agree with."""
    sequence: int = 1
    """The event's place among those of its workload: a later one has a higher number, and some may be missing."""
    order_key: str | None = None
    """Those with the same one are sent one after the other; None: it waits for no other."""
    tries: int
    """Attempts already recorded."""
    base: int = 0
    """Those of them that were made before it was last sent again by hand: its schedule counts from there."""
    trace_id: str | None
    created_at: Instant

    @property
    def is_trial(self) -> bool:
        """Whether it only tries the endpoint out: one attempt shows all there is to see."""
        return self.api == TRIAL_API


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What went over the wire in one attempt, bounded and without secrets, and how long each part took."""

    dns_us: int | None = None
    """Looking the name up; None on a connection that was kept."""
    connect_us: int | None = None
    """TCP and TLS; None on a connection that was kept."""
    wait_us: int | None = None
    """From the request's last byte to the answer's first."""
    read_us: int | None = None
    """From the answer's first byte to its last that was read."""
    request_head: bytes = b""
    response_head: bytes = b""
    excerpt: bytes = b""
    """The first bytes of the answer's body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request made, or tried, for one delivery."""

    number: int
    """1-based."""
    started_at: Instant
    duration_us: int
    outcome: AttemptClass
    status: int | None = None
    """The receiver's HTTP status, if one came."""
    detail: str | None = None
    """What went wrong, in one sentence."""
    address: str | None = None
    """The socket address the request went to, `host:port`."""
    trace: Trace = Trace()

    @property
    def is_bare(self) -> bool:
        """Whether it arrived, and no text or bytes are kept of it."""
        trace = self.trace
        kept = self.detail or trace.request_head or trace.response_head or trace.excerpt
        return self.outcome is AttemptClass.OK and not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver said 2xx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """Not delivered yet; the next attempt is due in so long."""

    wait_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """No further attempt is made; `reason` says why."""

    reason: str


Verdict = Delivered | TryAgain | Park


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """A delivery as a reader sees it."""

    seq: int
    api: str
    workload_id: str
    endpoint: str
    url: str
    message_id: str
    event: Event
    state: DeliveryState
    tries: int
    due_at: Instant | None
    """None while it waits for another to arrive."""
    created_at: Instant
    settled_at: Instant | None
    reason: str | None
    sequence: int = 1
    order_key: str | None = None
    behind: int | None = None
    """The delivery that must arrive before this one is sent, if it waits for one."""
    holds_up: int = 0
    """How many wait for this one."""
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """Some deliveries, newest first, and where the next page begins."""

    deliveries: tuple[DeliveryRecord, ...]
    cursor: str | None
    """Opaque; None on the last page."""
