"""Changing an endpoint's key without losing a webhook: the old one signs on beside the new one for a while.

Pure values and arithmetic; who keeps them is the store's affair.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ringback.core.clock import Instant, after
from ringback.core.errors import Conflict
from ringback.core.signing import MOST_KEYS

OVERLAP_SECONDS: Final = 86_400.0
"""How long a replaced key signs on: a day for its receivers to take the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointKey:
    """One of an endpoint's keys."""

    secret: str = field(repr=False)
    """`whsec_…` or `whsk_…`."""
    signs_until: Instant | None = None
    """From this instant on it signs no more; None for the key that no other has replaced."""


def active(keys: Iterable[EndpointKey], now: Instant) -> tuple[EndpointKey, ...]:
    """The keys that sign at `now`, in the order given."""
    return tuple(key for key in keys if key.signs_until is None or now < key.signs_until)


def rotated(
    keys: Iterable[EndpointKey], secret: str, *, now: Instant, overlap_seconds: float = OVERLAP_SECONDS
) -> tuple[EndpointKey, ...]:
    """The keys once `secret` has become the endpoint's: it first, then those that sign on for `overlap_seconds`.

    No key's end is put off by a later rotation. Keys that have ended are left out.

    Raises:
        Conflict: more than ten would sign side by side; one of them must end before.
    """
    end = after(now, overlap_seconds)
    former = (
        EndpointKey(secret=key.secret, signs_until=end if key.signs_until is None else min(key.signs_until, end))
        for key in keys
        if key.secret != secret
    )
    renewed = (EndpointKey(secret=secret), *active(former, now))
    if len(renewed) > MOST_KEYS:
        raise Conflict(f"{MOST_KEYS} keys of this endpoint sign already; rotate again when the oldest has ended")
    return renewed
