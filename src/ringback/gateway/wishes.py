"""What a submit asks of the queue, read from its headers: priority, delay, longest wait and tenant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ringback.core.errors import InvalidHeader
from ringback.core.quantities import parse_duration
from ringback.core.queueing import HIGHEST_PRIORITY, LOWEST_PRIORITY, NO_WISH, Wish
from ringback.gateway.incoming import key_of

PRIORITY: Final = "Ringback-Priority"
DELAY: Final = "Ringback-Delay"
EXPIRES: Final = "Ringback-Expires"
TENANT: Final = "Ringback-Tenant"

HEADERS: Final = frozenset(name.lower() for name in (PRIORITY, DELAY, EXPIRES, TENANT))

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,4}")


def wish_of(headers: Mapping[str, str]) -> Wish:
    """What the submit asks for; the plain wish without any of the headers.

    Raises:
        InvalidHeader: one of them cannot be read, or is out of bounds.
    """
    if HEADERS.isdisjoint(headers):
        return NO_WISH
    delay_seconds = _duration(headers, DELAY)
    expires_seconds = _duration(headers, EXPIRES)
    if expires_seconds == 0:
        raise InvalidHeader(
            f"{EXPIRES} is the longest wait in the queue and must be more than nothing, for example 30s"
        )
    return Wish(
        priority=_priority(headers),
        delay_seconds=delay_seconds or 0.0,
        expires_seconds=expires_seconds,
        tenant=key_of(headers, TENANT) or "",
    )


def _priority(headers: Mapping[str, str]) -> int:
    text = headers.get(PRIORITY.lower(), "0").strip()
    priority = int(text) if _WHOLE.fullmatch(text) else None
    if priority is None or not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        raise InvalidHeader(
            f"{PRIORITY}: {text[:40]!r} is no whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
        )
    return priority


def _duration(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name.lower())
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidHeader(f"{name}: {error}") from None
