"""From rows to values and back. Column orders are those of the statements in `sql/`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from ringback.core.blob import PayloadDigest
from ringback.core.clock import Instant
from ringback.core.delivery import Attempt, AttemptClass, DeliveryRecord, DeliveryState, Pause, PauseKind, Trace
from ringback.core.spec import OUTCOMES, Endpoint, Event, guest_endpoint
from ringback.core.workload import (
    LOSSES,
    AttemptRecord,
    Canceled,
    Claimed,
    Completed,
    Ending,
    Failed,
    Held,
    Outcome,
    Progress,
    Spent,
    Status,
    Workload,
)
from ringback.store.values import About
from ringback.store.verbs.transaction import Column

Row = tuple[Any, ...]

Line = tuple[int | None, int]
"""Which delivery one is behind, if any, and how many are behind it."""

SMALL_BYTES: Final = 16 * 1024
"""Up to so much of a result or an error is written together with others: all of them stand in memory once more."""

_NOTHING: Final[frozenset[Event]] = frozenset()
_ENDINGS: Final = {Spent.ATTEMPT: Ending.FAILED, Spent.LOSS: Ending.LOST, Spent.NOTHING: Ending.INTERRUPTED}


def workload(row: Row) -> Workload:
    """A row of `read_workload` or `page`."""
    seq, api, workload_id, status, attempt, submitted_at, started_at, finished_at, _, fraction, message, *rest = row
    error_type, error_message, result, *_ = rest
    return Workload(
        seq=seq,
        api=api,
        id=workload_id,
        status=Status(status),
        attempt=attempt,
        submitted_at=submitted_at,
        started_at=started_at,
        finished_at=finished_at,
        result=result,
        error=None if error_type is None else Failed(type=error_type, message=error_message),
        progress=None if fraction is None else Progress(fraction=fraction, message=message),
    )


def is_large(row: Row) -> bool:
    """Whether a part of the workload in a row of `read_workload`, `claim` or their like may be a blob."""
    return row[-1] is not None


def is_erased(row: Row) -> bool:
    """Whether a row of `read_workload` is only the marker of an erased workload."""
    return row[8] is not None


def claimed(api: str, row: Row) -> Claimed:
    """A row of `claim` or `take_over_workloads`."""
    seq, workload_id, attempt, payload, content_type, headers, trace_id, raised, losses, submitted_at, _, hooks, *_ = (
        row
    )
    return Claimed(
        held=Held(seq=seq, api=api, id=workload_id, attempt=attempt),
        payload=payload,
        content_type=content_type,
        headers=headers,
        trace_id=trace_id,
        raised=raised,
        losses=losses,
        submitted_at=submitted_at,
        asked=_NOTHING if hooks is None else frozenset().union(*(each.events for each in guests(hooks))) - OUTCOMES,
    )


def queue_order(row: Row) -> tuple[int, int]:
    """What rows of `claim` are to be sorted by: RETURNING promises no order."""
    return row[10], row[0]


def seq_of(row: Row) -> int:
    """The first column, by which rows come in the order they were made."""
    seq: int = row[0]
    return seq


def record(row: Row, attempts: tuple[Attempt, ...], *, due_at: Instant | None, line: Line) -> DeliveryRecord:
    """A row of `deliveries_of`, `one_delivery` or a `page_of_…`."""
    seq, api, workload_id, endpoint, url, message_id, event, state, tries, _, created_at, settled_at, *rest = row
    reason, sequence, order_key = rest
    behind, holds_up = line
    return DeliveryRecord(
        seq=seq,
        api=api,
        workload_id=workload_id,
        endpoint=endpoint,
        url=url,
        message_id=message_id,
        event=Event(event),
        state=DeliveryState(state),
        tries=tries,
        due_at=due_at,
        created_at=created_at,
        settled_at=settled_at,
        reason=reason,
        sequence=sequence,
        order_key=order_key,
        behind=behind,
        holds_up=holds_up,
        attempts=attempts,
    )


def pause(row: Row) -> Pause:
    """A row of `pauses`."""
    _, kind, reason, since = row
    return Pause(kind=PauseKind(kind), reason=reason, since=since)


def attempt(row: Row) -> Attempt:
    """A row of `attempts_of`."""
    number, started_at, duration_us, outcome, status, detail, address, *traced = row
    dns_us, connect_us, wait_us, read_us, request_head, response_head, excerpt = traced
    return Attempt(
        number=number,
        started_at=Instant(started_at),
        duration_us=duration_us,
        outcome=AttemptClass(outcome),
        status=status,
        detail=detail,
        address=address,
        trace=Trace(
            dns_us=dns_us,
            connect_us=connect_us,
            wait_us=wait_us,
            read_us=read_us,
            request_head=request_head or b"",
            response_head=response_head or b"",
            excerpt=excerpt or b"",
        ),
    )


def attempt_parameters(seq: int, made: Attempt) -> dict[str, object]:
    """What `insert_attempt` and `append_attempt` take."""
    trace = made.trace
    return {
        "seq": seq,
        "number": made.number,
        "started_at": made.started_at,
        "duration_us": made.duration_us,
        "outcome": made.outcome.value,
        "status": made.status,
        "detail": None if made.detail is None else storable(made.detail),
        "address": made.address,
        "dns_us": trace.dns_us,
        "connect_us": trace.connect_us,
        "wait_us": trace.wait_us,
        "read_us": trace.read_us,
        "request_head": trace.request_head or None,
        "response_head": trace.response_head or None,
        "excerpt": trace.excerpt or None,
    }


def arrived_row(seq: int, made: Attempt, *, settled_at: Instant) -> tuple[Column, ...]:
    """A delivery settled by an attempt of which there is nothing to say but that it arrived, as `arrived` takes it."""
    trace = made.trace
    times = (trace.dns_us, trace.connect_us, trace.wait_us, trace.read_us)
    begun = (made.started_at, made.duration_us, made.status, made.address)
    return (seq, made.number, settled_at, *begun, *times)


def past(spent: Spent, why: Failed) -> dict[str, str]:
    """How an attempt ended that is followed by another, as columns of `past_attempts`."""
    return {
        "ending": _ENDINGS[spent].value,
        "error_type": storable(why.type),
        "error_message": storable(why.message),
    }


def attempt_record(row: Row) -> AttemptRecord:
    """A row of `past_attempts_of`."""
    number, started_at, ended_at, ending, error_type, error_message = row
    return AttemptRecord(
        number=number,
        started_at=started_at,
        ended_at=ended_at,
        ending=Ending(ending),
        error=None if error_type is None else Failed(type=error_type, message=error_message),
    )


def latest_attempt(workload: Workload) -> tuple[AttemptRecord, ...]:
    """The attempt that the workload's own row tells of, if one has begun since the last that is noted."""
    if workload.started_at is None:
        return ()
    return (
        AttemptRecord(
            number=workload.attempt,
            started_at=workload.started_at,
            ended_at=workload.finished_at,
            ending=ending_of(workload),
            error=workload.error,
        ),
    )


def ending_of(workload: Workload) -> Ending | None:
    """How a workload's last attempt ended; None while it runs."""
    if not workload.status.is_terminal:
        return None
    if workload.error is not None and workload.error.type in LOSSES:
        return Ending.LOST
    return Ending(workload.status.value)


def outcome_columns(outcome: Outcome) -> dict[str, Any]:
    """What an outcome writes into a workload's row."""
    match outcome:
        case Completed(result=result, blob=blob):
            kept = result if blob is None else None
            return {"status": Status.COMPLETED.value, "error_type": None, "error_message": None, "result": kept}
        case Failed(type=kind, message=message):
            return {
                "status": Status.FAILED.value,
                "error_type": storable(kind),
                "error_message": storable(message),
                "result": None,
            }
        case Canceled():
            return {"status": Status.CANCELED.value, "error_type": None, "error_message": None, "result": None}


def is_small(outcome: Completed | Failed) -> bool:
    """Whether what an outcome writes is little, so that it may stand in memory once more while it is written."""
    if isinstance(outcome, Failed):
        return len(outcome.message) <= SMALL_BYTES
    return outcome.blob is None and len(outcome.result) <= SMALL_BYTES


def end_columns(row: Row) -> dict[str, Any]:
    """The same columns, from a row of `read_end`."""
    return {"status": row[3], "error_type": row[11], "error_message": row[12], "result": row[13]}


def storable(text: str) -> str:
    """The text without what one of the databases cannot hold: lone surrogates, which are no UTF-8, and NUL."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def guests_column(endpoints: Sequence[Endpoint]) -> bytes | None:
    """What `webhooks` of a workload's row holds."""
    if not endpoints:
        return None
    return json.dumps([[endpoint.url, sorted(endpoint.events)] for endpoint in endpoints]).encode()


def guests(column: bytes) -> tuple[Endpoint, ...]:
    """The endpoints that came with a submit."""
    return tuple(guest_endpoint(url, frozenset(map(Event, events))) for url, events in json.loads(column))


def fingerprint(content_type: str, payload: bytes) -> bytes:
    """What two submits under one id are compared by, also after the payload has been erased."""
    return PayloadDigest(content_type, payload).value()


def written_about(about: About) -> str:
    """What a member tells of itself, as it is kept."""
    return json.dumps({"server": about.server, "apis": dict(about.apis)})


def about_of(text: str | None) -> About | None:
    """What a member has told of itself; None for one of an earlier release, or of a later one that tells otherwise."""
    try:
        match json.loads(text or "null"):
            case {"server": str(server), "apis": dict(apis)}:
                return About(server=server, apis={str(name): str(digest) for name, digest in apis.items()})
    except ValueError:
        pass
    return None
