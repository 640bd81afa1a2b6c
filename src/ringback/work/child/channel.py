"""The child's end of the socket pair: blocking reads, whole frames, and a look for cancels in between."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Final

from .wire import Answer, Frames, Kind, read_answer, read_numbered

_READ_BYTES: Final = 256 * 1024
_LOOK_PAUSE_SECONDS: Final = 0.002
"""Between two looks at the socket for whoever asks over and over whether it is to stop."""


_TURN_SECONDS: Final = 0.01


class _Question:
    """What one workload waits for."""

    __slots__ = ("data", "event", "said")

    def __init__(self) -> None:
        self.event = Event()
        self.said = Answer.NOTHING
        self.data = b""

    def answered(self, said: Answer, data: bytes) -> None:
        self.said, self.data = said, data
        self.event.set()


class Channel:
    """Reads from one thread, writes from any.

    With `looks_ahead`, asking for a cancel reads what has come meanwhile; otherwise whoever reads notes it.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._frames = Frames()
        self._ahead: deque[tuple[Kind, bytes]] = deque()
        self._cancelled: set[int] = set()
        self._wanted_back: set[int] = set()
        self._acts: dict[int, Callable[[], None]] = {}
        self._questions: dict[int, _Question] = {}
        self._writing = Lock()
        self._reading = Lock()
        self._look_at = 0.0
        self.looks_ahead = True

    def fileno(self) -> int:
        return self._end.fileno()

    def receive(self) -> tuple[Kind, bytes] | None:
        """The next frame that is no cancel; None when the parent has gone."""
        while True:
            with self._reading:
                if self._ahead:
                    return self._ahead.popleft()
                data = self._end.recv(_READ_BYTES)
                if not data:
                    return None
                self._sort(data)

    def send(self, data: bytes) -> None:
        """Send frames; when the parent has gone, nobody is left to run for: the process ends, without a word."""
        try:
            with self._writing:
                self._end.sendall(data)
        except ConnectionError:
            os._exit(0)

    # ── Cancels ─────────────────────────────────────────────────────────────────────────────────

    def cancelled(self, number: int) -> bool:
        """Whether the parent has asked for this workload to end."""
        if self.looks_ahead and number not in self._cancelled and (now := time.monotonic()) >= self._look_at:
            self._look_at = now + _LOOK_PAUSE_SECONDS
            self.look()
        return number in self._cancelled

    def is_dropped(self, number: int) -> bool:
        """The same, before it has begun: as of this very moment."""
        if self.looks_ahead:
            self.look()
        return number in self._cancelled

    def is_wanted_back(self, number: int) -> bool:
        """Whether the parent wants it back, as of the last look."""
        return number in self._wanted_back

    @contextmanager
    def heeding(self, number: int, act: Callable[[], None]) -> Iterator[None]:
        """Within it, `act` is called once this workload is to end, in whichever thread hears of it."""
        self._acts[number] = act
        try:
            if number in self._cancelled:
                act()
            yield
        finally:
            self._acts.pop(number, None)

    def forget(self, number: int) -> None:
        """The workload is over."""
        self._cancelled.discard(number)
        self._wanted_back.discard(number)

    def look(self) -> bool:
        """Take in what has come, without waiting; False when the parent has gone."""
        if not self._reading.acquire(blocking=False):
            return True  # another thread reads already, and notes what comes
        try:
            data = self._end.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            self._sort(data)
        except BlockingIOError:
            return True
        finally:
            self._reading.release()
        return bool(data)

    # ── Questions ───────────────────────────────────────────────────────────────────────────────

    def ask(self, number: int, frame: bytes) -> tuple[Answer, bytes]:
        """Send a running workload's question and wait for the answer; one at a time for each workload.

        Raises:
            ConnectionError: the parent has gone.
        """
        question = self._questions[number] = _Question()
        self.send(frame)
        while not question.event.is_set():
            if not self.looks_ahead:
                question.event.wait()
            elif self._reading.acquire(timeout=_TURN_SECONDS):  # else another thread reads, and sorts for all
                try:
                    self._read_one(question)
                finally:
                    self._reading.release()
        return question.said, question.data

    def _read_one(self, question: _Question) -> None:
        if not question.event.is_set():
            data = self._end.recv(_READ_BYTES)
            if not data:
                raise ConnectionError("the server has gone")
            self._sort(data)

    def _sort(self, data: bytes) -> None:
        for kind, body in self._frames.feed(data):
            if kind is Kind.ANSWER:
                number, said, data = read_answer(body)
                if (question := self._questions.pop(number, None)) is not None:
                    question.answered(said, data)
            elif kind is Kind.CANCEL:
                number = read_numbered(body)[0]
                self._cancelled.add(number)
                if (act := self._acts.get(number)) is not None:
                    act()
            elif kind is Kind.RETURN:
                self._wanted_back.add(read_numbered(body)[0])
            else:
                self._ahead.append((kind, body))
