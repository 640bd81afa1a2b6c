"""Changing an endpoint's key without losing a webhook: the old one signs on beside the new one for a while.

Pure values and arithmetic; who keeps them is the store's affair.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ringback.core.clock import SECOND, Instant, after
from ringback.core.errors import Conflict
from ringback.core.signing import MOST_KEYS, Signer

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


class KeyRing:
    """Signs with an endpoint's keys as they stand at the moment of each signature.

    Raises:
        SpecError: a key is malformed, with the cure.
    """

    __slots__ = ("_former", "_signer")

    def __init__(self, secret: str, former: Iterable[EndpointKey] = ()) -> None:
        """Read the keys once.

        Args:
            secret: those that no other has replaced, as in the file.
            former: those that sign on for a while.
        """
        self._signer = Signer(secret)
        self._former = [(key.signs_until, Signer(key.secret)) for key in former]

    def sign(self, message_id: str, now: Instant, body: bytes) -> str:
        """The value of `webhook-signature` at `now`: an entry for each key that signs then."""
        entries = self._signer.sign(message_id, now // SECOND, body)
        for until, signer in self._former:
            if until is None or now < until:
                entries = f"{entries} {signer.sign(message_id, now // SECOND, body)}"
        return entries
