"""The child's end of the socket pair: blocking reads, whole frames, and a look for cancels in between."""

from __future__ import annotations

import socket
from collections import deque
from threading import Lock
from typing import Final

from .wire import Frames, Kind, read_numbered

_READ_BYTES: Final = 256 * 1024


class Channel:
    """Reads from one thread, writes from any.

    With `looks_ahead`, asking for a cancel reads what has come meanwhile; otherwise whoever reads notes it.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._frames = Frames()
        self._ahead: deque[tuple[Kind, bytes]] = deque()
        self._cancelled: set[int] = set()
        self._writing = Lock()
        self.looks_ahead = True

    def receive(self) -> tuple[Kind, bytes] | None:
        """The next frame that is no cancel; None when the parent has gone."""
        while not self._ahead:
            data = self._end.recv(_READ_BYTES)
            if not data:
                return None
            self._sort(data)
        return self._ahead.popleft()

    def send(self, data: bytes) -> None:
        with self._writing:
            self._end.sendall(data)

    def cancelled(self, number: int) -> bool:
        """Whether the parent has asked for this workload to end."""
        if self.looks_ahead and number not in self._cancelled:
            self._look_ahead()
        return number in self._cancelled

    def forget(self, number: int) -> None:
        """The workload is over."""
        self._cancelled.discard(number)

    def _look_ahead(self) -> None:
        try:
            data = self._end.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        self._sort(data)

    def _sort(self, data: bytes) -> None:
        for kind, body in self._frames.feed(data):
            if kind is Kind.CANCEL:
                self._cancelled.add(read_numbered(body)[0])
            else:
                self._ahead.append((kind, body))
