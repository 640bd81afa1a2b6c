"""Headers that an endpoint adds to its webhooks: refused here is whatever could break out of its line. Pure."""

from __future__ import annotations

import re
from typing import Final

from ringback.core.errors import SpecError
from ringback.core.spec import BodyFormat, Endpoint

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OUR_PREFIXES: Final = ("webhook-", "ringback-")
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "traceparent", "user-agent"}
)


def header_lines(endpoint: Endpoint) -> list[str]:
    """The endpoint's own headers as lines of a request, without their ends.

    Raises:
        SpecError: one is no header, or one that Ringback itself sets.
    """
    for name in endpoint.headers:
        if endpoint.format is BodyFormat.CLOUDEVENTS_BINARY and name.lower().startswith("ce-"):
            raise SpecError(f"the header {name} is Ringback's own in this format; leave it out")
    return [_line(name, value) for name, value in endpoint.headers.items()]


def _line(name: str, value: str) -> str:
    if _TOKEN.fullmatch(name) is None:
        raise SpecError(f"{name!r} is no header name")
    if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
        raise SpecError(f"the header {name} is Ringback's own; leave it out")
    if _VALUE.fullmatch(value) is None:
        raise SpecError(f"the value of the header {name} has a character that no header can carry")
    return f"{name}: {value}"
