"""What a workload prints, made fit to keep: long lines cut, lines that are drawn over kept in their last form, and of
very much the beginning and the latest.

Pure. Bytes go in as they were written, lines of whole characters come out; time comes in, in seconds of any clock.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

LINE_BYTES: Final = 16 * 1024
"""Where a longer line is cut."""

REDRAW_SECONDS: Final = 10.0
"""A line that is drawn over and over, as progress bars are, is kept that often, and in its last form."""

HEAD_LINES: Final = 5_000
HEAD_BYTES: Final = 512 * 1024
"""So much of the beginning is kept, whatever comes after it."""

BURST_LINES: Final = 1_000
BURST_BYTES: Final = 64 * 1024
BURST_SECONDS: Final = 0.25
"""After the beginning, the last so many lines of each stretch of so many seconds are passed on."""

Piece = tuple[int, bytes]
"""How many lines have been left out before it, and its text."""

_ENDS: Final = re.compile(rb"([\r\n])")
_CUT: Final = " … {} bytes cut"


class Tidy:
    """Turns bytes as they were written into lines as a reader wants them."""

    __slots__ = ("_cut", "_drawn_at", "_line", "_out", "_rest", "_returned")

    def __init__(self) -> None:
        self._line = b""  # of the line under way, what is not out yet
        self._out = 0  # how many bytes of it are
        self._cut = 0  # and how many never will be
        self._returned = False  # the next character draws over it
        self._drawn_at: float | None = None  # since when it has been drawn over
        self._rest = b""  # the beginning of a character

    def add(self, data: bytes, now: float) -> bytes:
        """What can go out now that these have come."""
        data, self._rest = whole(self._rest + data)
        if not self._is_plain(data):
            return b"".join(self._slowly(data, now))
        newest = data.rfind(b"\n")
        self._out = self._out + len(data) if newest < 0 else len(data) - newest - 1
        return data

    def end(self) -> bytes:
        """What is still to go out when nothing more will come."""
        rest, self._rest = self._rest, b""
        self._write(rest)
        return self._ended() if self._line or self._cut else b""

    def _is_plain(self, data: bytes) -> bool:
        """Whether nothing is to be done to it."""
        if self._returned or self._cut or self._drawn_at is not None or b"\r" in data:
            return False
        room = LINE_BYTES - self._out
        return len(data) <= room or max(map(len, data.split(b"\n"))) <= room

    def _slowly(self, data: bytes, now: float) -> list[bytes]:
        ready: list[bytes] = []
        for part in _ENDS.split(data):
            if part == b"\n":
                ready.append(self._ended() + b"\n")
                self._out = 0
            elif part == b"\r":
                self._returned = True
            elif part:
                if self._returned:
                    self._line, self._cut, self._returned = b"", 0, False
                    self._drawn_at = now if self._drawn_at is None else self._drawn_at
                self._write(part)
        if self._drawn_at is not None:
            if now - self._drawn_at >= REDRAW_SECONDS and self._line:
                ready.append(self._ended() + b"\n")
                self._out, self._drawn_at = 0, now
        elif not self._returned:
            ready.append(self._line)
            self._out += len(self._line)
            self._line = b""
        return ready

    def _write(self, part: bytes) -> None:
        room = max(0, LINE_BYTES - self._out * (self._drawn_at is None) - len(self._line))
        kept = part if len(part) <= room else whole(part[:room])[0]
        self._line += kept
        self._cut += len(part) - len(kept)

    def _ended(self) -> bytes:
        """What is not out yet of a line that has come to its end, without the end itself."""
        text, cut, drawn = self._line, self._cut, self._drawn_at is not None
        if drawn and self._out and text:
            text = b"\n" + text
        if cut:
            text += _CUT.format(cut).encode()
        self._line, self._cut, self._returned, self._drawn_at = b"", 0, False, None
        return text


class Excerpt:
    """Of text in lines, the beginning and the latest, piece by piece."""

    __slots__ = ("_bytes_left", "_due_at", "_in_line", "_left_out", "_lines_left", "_part", "_ready", "_size", "_tail")

    def __init__(self) -> None:
        self._lines_left = HEAD_LINES
        self._bytes_left = HEAD_BYTES
        self._in_line = False
        self._ready: list[bytes] = []
        self._tail: deque[bytes] = deque()
        self._size = 0  # of the tail, in bytes
        self._part = b""  # of a line, after the beginning
        self._left_out = 0
        self._due_at = 0.0

    def add(self, text: bytes) -> None:
        """Take in what comes next."""
        if not text:
            return
        if self._is_in_head and text.count(b"\n") < self._lines_left and len(text) < self._bytes_left:
            self._head(text)
            return
        while text and self._is_in_head:
            line, end, text = text.partition(b"\n")
            self._head(line + end)
        if text:
            self._later(text)

    def due_in(self, now: float) -> float | None:
        """In how many seconds there is a piece to take; None when there is nothing."""
        if self._ready:
            return 0.0
        return max(0.0, self._due_at - now) if self._tail else None

    def take(self, now: float) -> Piece | None:
        """The next piece, if there is one by now."""
        if self._ready:
            text = b"".join(self._ready)
            self._ready.clear()
            return 0, text
        if not self._tail or now < self._due_at:
            return None
        self._due_at = now + BURST_SECONDS
        return self._burst()

    def end(self) -> list[Piece]:
        """All that is left when nothing more will come."""
        pieces = [(0, b"".join(self._ready))] if self._ready else []
        self._ready.clear()
        part, self._part = self._part, b""
        if self._tail or part:
            left_out, text = self._burst()
            pieces.append((left_out, text + part))
        return pieces

    @property
    def _is_in_head(self) -> bool:
        """The beginning ends with the end of a line."""
        return self._in_line or (self._lines_left > 0 and self._bytes_left > 0)

    def _head(self, text: bytes) -> None:
        self._ready.append(text)
        self._lines_left -= text.count(b"\n")
        self._bytes_left -= len(text)
        self._in_line = not text.endswith(b"\n")

    def _later(self, text: bytes) -> None:
        *lines, self._part = (self._part + text).split(b"\n")
        if len(lines) > BURST_LINES:  # all that is there already would be pushed out
            self._left_out += len(self._tail) + len(lines) - BURST_LINES
            self._tail.clear()
            self._size = 0
            lines = lines[-BURST_LINES:]
        self._tail.extend(lines)
        self._size += sum(map(len, lines)) + len(lines)
        while len(self._tail) > BURST_LINES or self._size > BURST_BYTES:
            self._size -= len(self._tail.popleft()) + 1
            self._left_out += 1

    def _burst(self) -> Piece:
        text = b"".join(line + b"\n" for line in self._tail)
        left_out, self._left_out, self._size = self._left_out, 0, 0
        self._tail.clear()
        return left_out, text


def whole(data: bytes) -> tuple[bytes, bytes]:
    """The data up to its last whole character in UTF-8, and the beginning of one that may follow (RFC 3629)."""
    for back in range(1, min(3, len(data)) + 1):
        lead = data[-back]
        if lead < 0x80:
            break
        if lead >= 0xC0:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return (data, b"") if back >= length else (data[:-back], data[-back:])
    return data, b""
