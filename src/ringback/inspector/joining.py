"""One message on its way: the workload, each delivery of it, each attempt, and what was captured of it, in one line.

Pure. A capture belongs to an attempt when it bears the attempt's number and came while it was under way: as a rule one
does, and two where a kept connection broke and the sender tried once more on a fresh one. An attempt that nobody
captured, and a capture that no attempt explains, stand by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.clock import Instant
from ringback.core.delivery import Attempt, DeliveryRecord
from ringback.core.inbox import Capture, header
from ringback.inspector.forwarding import HOPS_HEADER
from ringback.inspector.judging import inbox_id_of

_SLACK_US: Final = 2_000_000
"""Between two clocks of one machine, and until a request's head has been read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One attempt at the message: as its sender tells of it, as it was captured, or both."""

    at: Instant
    delivery: DeliveryRecord | None = None
    attempt: Attempt | None = None
    captures: tuple[Capture, ...] = ()


def exchanges(deliveries: Sequence[DeliveryRecord], captures: Sequence[Capture]) -> tuple[Exchange, ...]:
    """All that is known of one message, in the order it began."""
    left = list(captures)
    joined: list[Exchange] = []
    # Those that lead to an inbox first: what it captured is theirs, whoever else was under way at that moment.
    for delivery in sorted(deliveries, key=lambda each: _inbox_of(each) is None):
        for attempt in delivery.attempts:
            own = _of_attempt(delivery, attempt, left)
            left = [each for each in left if each not in own]
            joined.append(Exchange(at=attempt.started_at, delivery=delivery, attempt=attempt, captures=own))
    joined += [Exchange(at=each.arrival.received_at, captures=(each,)) for each in left]
    return tuple(sorted(joined, key=lambda each: each.at))


def _of_attempt(delivery: DeliveryRecord, attempt: Attempt, captures: Sequence[Capture]) -> tuple[Capture, ...]:
    begins = attempt.started_at - _SLACK_US
    ends = attempt.started_at + attempt.duration_us + _SLACK_US
    fitting = [
        each
        for each in captures
        if begins <= each.arrival.received_at <= ends
        and header(each.arrival.head, "ringback-attempt") == str(attempt.number)
        and header(each.arrival.head, HOPS_HEADER) is None  # else an inspector has sent it, not the attempt
        and (attempt.status is None or each.answered.status in {None, attempt.status})
    ]
    own = _inbox_of(delivery)
    return tuple(each for each in fitting if own is None or each.inbox_id == own)


def _inbox_of(delivery: DeliveryRecord) -> str | None:
    """The inbox that a delivery leads to; None of one that leads elsewhere, perhaps to a tunnel that ends in one."""
    return inbox_id_of("/" + delivery.url.partition("://")[2].partition("/")[2].partition("?")[0])
