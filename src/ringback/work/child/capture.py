"""Standard output and standard error, caught: for the server's log, and for the workload that says it.

Where one workload runs at a time, both file descriptors are a pipe that is read here, so that native code and
subprocesses are heard too, in the order of their words. Where several run at once, Python's own streams tell them
apart; what goes past these is the replica's.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from .log import Log
from .voices import Voice
from .wire import Work

_READ_BYTES: Final = 64 * 1024
_MOST_BYTES: Final = 1024 * 1024
"""How much is read at a workload's end at most: something may be writing that never ends."""

_GATHER_SECONDS: Final = 0.01
"""How long words are left to gather, after the first."""

_COUNT: Final = 4
_STANDARD_ERROR: Final = 2


class Capture:
    """One replica's standard streams."""

    def __init__(self, pipe: int, log: Log, *, send: Callable[[bytes], None]) -> None:
        """Nothing is read before `start`.

        Args:
            pipe: the end to read of what file descriptors 1 and 2 write into; it does not block.
            log: the server's.
            send: takes frames, from any thread.
        """
        self._pipe = pipe
        self._log = log
        self._send = send
        self._lock = _Lock()
        self._nobody = Voice(log)
        self._voices: dict[int, Voice] = {}
        self._speaking: set[int] = set()
        """Of several at once, those that run, by their numbers."""
        self._running: Work | None = None
        self._waking, self._wake = os.pipe()
        self._is_woken = False
        self._count = bytearray(_COUNT)

    def start(self, *, tells_apart: bool) -> None:
        """Listen from now on; with `tells_apart`, each workload's own Python streams are heard as its own."""
        if tells_apart:
            sys.stdout, sys.stderr = _Apart(sys.stdout, self._heard), _Apart(sys.stderr, self._heard)
        else:
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
        threading.Thread(target=self._listen, name="ringback-capture", daemon=True).start()

    # ── One after the other ─────────────────────────────────────────────────────────────────────

    def begin(self, work: Work) -> None:
        """What is said from now on is this workload's."""
        self._running = work

    def end(self, work: Work) -> bytes:
        """The frames with all that it has said and that is not sent yet; nothing is its own any more."""
        _flush()
        with self._lock:
            if not (self._unread() or self._voices):
                self._running = None
                return b""
            frames = self._rest()
            self._running = None
            voice = self._voices.pop(work.number, None)
            return frames if voice is None else frames + voice.end()

    def tell(self, frame: bytes) -> None:
        """Send a frame of the workload's, after what it has said before."""
        _flush()
        with self._lock:
            said = self._rest() if self._unread() else b""
            self._send(said + self._pieces() + frame)

    def settle(self) -> None:
        """Whatever has been said so far is nobody's: put it into the log."""
        _flush()
        with self._lock:
            self._rest()
            self._nobody.end()

    # ── Several at once ─────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def speaking(self, work: Work) -> Iterator[None]:
        """What is said within, on this thread or in this task, is this workload's."""
        token = _SPEAKING.set(work)
        self._speaking.add(work.number)
        try:
            yield
        finally:
            _SPEAKING.reset(token)

    def last(self, work: Work) -> bytes:
        """As `end`, for one of several. What it has started and left behind, such as a task, speaks for nobody then."""
        with self._lock:
            self._speaking.discard(work.number)
            voice = self._voices.pop(work.number, None)
            return b"" if voice is None else voice.end()

    def _heard(self, work: Work, data: bytes) -> None:
        if self._lock.is_held_here:  # a finalizer or a signal's handler speaks while we are at work
            os.write(_STANDARD_ERROR, data)
            return
        with self._lock:
            (self._voice(work) if work.number in self._speaking else self._nobody).hear(data)
            if not self._is_woken:
                self._is_woken = True
                os.write(self._wake, b"!")

    # ── Listening ───────────────────────────────────────────────────────────────────────────────

    def _listen(self) -> None:
        poller = select.poll()
        poller.register(self._pipe, select.POLLIN)
        poller.register(self._waking, select.POLLIN)
        with contextlib.suppress(OSError):  # the parent has gone; nobody is left to tell
            while True:
                happened = dict(poller.poll(self._patience()))
                if not happened.get(self._pipe, select.POLLIN) & select.POLLIN:
                    return  # somebody has closed both standard streams, or this end
                with self._lock:
                    if self._is_woken:
                        self._is_woken = False
                        os.read(self._waking, 1)
                    read = self._read() if self._unread() else 0
                    if frames := self._pieces():
                        self._send(frames)
                if read < _READ_BYTES:
                    time.sleep(_GATHER_SECONDS)

    def _patience(self) -> float | None:
        """Milliseconds until something is to be sent."""
        with self._lock:
            waits = [wait for voice in self._voices.values() if (wait := voice.due_in()) is not None]
        return 1_000 * min(waits) if waits else None

    def _unread(self) -> bool:
        try:
            fcntl.ioctl(self._pipe, termios.FIONREAD, self._count)
        except OSError:  # the user has closed it, as those do who close all they do not know
            return False
        return any(self._count)

    def _rest(self) -> bytes:
        """Read what is there; the frames that can be sent of it."""
        frames, read = [], 0
        while read < _MOST_BYTES and self._unread():
            read += self._read()
            frames.append(self._pieces())
        return b"".join(frames)

    def _read(self) -> int:
        try:
            data = os.read(self._pipe, _READ_BYTES)
        except BlockingIOError:  # the parent has read it in our place
            return 0
        work = self._running
        (self._nobody if work is None else self._voice(work)).hear(data)
        return len(data)

    def _voice(self, work: Work) -> Voice:
        voice = self._voices.get(work.number)
        if voice is None:
            voice = self._voices[work.number] = Voice(self._log, work.id, work.number)
        return voice

    def _pieces(self) -> bytes:
        return b"".join(voice.pieces() for voice in self._voices.values())


_SPEAKING: ContextVar[Work | None] = ContextVar("_SPEAKING", default=None)


class _Lock:
    """A lock that knows whether this thread has it."""

    __slots__ = ("_holder", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    @property
    def is_held_here(self) -> bool:
        return self._holder == threading.get_ident()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._holder = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._holder = 0
        self._lock.release()


def _flush() -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # the user's own stream may be anything, and say anything
        with contextlib.suppress(Exception):
            sys.stderr.flush()


class _Apart(io.TextIOBase):
    """A standard stream that knows which workload writes."""

    def __init__(self, stream: Any, heard: Callable[[Work, bytes], None]) -> None:
        self._stream = stream
        self._heard = heard
        self._process = os.getpid()
        self.name = stream.name
        self.buffer = _ApartBytes(stream.buffer, heard)

    def write(self, text: str) -> int:
        work = _SPEAKING.get()
        if work is None or os.getpid() != self._process:  # a fork has the pipe alone
            self._stream.write(text)
            self._stream.flush()
        elif text:
            self._heard(work, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """As it can be done with every standard stream; what is said is passed on at once, in UTF-8, all the same."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        descriptor: int = self._stream.fileno()
        return descriptor

    @property
    def line_buffering(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"


class _ApartBytes(io.RawIOBase):
    """The bytes beneath it."""

    def __init__(self, stream: Any, heard: Callable[[Work, bytes], None]) -> None:
        self._stream = stream
        self._heard = heard
        self._process = os.getpid()

    def write(self, data: Any) -> int:
        work = _SPEAKING.get()
        if work is None or os.getpid() != self._process:
            self._stream.write(data)
            self._stream.flush()
        else:
            self._heard(work, bytes(data))
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        descriptor: int = self._stream.fileno()
        return descriptor
