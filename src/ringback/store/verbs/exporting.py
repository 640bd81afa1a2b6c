"""A store written out line by line, from one snapshot, beside servers that run; docs/store.md says what a line holds.

Holds a few workloads at once, however many there are.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ringback.core.batch import BATCHES
from ringback.core.delivery import TRIAL_API, DeliveryState
from ringback.core.workload import Status
from ringback.store.verbs.rows import Row
from ringback.store.verbs.transaction import Connection

FORMAT: Final = 1
"""Grows when a line's meaning changes; new fields do not change it."""

_PORTION: Final = 200
_PORTION_WITH_DATA: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Line = dict[str, Any]


def export(
    connection: Connection,
    sql: Mapping[str, str],
    *,
    apis: frozenset[str] | None,
    with_data: bool,
    write: Callable[[Line], None],
) -> None:
    """Write every workload with its attempts and webhooks, oldest first, and at the end how many there were of each.

    Args:
        connection: in one snapshot.
        sql: the statements by their names.
        apis: only these; None means all.
        with_data: payloads and results, too, but for those that are kept beside the store.
        write: takes one line.
    """
    counts: Counter[str] = Counter()
    for portion in _portions(connection, sql, with_data=with_data):
        of = {name: _by_workload(connection, sql[name], portion) for name in _CHILDREN}
        for row in portion:
            if apis is not None and row[1] not in apis:
                continue
            for line in _lines(row, {name: rows.get(row[0], []) for name, rows in of.items()}):
                counts[line["kind"]] += 1
                write(line)
    write({"kind": "end", **{name: counts[name] for name in ("workload", "attempt", "delivery", "delivery_attempt")}})


_CHILDREN: Final = ("export_past_attempts", "export_deliveries", "export_delivery_attempts")


def _portions(connection: Connection, sql: Mapping[str, str], *, with_data: bool) -> Iterator[list[Row]]:
    after = 0
    limit = _PORTION_WITH_DATA if with_data else _PORTION
    while True:
        values = {"after": after, "limit": limit, "with_data": int(with_data)}
        portion = connection.execute(sql["export_workloads"], values).fetchall()
        if not portion:
            return
        yield portion
        after = portion[-1][0]


def _by_workload(connection: Connection, statement: str, portion: list[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in connection.execute(statement, {"after": portion[0][0] - 1, "last": portion[-1][0]}):
        found.setdefault(row[0], []).append(row)
    return found


def _lines(row: Row, of: Mapping[str, list[Row]]) -> Iterator[Line]:
    own = {"api": row[1], "id": row[2]}
    if row[1] not in {TRIAL_API, BATCHES}:
        yield {"kind": "workload", **own, **_workload(row)}
        for past in of["export_past_attempts"]:
            yield {"kind": "attempt", **own, **_attempt(*past[1:])}
        status, attempt, started_at, finished_at = Status(row[3]), row[4], row[6], row[7]
        if started_at is not None:
            ending = status.value if status.is_terminal else None
            yield {"kind": "attempt", **own, **_attempt(attempt, started_at, finished_at, ending, row[9], row[10])}
    for delivery in of["export_deliveries"]:
        yield {"kind": "delivery", **own, **_delivery(*delivery[1:])}
    for made in of["export_delivery_attempts"]:
        names = ("delivery", "number", "started_at", "duration_us", "outcome", "status", "detail", "address")
        line = dict(zip(names, made[1:], strict=True))
        yield {"kind": "delivery_attempt", **own, **line, "started_at": _moment(line["started_at"])}


def _workload(row: Row) -> Line:
    _, _, _, status, attempt, submitted_at, started_at, finished_at, erased_at, error_type, error_message, *rest = row
    content_type, payload_bytes, result_bytes, key, order_key, trace_id, tenant, priority, batch, *data = rest
    payload, result, payload_blob, result_blob = data
    line: Line = {
        "status": status,
        "attempt": attempt,
        "submitted_at": _moment(submitted_at),
        "started_at": _moment(started_at),
        "finished_at": _moment(finished_at),
        "erased_at": _moment(erased_at),
        "error": _error(error_type, error_message),
        "content_type": content_type,
        "payload_bytes": payload_bytes if payload_blob is None else payload_blob,
        "result_bytes": result_bytes if result_blob is None else result_blob,
        "idempotency_key": key,
        "order_key": order_key,
        "trace_id": trace_id,
        "tenant": tenant or None,
        "priority": priority,
        "batch": batch,
    }
    if payload is not None and payload_blob is None and erased_at is None:
        line |= {"payload": _data(bytes(payload))}
    if result is not None:
        line |= {"result": _data(bytes(result))}
    return line


def _attempt(
    number: int | None,
    started_at: int | None,
    ended_at: int | None,
    ending: str | None,
    error_type: str | None,
    error_message: str | None,
) -> Line:
    return {
        "number": number,
        "started_at": _moment(started_at),
        "ended_at": _moment(ended_at),
        "ending": ending,
        "error": _error(error_type, error_message),
    }


def _delivery(*columns: Any) -> Line:
    names = (
        "seq",
        "endpoint",
        "url",
        "message_id",
        "event",
        "state",
        "tries",
        "due_at",
        "created_at",
        "settled_at",
        "reason",
    )
    line = dict(zip(names, columns, strict=True))
    is_pending = line["state"] == DeliveryState.PENDING.value
    return line | {
        "due_at": _moment(line["due_at"]) if is_pending else None,
        "created_at": _moment(line["created_at"]),
        "settled_at": _moment(line["settled_at"]),
    }


def _error(error_type: str | None, message: str | None) -> Line | None:
    return None if error_type is None else {"type": error_type, "message": message}


def _data(value: bytes) -> Line:
    """Byte for byte: as text if it is text, else in base64. JSON is text, too: read and written, it might change."""
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _moment(at: int | None) -> str | None:
    """ISO 8601; a moment that no calendar has (a webhook behind another has no time yet) is None."""
    if at is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")
    except OverflowError:
        return None
