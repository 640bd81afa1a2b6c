"""From a request's bytes to what predict is given, by content type (interface, section 1)."""

from __future__ import annotations

import json
from email.message import Message
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=256)
def media_type(content_type: str) -> tuple[str, str]:
    """The media type in lower case and the charset, UTF-8 when none is declared."""
    header = Message()
    header["content-type"] = content_type
    charset = header.get_param("charset", "utf-8")
    return header.get_content_type(), charset if isinstance(charset, str) else "utf-8"


def decode(content_type: str, payload: bytes) -> Any:
    """JSON is parsed, plain text decoded, everything else stays bytes.

    Raises:
        ValueError: the payload is not what its content type says.
        LookupError: no such charset.
    """
    kind, charset = media_type(content_type)
    if kind == "application/json" or kind.endswith("+json"):
        return json.loads(payload)
    if kind == "text/plain":
        return payload.decode(charset)
    return payload
