"""Cursors: opaque words that say where the next page begins. Pure."""

from __future__ import annotations

import base64
import binascii

from ringback.core.errors import InvalidParameter

_MARK = b"page:"


def encode_cursor(seq: int) -> str:
    """The cursor for the page after the row `seq`."""
    return base64.urlsafe_b64encode(_MARK + str(seq).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """The row a cursor stands for.

    Raises:
        InvalidParameter: `encode_cursor` did not make it.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        seq = int(raw.removeprefix(_MARK))
    except (binascii.Error, ValueError):
        seq = -1
    if seq < 0 or encode_cursor(seq) != cursor:
        raise InvalidParameter(f"cursor {cursor[:80]!r} is not one this server gave; start without a cursor")
    return seq
