"""The webhook request as bytes: everything that is the same at every attempt is rendered once per endpoint.

Refuses at construction whatever could break out of its header line.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final
from urllib.parse import SplitResult, quote, unquote

from ringback import __version__
from ringback.core.body import CONTENT_TYPES, Told, cloudevent
from ringback.core.clock import SECOND, Instant, isoformat
from ringback.core.delivery import Delivery
from ringback.core.errors import SpecError
from ringback.core.headers import header_lines
from ringback.core.rotation import KeyRing
from ringback.core.spec import BodyFormat, Endpoint
from ringback.core.urls import DEFAULT_PORTS, shown_url, webhook_url
from ringback.deliver.discretion import Discretion, shown

_TYPE_LINES: Final = {form: f"Content-Type: {kind}\r\n".encode() for form, kind in CONTENT_TYPES.items()}
_PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._"


class Target:
    """Where an endpoint's requests go, and what they look like.

    Raises:
        SpecError: the URL, a header or the secret cannot be used; the message says why.
    """

    __slots__ = ("_head", "_keys", "discretion", "host", "is_tls", "port", "shown_head", "timeout_seconds", "trust")

    def __init__(self, endpoint: Endpoint) -> None:
        url = _checked_url(endpoint.url)
        assert url.hostname is not None
        self.host = url.hostname
        self.is_tls = url.scheme == "https"
        self.port = url.port or DEFAULT_PORTS[url.scheme]
        self.trust = endpoint.trust
        self.timeout_seconds = endpoint.timeout_seconds
        self._keys = None if endpoint.secret is None else KeyRing(endpoint.secret, endpoint.former)
        request_line, *lines = _static_head(url, endpoint)
        self._head = "\r\n".join((request_line, *lines, "")).encode("latin-1")
        self.shown_head = shown(request_line, lines)
        """What may be kept and shown of it: secrets are left out."""
        self.discretion = Discretion(url, endpoint)

    def is_at(self, other: Target) -> bool:
        """Whether both lead to the same host, so that what is learnt of one holds for the other."""
        return (self.host, self.port, self.is_tls) == (other.host, other.port, other.is_tls)

    def request(self, delivery: Delivery, now: Instant) -> bytes:
        """One attempt's request. The signature is of this moment; body and id are those of every attempt."""
        stamp = now // SECOND
        head = [
            self._head,
            _TYPE_LINES[delivery.format],
            b"webhook-id: %b\r\nwebhook-timestamp: %d\r\nringback-sequence: %d\r\nringback-attempt: %d\r\n"
            % (delivery.message_id.encode(), stamp, delivery.sequence, delivery.tries + 1),
        ]
        if delivery.format is BodyFormat.CLOUDEVENTS_BINARY:
            head.append(_event_lines(delivery))
        if self._keys is not None:
            signature = self._keys.sign(delivery.message_id, now, delivery.body)
            head.append(b"webhook-signature: %b\r\n" % signature.encode())
        if delivery.trace_id is not None:
            head.append(b"traceparent: 00-%b-%b-01\r\n" % (delivery.trace_id.encode(), secrets.token_hex(8).encode()))
        head.append(b"Content-Length: %d\r\n\r\n" % len(delivery.body))
        return b"".join((*head, delivery.body))


def _event_lines(delivery: Delivery) -> bytes:
    """The envelope of a binary CloudEvent (HTTP binding, section 3.1.3)."""
    told = Told(
        event=delivery.event,
        message_id=delivery.message_id,
        api=delivery.api,
        workload_id=delivery.workload_id,
        at=delivery.created_at,
        sequence=delivery.sequence,
    )
    attributes = cloudevent(told) | {"time": isoformat(told.at)}
    return "".join(f"ce-{name}: {value}\r\n" for name, value in attributes.items()).encode("latin-1")


def _checked_url(text: str) -> SplitResult:
    try:
        return webhook_url(text)
    except ValueError as error:
        raise SpecError(f"{shown_url(text)!r} {error}") from None


def _static_head(url: SplitResult, endpoint: Endpoint) -> list[str]:
    path = quote(url.path or "/", safe=_PATH_SAFE)
    query = f"?{quote(url.query, safe=_PATH_SAFE + '?')}" if url.query else ""
    lines = [
        f"POST {path}{query} HTTP/1.1",
        f"Host: {_host_header(url)}",
        f"User-Agent: Ringback/{__version__}",
    ]
    if url.username is not None and "authorization" not in {name.lower() for name in endpoint.headers}:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        lines.append(f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    return [*lines, *header_lines(endpoint)]


def _host_header(url: SplitResult) -> str:
    assert url.hostname is not None
    try:
        name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname.encode("idna").decode()
    except UnicodeError:
        raise SpecError(f"{url.hostname!r} is no host name") from None
    return name if url.port in {None, DEFAULT_PORTS[url.scheme]} else f"{name}:{url.port}"
