"""A request's head and body, checked: what the network says is believed only after this.

Reads no more of a body than the limit allows.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from ringback.core.errors import (
    InvalidHeader,
    InvalidParameter,
    InvalidPayload,
    InvalidRequest,
    PayloadTooLarge,
    UnsupportedContentType,
)
from ringback.core.quantities import format_duration, parse_duration

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_WAIT_SECONDS: Final = 300.0
"""The longest a request is held; a longer wait counts as this."""

_WISHES: Final = frozenset(
    {
        "ringback-webhook",
        "ringback-webhook-events",
        "ringback-order-key",
        "ringback-timeout",
        "ringback-priority",
        "ringback-delay",
        "ringback-expires",
        "ringback-tenant",
        "ringback-batch",
    }
)
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_MEDIA_TYPE: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+)\s*(;.*)?", re.IGNORECASE)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}.*")
_PREFER_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,9})\s*(?:$|[,;])", re.IGNORECASE)
_NO_TRACE: Final = "0" * 32


class Gone(Exception):
    """The client went away before it had said everything; nothing was taken in."""


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers, names in lower case, repeated ones joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def kept_headers(headers: dict[str, str]) -> bytes:
    """What a predictor may see of them, as a JSON object: everything but credentials."""
    return orjson.dumps({name: value for name, value in headers.items() if name not in _SECRET_HEADERS})


def refuse_unknown_wishes(headers: dict[str, str]) -> None:
    """Refuse `Ringback-*` headers that this release does not act on, rather than ignore them.

    Raises:
        InvalidHeader: there is one.
    """
    for name in headers:
        if name.startswith("ringback-") and name not in _WISHES:
            raise InvalidHeader(f"this release does not know the header {name.title()}; leave it out")


def idempotency_key(headers: dict[str, str]) -> str | None:
    """The caller's `Idempotency-Key`.

    Raises:
        InvalidHeader: it is empty, too long, or has characters that are not visible ASCII.
    """
    return key_of(headers, "Idempotency-Key")


def order_key(headers: dict[str, str]) -> str | None:
    """The caller's `Ringback-Order-Key`.

    Raises:
        InvalidHeader: it is empty, too long, or has characters that are not visible ASCII.
    """
    return key_of(headers, "Ringback-Order-Key")


def check_run_timeout(headers: dict[str, str], most_seconds: float) -> None:
    """See that the caller's `Ringback-Timeout` can be kept; it travels with the other headers.

    Raises:
        InvalidHeader: it is no duration, nothing, or longer than the API's own time-out.
    """
    text = headers["ringback-timeout"]
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidHeader(f"Ringback-Timeout: {error}") from None
    if not 0 < seconds <= most_seconds:
        raise InvalidHeader(
            f"Ringback-Timeout {text[:40]!r} must be more than nothing, and at most this API's own time-out "
            f"of {format_duration(most_seconds)}"
        )


def key_of(headers: Mapping[str, str], name: str) -> str | None:
    """A header that names something.

    Raises:
        InvalidHeader: it is empty, too long, or has characters that are not visible ASCII.
    """
    key = headers.get(name.lower())
    if key is not None and _KEY.fullmatch(key) is None:
        raise InvalidHeader(f"{name} must be 1 to 255 visible ASCII characters without spaces")
    return key


def trace_id(headers: dict[str, str]) -> str | None:
    """The trace id of a well-formed `traceparent`; a malformed one is ignored (W3C Trace Context, section 3.2)."""
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return found[1] if found and found[1] != _NO_TRACE else None


def preferred_wait(headers: dict[str, str]) -> float | None:
    """The seconds of `Prefer: wait=…` (RFC 7240, section 4.3), if there."""
    found = _PREFER_WAIT.search(headers.get("prefer", ""))
    return min(float(found[1]), MAX_WAIT_SECONDS) if found else None


def wait_parameter(parameters: dict[str, str]) -> float:
    """The seconds of `?wait=`, 0 when absent.

    Raises:
        InvalidParameter: it is no number of seconds.
    """
    text = parameters.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidParameter(f"wait={text[:40]!r} is no number of seconds; ask for example ?wait=30")
    return min(seconds, MAX_WAIT_SECONDS)


@lru_cache(maxsize=512)
def media_type(content_type: str) -> tuple[str, str]:
    """Media type and charset of a content type, both in lower case.

    Raises:
        UnsupportedContentType: it is none.
    """
    found = _MEDIA_TYPE.fullmatch(content_type.strip())
    if found is None:
        raise UnsupportedContentType(f"{content_type[:80]!r} is no media type; send for example application/json")
    charset = _CHARSET.search(found[2] or "")
    return found[1].lower(), charset[1].lower() if charset else "utf-8"


def content_type_of(headers: dict[str, str]) -> str:
    """The request's content type.

    Raises:
        UnsupportedContentType: it has none, a malformed one, or its body is compressed.
    """
    content_type = headers.get("content-type")
    if not content_type:
        raise UnsupportedContentType(
            "the request has no Content-Type; send application/json, text/plain, or for bytes application/octet-stream"
        )
    media_type(content_type)
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedContentType(f"Content-Encoding {encoding[:40]!r} is not undone here; send the body as it is")
    return content_type


def check_payload(content_type: str, payload: bytes) -> None:
    """See that the payload is what its content type says.

    Raises:
        InvalidPayload: it is not; the message says where.
    """
    kind, charset = media_type(content_type)
    if kind == "application/json" or kind.endswith("+json"):
        if not payload:
            raise InvalidPayload("the body is empty, which is no JSON; send at least {} or null")
        try:
            orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise InvalidPayload(f"the body is not JSON: {error}") from None
    elif kind == "text/plain":
        try:
            payload.decode(charset)
        except LookupError:
            raise InvalidPayload(f"there is no charset {charset[:40]!r}") from None
        except ValueError as error:
            raise InvalidPayload(f"the body is not {charset} text: {error}") from None


async def body_of(headers: dict[str, str], receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        PayloadTooLarge: it is over `limit` bytes, as announced or as it came.
        Gone: the client left before it was complete.
    """
    announced = headers.get("content-length")
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts, length = [body], len(body)
    while message.get("more_body", False):
        if length > limit:
            raise too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message.get("body", b""))
        length += len(parts[-1])
    if length > limit:
        raise too_large(limit)
    return b"".join(parts)


async def left(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def parameters_of(scope: Scope, known: frozenset[str]) -> dict[str, str]:
    """The query's parameters, each at most once.

    Raises:
        InvalidParameter: one is unknown or comes twice.
        InvalidRequest: the query is not text.
    """
    raw: bytes = scope["query_string"]
    if not raw:
        return {}

    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except (UnicodeError, ValueError):
        raise InvalidRequest("the query of the URL cannot be read") from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise InvalidParameter(f"there is no parameter {name[:40]!r} here; known are {', '.join(sorted(known))}")
        if name in parameters:
            raise InvalidParameter(f"the parameter {name} came twice")
        parameters[name] = value
    return parameters


def too_large(limit: int) -> PayloadTooLarge:
    """What a body over the limit is answered with."""
    return PayloadTooLarge(f"the body is over the server's limit of {limit} bytes (--max-body)")
