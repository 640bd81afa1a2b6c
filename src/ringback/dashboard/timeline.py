"""One workload's way as steps in the order of time: queued, attempts, outcome, webhooks with every try. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.clock import SECOND, Instant
from ringback.core.delivery import Attempt, AttemptClass, DeliveryRecord, DeliveryState
from ringback.core.workload import AttemptRecord, Ending, Status, WorkloadRecord
from ringback.pages import words

MOST_STEPS: Final = 300

_ENDINGS: Final = {
    Ending.COMPLETED: ("good", "returned"),
    Ending.FAILED: ("bad", "failed"),
    Ending.CANCELED: ("wait", "was canceled"),
    Ending.LOST: ("bad", "was lost with its replica"),
    Ending.INTERRUPTED: ("warn", "was given back half way"),
}
_OUTCOMES: Final = {Status.COMPLETED: "good", Status.FAILED: "bad", Status.CANCELED: "wait"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened."""

    at: Instant
    kind: str
    """The class that colours it: good, bad, warn, busy or wait."""
    title: str
    detail: str = ""
    path: str = ""
    """Where there is more about it."""


def steps(
    record: WorkloadRecord, deliveries: Sequence[DeliveryRecord], said: Sequence[Step], now: Instant
) -> tuple[Step, ...]:
    """All that has happened to a workload, the earliest first; of very many the last ones."""
    found = [*_of_workload(record, now), *said, *(step for each in deliveries for step in _of_delivery(each))]
    return tuple(sorted(found, key=lambda step: step.at)[-MOST_STEPS:])


def _of_workload(record: WorkloadRecord, now: Instant) -> Iterator[Step]:
    workload = record.workload
    yield Step(at=workload.submitted_at, kind="wait", title="Submitted", detail=_payload(record))
    queued_at = workload.submitted_at
    for attempt in record.attempts:
        yield from _of_attempt(attempt, queued_at)
        queued_at = attempt.ended_at or queued_at
    if workload.status is Status.IN_QUEUE and record.due_at is not None and record.due_at > now:
        yield Step(at=record.due_at, kind="wait", title="Due again", detail="waits in the queue until then")
    if workload.finished_at is not None:
        error = workload.error
        yield Step(
            at=workload.finished_at,
            kind=_OUTCOMES.get(workload.status, "wait"),
            title=workload.status.value.capitalize(),
            detail=_result(record) if error is None else f"{error.type}: {error.message}",
        )


def _of_attempt(attempt: AttemptRecord, queued_at: Instant) -> Iterator[Step]:
    name = "The attempt" if attempt.number is None else f"Attempt {attempt.number}"
    if attempt.started_at is not None:
        waited = f"after {words.between(queued_at, attempt.started_at)} in the queue"
        yield Step(at=attempt.started_at, kind="busy", title=f"{name} started", detail=waited)
    if attempt.ended_at is not None and attempt.ending is not None and attempt.ending is not Ending.COMPLETED:
        kind, verb = _ENDINGS[attempt.ending]
        ran = f"after {words.between(attempt.started_at, attempt.ended_at)}" if attempt.started_at is not None else ""
        why = f"{attempt.error.type}: {attempt.error.message}" if attempt.error is not None else ""
        told = "; ".join(part for part in (ran, why) if part)
        yield Step(at=attempt.ended_at, kind=kind, title=f"{name} {verb}", detail=told)


def _of_delivery(record: DeliveryRecord) -> Iterator[Step]:
    path = f"/-/ui/deliveries/dlv_{record.seq}"
    for attempt in record.attempts:
        title = f"{record.event.value} → {record.endpoint}, try {attempt.number}"
        kind = "good" if attempt.outcome is AttemptClass.OK else "warn"
        ended_at = Instant(attempt.started_at + attempt.duration_us)
        yield Step(at=ended_at, kind=kind, title=title, detail=told_of(attempt), path=path)
    if record.state is DeliveryState.PARKED and record.settled_at is not None:
        title = f"{record.event.value} → {record.endpoint} parked"
        yield Step(at=record.settled_at, kind="bad", title=title, detail=record.reason or "", path=path)


def told_of(attempt: Attempt) -> str:
    """What came of an attempt, in a line."""
    status = "" if attempt.status is None else f"{attempt.status}"
    outcome = "arrived" if attempt.outcome is AttemptClass.OK else (attempt.detail or attempt.outcome.value)
    took = words.duration(attempt.duration_us / SECOND)
    return ", ".join(part for part in (status, outcome, took) if part)


def _payload(record: WorkloadRecord) -> str:
    return f"{words.size(record.payload_bytes)} of {record.content_type}"


def _result(record: WorkloadRecord) -> str:
    return "" if record.result_bytes is None else f"a result of {words.size(record.result_bytes)}"
