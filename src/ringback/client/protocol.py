"""What the client says and understands, without sending anything: requests built, answers read. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from ringback.core import errors
from ringback.core.errors import RingbackError, Unreachable
from ringback.core.workload import TERMINAL, Status

POLL_SECONDS: Final = 30.0
"""How long one request of a wait is held by the server."""

_PROBLEM: Final = "urn:ringback:problem:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request to the server."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    is_repeatable: bool = True
    """Whether sending it twice does what sending it once does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A workload as the server last told."""

    id: str
    status: Status
    result: Any = None
    timestamp: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    fraction: float | None = None
    """Progress, 0.0 to 1.0."""
    message: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


def submit(
    api: str,
    payload: Any,
    *,
    id: str | None = None,  # noqa: A002 - the name users know it by
    idempotency_key: str | None = None,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A submit; bytes go as they are, text as text/plain, everything else as JSON.

    Without an id it carries an idempotency key, so that one repeated after a broken connection runs once.
    """
    content, kind = _encoded(payload)
    head = {"Content-Type": content_type or kind, **(headers or {})}
    if id is not None:
        return Request(method="PUT", path=_path(api, id), headers=head, content=content)
    head["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
    return Request(method="POST", path=_path(api), headers=head, content=content)


def get(api: str, workload_id: str, wait_seconds: float = 0.0) -> Request:
    query = {"wait": f"{wait_seconds:g}"} if wait_seconds > 0 else {}
    return Request(method="GET", path=_path(api, workload_id), query=query)


def page(api: str, *, status: str | None, limit: int, cursor: str | None) -> Request:
    query = {"limit": str(limit)}
    query |= {name: value for name, value in (("status", status), ("cursor", cursor)) if value is not None}
    return Request(method="GET", path=_path(api), query=query)


def apis() -> Request:
    return Request(method="GET", path="/-/apis")


def read(status: int, body: bytes, url: str) -> Any:
    """The JSON of a good answer.

    Raises:
        RingbackError: the server told of a problem; it is the error the server itself raised.
        Unreachable: the answer is not Ringback's.
    """
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if status == 200 and value is not None:
        return value
    if isinstance(value, dict) and str(value.get("type", "")).startswith(_PROBLEM):
        raise _error(value["type"].removeprefix(_PROBLEM), str(value.get("detail", "")))
    raise Unreachable(f"{url} answered {status}, which is not Ringback's way; is it another server?")


def state_of(value: Mapping[str, Any]) -> State:
    """A workload from the server's JSON."""
    error, progress = value.get("error") or {}, value.get("progress") or {}
    return State(
        id=value["id"],
        status=Status(value["status"]),
        result=value.get("result"),
        timestamp=value.get("timestamp"),
        error_type=error.get("type"),
        error_message=error.get("message"),
        fraction=progress.get("fraction"),
        message=progress.get("message"),
    )


def unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(f"no Ringback answers at {url} ({error}); start one with `ringback serve`, or name its --url")


def _path(*segments: str) -> str:
    return "/" + "/".join(quote(each, safe="") for each in segments)


def _encoded(payload: Any) -> tuple[bytes, str]:
    if isinstance(payload, bytes | bytearray):
        return bytes(payload), "application/octet-stream"
    if isinstance(payload, str):
        return payload.encode(), "text/plain; charset=utf-8"
    return json.dumps(payload).encode(), "application/json"


def _error(code: str, detail: str) -> RingbackError:
    kind = next((each for each in _all_kinds(RingbackError) if each.code == code), RingbackError)
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed(detail, allowed=())
    return kind(detail)


def _all_kinds(kind: type[RingbackError]) -> Iterator[type[RingbackError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _all_kinds(each)
