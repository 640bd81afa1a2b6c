"""What conditional and range headers ask for (RFC 9110, sections 13 and 14), decided without any I/O. Pure.

Single ranges of bytes; several at once are answered with the whole, as section 14.2 allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringback.core.errors import PreconditionFailed, RangeNotSatisfiable

_RANGE: Final = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE | re.ASCII)
_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Send all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Send the bytes from `start` up to but without `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The client has it already."""


def wanted(method: str, headers: Mapping[str, str], *, etag: str, size: int) -> Whole | Part | Unchanged:
    """What to send of a representation.

    Args:
        method: GET or HEAD; a range is part of a GET only.
        headers: the request's, names in lower case.
        etag: the representation's strong validator, with its quotes.
        size: how many bytes it has.

    Raises:
        PreconditionFailed: `If-Match` names other validators only.
        RangeNotSatisfiable: the range begins after the end, or is empty.
    """
    if (match := headers.get("if-match")) is not None and not _names(match, etag, weakly=False):
        raise PreconditionFailed(f"the result is another one by now: its ETag is {etag}")
    if (none_match := headers.get("if-none-match")) is not None and _names(none_match, etag, weakly=True):
        return Unchanged()
    text = headers.get("range")
    if text is None or method != "GET" or headers.get("if-range", etag).strip() != etag:
        return Whole()
    return _part(text, size)


def _part(text: str, size: int) -> Whole | Part:
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return Whole()  # another unit, several ranges, or nothing that can be read (section 14.2)
    first, last = _number(found[1]), _number(found[2])
    if first is None:
        start, stop = max(0, size - (last or 0)), size
    else:
        start, stop = first, size if last is None else min(size, last + 1)
        if last is not None and last < first:
            return Whole()
    if start >= stop:
        raise RangeNotSatisfiable(f"the result has {size} bytes, of which the range {text[:80]} takes none", size=size)
    return Part(start=start, stop=stop)


def _number(digits: str) -> int | None:
    """The number; one beyond any size when it is too long to be meant."""
    if not digits:
        return None
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of validators has this one in it."""
    for each in header.split(","):
        tag = each.strip()
        if tag == "*" or (tag.removeprefix("W/") if weakly else tag) == etag:
            return True
    return False
