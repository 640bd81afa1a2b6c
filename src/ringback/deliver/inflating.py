"""A receiver's compressed answer, undone as far as it is looked at and no further: a bomb is cut, not set off."""

from __future__ import annotations

import zlib
from typing import Final, Protocol

_GZIP: Final = zlib.MAX_WBITS | 16
_WINDOWS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class Undo(Protocol):
    """From a piece of the body to at most so many bytes of what it stands for."""

    def __call__(self, data: bytes, most: int) -> bytes: ...


def undoing(encoding: str) -> Undo:
    """How to read a body with this `Content-Encoding`; one that is nested or not known is left as it is."""
    window = _WINDOWS.get(encoding.strip().lower())
    return _as_it_is if window is None else _Inflating(window)


def _as_it_is(data: bytes, most: int) -> bytes:
    return data[:most]


class _Inflating:
    """Remembers where in the stream it is; what is broken is read as far as it goes."""

    __slots__ = ("_inflate",)

    def __init__(self, window: int) -> None:
        self._inflate = zlib.decompressobj(window)

    def __call__(self, data: bytes, most: int) -> bytes:
        if most <= 0:
            return b""
        try:
            return self._inflate.decompress(self._inflate.unconsumed_tail + data, most)
        except zlib.error:
            return b""
