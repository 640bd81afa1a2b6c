"""Who says what: one workload's voice, heard onto the server's log at once and by the parent in pieces."""

from __future__ import annotations

import time

from .log import Log
from .transcript import Excerpt, Tidy
from .wire import log_frame


class Voice:
    """What one workload says, or the replica itself. Not for two threads at once."""

    __slots__ = ("_excerpt", "_log", "_number", "_part", "_tidy", "_workload")

    def __init__(self, log: Log, workload: str | None = None, number: int | None = None) -> None:
        """Begin in silence.

        Args:
            log: the server's.
            workload: whose voice it is; None for what is nobody's, which goes to the log alone.
            number: the workload's on the wire.
        """
        self._log = log
        self._workload = workload
        self._number = number
        self._tidy = Tidy()
        self._excerpt = Excerpt()
        self._part = b""  # of a line, not in the log yet

    def hear(self, data: bytes) -> None:
        """Take in what has been written."""
        self._pass_on(self._tidy.add(data, time.monotonic()))

    def due_in(self) -> float | None:
        """In how many seconds there is something to send; None for nothing."""
        return None if self._number is None else self._excerpt.due_in(time.monotonic())

    def pieces(self) -> bytes:
        """The frames that can be sent by now."""
        frames = []
        while self._number is not None and (piece := self._excerpt.take(time.monotonic())) is not None:
            frames.append(log_frame(self._number, *piece))
        return b"".join(frames)

    def end(self) -> bytes:
        """The last frames."""
        self._pass_on(self._tidy.end())
        if self._part:
            self._log.write(self._part + b"\n", self._workload)
            self._part = b""
        if self._number is None:
            return b""
        return b"".join(log_frame(self._number, *piece) for piece in self._excerpt.end())

    def _pass_on(self, text: bytes) -> None:
        if self._number is not None:
            self._excerpt.add(text)
        lines, end, part = text.rpartition(b"\n")
        if end:
            self._log.write(self._part + lines + end, self._workload)
            self._part = part
        else:
            self._part += part
