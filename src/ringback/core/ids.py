"""Ids in time order (RFC 9562, UUID version 7), because ordered keys dirty far fewer index pages.

Within one process ids strictly ascend, even when the clock stands still or steps back.
"""

from __future__ import annotations

import os
from typing import Final

from ringback.core.clock import Clock

_ENTROPY_BATCH: Final = 512
_SUB_MS_BITS: Final = 12


class Ids:
    """Makes ids from a clock and the system's randomness.

    The 12 bits after the milliseconds (`rand_a`) carry the fraction of the millisecond, as RFC 9562
    section 6.2 method 3 allows; the low 62 bits are random.
    """

    __slots__ = ("_clock", "_entropy", "_last", "_used")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entropy = b""
        self._used = 0
        self._last = 0

    def new(self) -> str:
        """A fresh id: 32 lower-case hexadecimal digits and four dashes, greater than the one before."""
        micros = self._clock.now()
        stamp = (micros // 1_000) << _SUB_MS_BITS | (micros % 1_000) << 2
        if stamp <= self._last:
            stamp = self._last + 1
        self._last = stamp
        low = self._random62()
        head = stamp >> _SUB_MS_BITS
        return (
            f"{head >> 16:08x}-{head & 0xFFFF:04x}-7{stamp & 0xFFF:03x}"
            f"-{0x8000 | low >> 48:04x}-{low & 0xFFFF_FFFF_FFFF:012x}"
        )

    def _random62(self) -> int:
        if self._used >= len(self._entropy):
            self._entropy = os.urandom(8 * _ENTROPY_BATCH)
            self._used = 0
        raw = self._entropy[self._used : self._used + 8]
        self._used += 8
        return int.from_bytes(raw, "big") & 0x3FFF_FFFF_FFFF_FFFF
