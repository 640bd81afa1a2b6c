"""Cursors: opaque words that say where the next page begins. Pure."""

from __future__ import annotations

import base64
import binascii

from ringback.core.errors import InvalidParameter

_MARK = b"page:"
_SPAN = b"span:"
_MOST_BYTES = 64
_NO_ROW = 2**63


def encode_cursor(seq: int) -> str:
    """The cursor for the page after the row `seq`."""
    return _encoded(_MARK + str(seq).encode())


def decode_cursor(cursor: str) -> int:
    """The row a cursor stands for.

    Raises:
        InvalidParameter: `encode_cursor` did not make it.
    """
    text = _decoded(cursor, _MARK)
    seq = int(text) if text.isdigit() else -1
    if not 0 <= seq < _NO_ROW or encode_cursor(seq) != cursor:
        raise _not_ours(cursor)
    return seq


def encode_span(after: int, until: int) -> str:
    """The cursor for what comes after one row, up to another."""
    return _encoded(_SPAN + f"{after}-{until}".encode())


def decode_span(cursor: str) -> tuple[int, int]:
    """The two rows a cursor stands for.

    Raises:
        InvalidParameter: `encode_span` did not make it.
    """
    after, _, until = _decoded(cursor, _SPAN).partition("-")
    span = (int(after), int(until)) if after.isdigit() and until.isdigit() else (1, 0)
    if not span[0] <= span[1] < _NO_ROW or encode_span(*span) != cursor:
        raise _not_ours(cursor)
    return span


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(cursor: str, mark: bytes) -> str:
    """What follows the mark; '' when it is no cursor. Whoever asks compares: base64 has more than one text for it."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return raw.removeprefix(mark).decode("ascii") if len(raw) <= _MOST_BYTES else ""
    except (binascii.Error, ValueError):
        return ""


def _not_ours(cursor: str) -> InvalidParameter:
    return InvalidParameter(f"cursor {cursor[:80]!r} is not one this server gave; start without a cursor")
