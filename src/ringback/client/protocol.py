"""What the client says and understands, without sending anything: requests built, answers read. Pure."""

from __future__ import annotations

import json
import mimetypes
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
    content: bytes | Path | None = None
    """A path: the bytes of that file, read as they are sent."""
    held_seconds: float = 0.0
    """How long the server has been asked to hold the answer."""
    is_repeatable: bool = True
    """Whether it does once what it does twice, so that it can be sent again after a broken connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A workload as the server last told."""

    id: str
    status: Status
    result: Any = None
    result_url: str | None = None
    """In the place of a result that is too large to be told."""
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
    """A submit; bytes go as they are, a path's file too, text as text/plain, everything else as JSON.

    Without an id it carries an idempotency key, so that one repeated after a broken connection runs once.

    Raises:
        InvalidHeader: a header's value, or the idempotency key, cannot be sent.
    """
    content, kind = _encoded(payload)
    head = {"content-type": kind} | {name.lower(): value for name, value in (headers or {}).items()}
    if content_type is not None:
        head["content-type"] = content_type
    if idempotency_key is not None:
        head["idempotency-key"] = idempotency_key
    elif id is None:
        head.setdefault("idempotency-key", str(uuid.uuid4()))
    for name, value in head.items():
        check_header(name, value)
    method, path = ("POST", path_of(api)) if id is None else ("PUT", path_of(api, id))
    return Request(method=method, path=path, headers=head, content=content)


def get(api: str, workload_id: str, wait_seconds: float = 0.0) -> Request:
    query = {"wait": f"{wait_seconds:g}"} if wait_seconds > 0 else {}
    return Request(method="GET", path=path_of(api, workload_id), query=query, held_seconds=wait_seconds)


def cancel(api: str, workload_id: str) -> Request:
    return Request(method="POST", path=path_of(api, workload_id, "cancel"))


def retry(api: str, workload_id: str) -> Request:
    return Request(method="POST", path=path_of(api, workload_id, "retry"))


def erase(api: str, workload_id: str) -> Request:
    return Request(method="DELETE", path=path_of(api, workload_id))


def describe(api: str, workload_id: str) -> Request:
    return Request(method="GET", path=path_of("-", "workloads", workload_id), query={"api": api})


def page(api: str, *, status: str | None, limit: int, cursor: str | None) -> Request:
    query = {"limit": str(limit)}
    query |= {name: value for name, value in (("status", status), ("cursor", cursor)) if value is not None}
    return Request(method="GET", path=path_of(api), query=query)


def apis() -> Request:
    return Request(method="GET", path="/-/apis")


def check_header(name: str, value: str) -> None:
    """See that a header can be sent.

    Raises:
        InvalidHeader: it cannot; the value is not repeated, for it may be a key.
    """
    if not (value.isascii() and value.isprintable()):
        raise errors.InvalidHeader(f"the {name} header has characters that cannot be sent; use printable ASCII")


def read(status: int, body: bytes, *, url: str, retry_after: str | None = None) -> Any:
    """The JSON of a good answer.

    Raises:
        RingbackError: the server told of a problem; it is the error the server itself raised.
        Unreachable: the answer is not Ringback's.
    """
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if 200 <= status < 300 and value is not None:
        return value
    if isinstance(value, dict) and str(value.get("type", "")).startswith(_PROBLEM):
        raise _error(value["type"].removeprefix(_PROBLEM), str(value.get("detail", "")), retry_after)
    raise Unreachable(f"{url} answered {status}, which is not Ringback's way; is it another server?")


def state_of(value: Any, status: Status | None = None) -> State:
    """A workload from the server's JSON; `status` is that of one just taken in, whose answer has none.

    Raises:
        Unreachable: it is no workload.
    """
    try:
        error, progress = value.get("error") or {}, value.get("progress") or {}
        return State(
            id=value["id"],
            status=status or Status(value["status"]),
            result=value.get("result"),
            result_url=value.get("result_url"),
            timestamp=value.get("timestamp"),
            error_type=error.get("type"),
            error_message=error.get("message"),
            fraction=progress.get("fraction"),
            message=progress.get("message"),
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        raise not_ours("a workload") from None


def page_of(value: Any) -> dict[str, Any]:
    """A page of workloads from the server's JSON.

    Raises:
        Unreachable: it is no page.
    """
    if not (isinstance(value, dict) and isinstance(value.get("workloads"), list) and "cursor" in value):
        raise not_ours("a page of workloads")
    return value


def apis_of(value: Any) -> tuple[dict[str, Any], ...]:
    """What is served, from the server's JSON.

    Raises:
        Unreachable: it is no list of APIs.
    """
    if not (isinstance(value, dict) and isinstance(value.get("apis"), list)):
        raise not_ours("a list of APIs")
    return tuple(value["apis"])


def unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(f"no Ringback answers at {url} ({error}); start one with `ringback serve`, or name its --url")


def not_ours(wanted: str) -> Unreachable:
    """An answer that no Ringback would give."""
    return Unreachable(f"the answer is not {wanted}, as Ringback's would be; is it another server?")


def path_of(*segments: str) -> str:
    return "/" + "/".join(_quoted(each) for each in segments)


def _quoted(segment: str) -> str:
    # "." and ".." would be taken for steps through the path, and another address be asked.
    return segment.replace(".", "%2E") if segment in {".", ".."} else quote(segment, safe="")


def _encoded(payload: Any) -> tuple[bytes | Path, str]:
    if isinstance(payload, Path):
        return payload, mimetypes.guess_type(payload.name)[0] or "application/octet-stream"
    if isinstance(payload, bytes | bytearray):
        return bytes(payload), "application/octet-stream"
    if isinstance(payload, str):
        return payload.encode(), "text/plain; charset=utf-8"
    return json.dumps(payload).encode(), "application/json"


def _error(code: str, detail: str, retry_after: str | None) -> RingbackError:
    kind = next((each for each in _all_kinds(RingbackError) if each.code == code), RingbackError)
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed(detail, allowed=())
    if kind is errors.WorkloadFailed:
        return errors.WorkloadFailed(detail, type=code)
    if issubclass(kind, errors.Unavailable) and retry_after is not None and re.fullmatch(r"[0-9]{1,9}", retry_after):
        return kind(detail, retry_after_seconds=int(retry_after))
    return kind(detail)


def _all_kinds(kind: type[RingbackError]) -> Iterator[type[RingbackError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _all_kinds(each)
