"""A file in the parent's folder that a result is written to. A full disk is waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from .log import note
from .wire import Kind, Work, numbered_object_frame

JSON: Final = "application/json"

_FIRST_WAIT_SECONDS: Final = 0.1
_LAST_WAIT_SECONDS: Final = 5.0

T = TypeVar("T")


class Sink:
    """A file that a result is written to, for as long as that takes."""

    __slots__ = ("_file", "_name", "_path", "_waited", "_work")

    def __init__(self, folder: Path, work: Work) -> None:
        self._work = work
        self._waited = 0
        self._name = name_of(work)
        self._path = folder / self._name
        self._file = self._patiently(lambda: self._path.open("wb", 0))

    def write(self, data: bytes) -> None:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._patiently(lambda part=rest: self._file.write(part)) :]  # type: ignore[misc] # bound now

    def frame(self, content_type: str = JSON) -> bytes:
        """The frame that tells the parent of it; nothing can be written any more."""
        self._file.close()
        return stored_frame(self._work, content_type)

    def drop(self) -> None:
        """Nobody wants it."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _patiently(self, act: Callable[[], T]) -> T:
        while True:
            try:
                return act()
            except OSError as error:
                if self._waited == 0:
                    text = "workload %s: its result cannot be kept yet (%s); trying on"
                    note(logging.ERROR, text, self._work.id, error)
                time.sleep(min(_FIRST_WAIT_SECONDS * 2**self._waited, _LAST_WAIT_SECONDS))
                self._waited = min(self._waited + 1, 10)


def name_of(work: Work) -> str:
    """What a work's result is called in the parent's folder."""
    return f"result-{work.number}"


def stored_frame(work: Work, content_type: str) -> bytes:
    """The frame that tells the parent of a result in its folder."""
    return numbered_object_frame(Kind.STORED, work.number, {"name": name_of(work), "type": content_type})
