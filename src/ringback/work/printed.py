"""What a child prints, read on this side only when the child cannot: it hangs in native code, or has died.

The child reads it first, for it knows whose words they are. But native code may hold the interpreter while it prints
more than a pipe has room for; without somebody to make room it would wait for ever.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import termios
from collections.abc import Callable
from typing import Final, Protocol

LOOK_SECONDS: Final = 1.0
"""What has lain unread from one look to the next, with no word from the child, is read here. A child that picks it up
sends four words a second, however much there is."""

_AGAIN_SECONDS: Final = 0.02
_ROOM_BYTES: Final = 256 * 1024
_READ_BYTES: Final = 64 * 1024
_SET_PIPE_SIZE: Final = getattr(fcntl, "F_SETPIPE_SZ", None)


class Printed:
    """The pipe that a child's standard output and standard error lead into."""

    __slots__ = ("_ours", "theirs")

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: there is no room for another.
        """
        self._ours, self.theirs = os.pipe()
        os.set_blocking(self._ours, False)
        if _SET_PIPE_SIZE is not None:
            with contextlib.suppress(OSError):  # the system has given as much as it gives
                fcntl.fcntl(self._ours, _SET_PIPE_SIZE, _ROOM_BYTES)

    def fileno(self) -> int:
        """The end to read, for the child as well."""
        return self._ours

    def close_theirs(self) -> None:
        """The child has its own."""
        os.close(self.theirs)

    def unread(self) -> int:
        """How many bytes nobody has read yet."""
        count = array.array("i", [0])
        fcntl.ioctl(self._ours, termios.FIONREAD, count)
        return count[0]

    def read(self) -> bytes:
        """What is there, at most as much as a pipe holds."""
        parts: list[bytes] = []
        while sum(map(len, parts)) < _ROOM_BYTES:
            try:
                part = os.read(self._ours, _READ_BYTES)
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Idempotent."""
        ours, self._ours = self._ours, -1
        if ours >= 0:
            os.close(ours)


class Hearing(Protocol):
    """Hears what a child prints and cannot tell of itself."""

    is_deaf: bool
    """While True nothing is heard: the child is being made to wait."""

    def watch(self) -> None:
        """The child has something to do."""
        ...

    def said(self) -> None:
        """The child has told of its words itself."""
        ...

    def last(self) -> None:
        """The child has died: hear the rest, and no more."""
        ...


class Overhearing:
    """Looks now and then, while something runs, whether words lie about that the child does not pick up."""

    def __init__(self, printed: Printed, *, is_busy: Callable[[], bool], heard: Callable[[bytes], None]) -> None:
        """Begin asleep.

        Args:
            printed: where the words lie.
            is_busy: whether the child has something to do.
            heard: is given what the child should have picked up.
        """
        self._printed = printed
        self._is_busy = is_busy
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._was_unread = False
        self.is_deaf = False

    def watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def said(self) -> None:
        self._was_unread = False

    def last(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if rest := self._printed.read():
            self._heard(rest)
        self._printed.close()

    def _look(self) -> None:
        self._timer = None
        if not self._is_busy():
            self._was_unread = False
            return
        wait = LOOK_SECONDS
        is_unread = not self.is_deaf and self._printed.unread() > 0
        if is_unread and self._was_unread:
            wait = _AGAIN_SECONDS
            self._heard(self._printed.read())
        self._was_unread = is_unread
        self._timer = self._loop.call_later(wait, self._look)
