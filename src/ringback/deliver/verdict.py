"""What one attempt means for its delivery. Pure; chance comes in as a number from 0 to 1.

Rules: interface, section 4. Only 2xx is success; everything else is tried again until the schedule is spent.
"""

from __future__ import annotations

from typing import Final

from ringback.core.clock import Instant
from ringback.core.delivery import Attempt, AttemptClass, Delivered, Delivery, Park, Trace, TryAgain, Verdict
from ringback.core.retry import scheduled_wait
from ringback.core.spec import Endpoint
from ringback.deliver.answer import Answer, Exchange

_GONE: Final = 410


def attempt_of(number: int, started_at: Instant, exchange: Exchange, request_head: bytes = b"") -> Attempt:
    """The record of one request. What arrived is kept with its times alone: it needs no explaining."""
    result = exchange.result
    if isinstance(result, Answer) and result.is_success:
        outcome, status, detail = AttemptClass.OK, result.status, None
        request_head = response_head = excerpt = b""
    elif isinstance(result, Answer):
        outcome, status, detail = AttemptClass.STATUS, result.status, result.sentence()
        response_head, excerpt = result.head, result.excerpt
    else:
        outcome, status, detail = result.outcome, None, result.detail
        response_head = excerpt = b""
    return Attempt(
        number=number,
        started_at=started_at,
        duration_us=exchange.duration_us,
        outcome=outcome,
        status=status,
        detail=detail,
        address=exchange.address,
        trace=Trace(
            dns_us=exchange.dns_us,
            connect_us=exchange.connect_us,
            wait_us=exchange.wait_us,
            read_us=exchange.read_us,
            request_head=request_head,
            response_head=response_head,
            excerpt=excerpt,
        ),
    )


def judge(
    endpoint: Endpoint, delivery: Delivery, attempt: Attempt, exchange: Exchange, *, now: Instant, chance: float
) -> Verdict:
    """What follows an attempt at a delivery.

    The first wait is exact, so that a receiver's restart is survived in the least time; later ones are spread by
    `chance`. A `Retry-After` makes a wait longer, never shorter. A trial is over with its first attempt.
    """
    if attempt.outcome is AttemptClass.OK:
        return Delivered()
    if attempt.status == _GONE and not delivery.is_trial:
        return TryAgain(wait_seconds=0.0)  # once the endpoint, which is put to rest for this, is resumed
    failures = attempt.number - delivery.base
    schedule = () if delivery.is_trial else endpoint.retry_seconds
    wait = scheduled_wait(schedule, failures, chance if failures > 1 else 0.0)
    if wait is None:
        times = "its only attempt failed" if failures == 1 else f"all {failures} attempts failed; the last one"
        return Park(reason=f"{times}: {attempt.detail}")
    asked = exchange.result.retry_after_seconds(now) if isinstance(exchange.result, Answer) else None
    return TryAgain(wait_seconds=max(wait, asked or 0.0))
