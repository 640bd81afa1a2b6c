"""A blob: bytes too large for a row, and the name under which they are kept. Pure.

A blob is written once and never changed, so its name stands for its bytes. The name begins with the moment at which
it was given, on the store's own timeline: so its age can be told from the name alone, by a clock that nobody sets.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from ringback.core.clock import Instant

JSON: Final = "application/json"

STRAY_SECONDS: Final = 86_400.0
"""A blob of this age that no row refers to is swept: whoever wrote it has died before its row was committed."""

COMMIT_SECONDS: Final = STRAY_SECONDS / 2
"""A row may refer to a blob of at most this age, so that none is swept whose row is still on its way."""

_KEY: Final = re.compile(r"([0-9a-f]{16})-[0-9a-f]{16}")

SPACE_BYTES: Final = 8
"""A store's own room among others that keep their blobs in the same place is named by so many random ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What is known of a blob wherever its bytes are."""

    key: str
    size_bytes: int
    content_type: str = JSON


def blob_key(moment: Instant, chance: int) -> str:
    """The name of a blob that is made at a moment of the timeline; `chance` is a random number of 64 bits."""
    return f"{moment:016x}-{chance:016x}"


def named_at(key: str) -> Instant | None:
    """The moment at which the name was given; None if it is none of ours."""
    found = _KEY.fullmatch(key)
    return None if found is None else Instant(int(found[1], 16))


class PayloadDigest:
    """What two submits under one id are compared by, fed with the payload as it comes."""

    __slots__ = ("_hash",)

    def __init__(self, content_type: str, payload: bytes = b"") -> None:
        self._hash = hashlib.sha256(content_type.encode() + b"\0" + payload)

    def feed(self, piece: bytes) -> None:
        """More of the payload."""
        self._hash.update(piece)

    def value(self) -> bytes:
        """32 bytes."""
        return self._hash.digest()
