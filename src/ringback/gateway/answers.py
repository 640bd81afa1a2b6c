"""What the data plane answers, as bytes. A result is embedded as the JSON text it was stored as."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from ringback.core.clock import Instant, isoformat
from ringback.core.workload import Status, Workload

JSON_HEADER: Final = (b"content-type", b"application/json")

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes | AsyncIterator[bytes]]
"""An HTTP answer: status, headers, and its body, whole or as it comes."""


def json_answer(body: bytes, *headers: tuple[bytes, bytes]) -> Answer:
    """A 200 with this JSON text."""
    return 200, [JSON_HEADER, (b"content-length", b"%d" % len(body)), *headers], body


_STATUS: Final = {status: b',"status":"' + status.value.encode() + b'"' for status in Status}


def state(workload: Workload, result_url: str | None = None) -> bytes:
    """The body of `GET /{api}/{id}`; with a URL in the place of a result that is a blob."""
    head = b'{"id":' + orjson.dumps(workload.id) + _STATUS[workload.status]
    if workload.status is Status.COMPLETED:
        assert workload.finished_at is not None
        stamp = isoformat(workload.finished_at).encode()
        if workload.result is not None:
            return head + b',"result":' + workload.result + b',"timestamp":"' + stamp + b'"}'
        return head + b',"result_url":' + orjson.dumps(result_url) + b',"timestamp":"' + stamp + b'"}'
    if workload.error is not None:
        error = {"type": workload.error.type, "message": workload.error.message}
        return head + b',"error":' + orjson.dumps(error) + b"}"
    if workload.progress is not None:
        progress = {"fraction": workload.progress.fraction, "message": workload.progress.message}
        return head + b',"progress":' + orjson.dumps(progress) + b"}"
    return head + b"}"


def queued(workload: Workload, position: int | None) -> bytes:
    """The body of `GET /{api}/{id}` for one that waits: where it stands, if it is not far behind."""
    body = state(workload)
    return body if position is None else b'%b,"position":%d}' % (body[:-1], position)


def summary(workload: Workload) -> dict[str, Any]:
    """One entry of a listing."""
    told: dict[str, Any] = {
        "id": workload.id,
        "status": workload.status.value,
        "attempt": workload.attempt,
        "submitted_at": isoformat(workload.submitted_at),
        "started_at": _moment(workload.started_at),
        "finished_at": _moment(workload.finished_at),
    }
    if workload.error is not None:
        told["error"] = {"type": workload.error.type, "message": workload.error.message}
    return told


def _moment(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)
