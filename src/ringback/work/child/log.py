"""The server's log, as a replica writes into it: whole lines, each with who says it, as text, as JSON, or short.

The objects have the keys of the server's own facts (`runtime/logs.py`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

Steps = TracebackType | None

TEXT: Final = "text"
JSON: Final = "json"
SHORT: Final = "short"
"""For a terminal, where room is scarce: the time on the wall and the API."""

_LOGGER: Final = logging.getLogger("ringback.replica")


def note(level: int, text: str, *values: object, raised: BaseException | None = None, steps: Steps = None) -> None:
    """Log what the replica has to say, by the user's own logging.

    That may be anything, and its streams closed: whatever it raises, an outcome is worth more.

    Args:
        level: one of `logging`'s.
        text: a form for `values`.
        values: what stands in it.
        raised: is told with its traceback.
        steps: the part of the traceback that is told.
    """
    with contextlib.suppress(Exception):
        _LOGGER.log(level, text, *values, exc_info=None if raised is None else (type(raised), raised, steps))


class Log:
    """One replica's way into it."""

    __slots__ = ("_api", "_descriptor", "_form", "_replica")

    def __init__(self, descriptor: int, *, api: str, replica: int, form: str = TEXT) -> None:
        """Begin with nothing written.

        Args:
            descriptor: where it is.
            api: whose replica this is.
            replica: its number.
            form: TEXT, JSON or SHORT.
        """
        self._descriptor = descriptor
        self._api = api
        self._replica = replica
        self._form = form

    def write(self, lines: bytes, workload: str | None) -> None:
        """Put in what a workload has said, or the replica itself; `lines` ends with the end of one."""
        moment = datetime.now(UTC)
        if self._form != JSON:
            before = self._margin(moment, workload).encode()
            self._put(before + lines[:-1].replace(b"\n", b"\n" + before) + b"\n")
            return
        told = {
            "at": moment.isoformat(timespec="microseconds"),
            "level": "info",
            "fact": "replica.said",
            "api": self._api,
            "replica": self._replica,
            "workload": workload,
        }
        for line in lines[:-1].split(b"\n"):
            # One write for each: a pipe keeps short ones together, whoever else writes into it (pipe(7)).
            self._put(json.dumps({**told, "text": line.decode("utf-8", "backslashreplace")}).encode() + b"\n")

    def _margin(self, moment: datetime, workload: str | None) -> str:
        """What stands before each line of text."""
        if self._form == SHORT:
            return f"{moment.astimezone():%H:%M:%S}  {self._api:20} | "
        who = f"{self._api}/{self._replica}" if workload is None else f"{self._api}/{self._replica} {workload}"
        return f"{moment.isoformat(timespec='milliseconds')[:23]} {who}: "

    def _put(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a log that cannot be written is no reason to stop
            while data:
                data = data[os.write(self._descriptor, data) :]
