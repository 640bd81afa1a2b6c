"""Facts told to people: a line on standard error for what somebody should know, and silence for the rest.

An endpoint that fails is told once, and once more when it works again; not once for every attempt. What the store
refuses again and again is told once a minute, and how often it was; while its server is away that alone is told.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection
from typing import Any, Final

from ringback.core.clock import Clock, SystemClock, isoformat
from ringback.core.errors import RingbackError, StoreAway
from ringback.core.urls import shown_url
from ringback.runtime.facts import Facts

LOGGER: Final = logging.getLogger("ringback")
TRACEBACK: Final = "traceback"
"""The detail that is shown as it is, in lines of its own."""
_AGAIN_US: Final = 60_000_000
"""How long a fault that has been told is not told again."""
_MOST_ACTS: Final = 256
_CLOCK: Final = SystemClock()


class _Lines(logging.Formatter):
    """`2026-01-31T12:00:00.123 warning replica.lost api=iris reason="…"`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        details: dict[str, object] = getattr(record, "details", {})
        words = " ".join(f"{name}={_quoted(value)}" for name, value in details.items() if name != TRACEBACK)
        head = (
            f"{isoformat(self._clock.now())[:23]} {record.levelname.lower():7} {record.getMessage()} {words}".rstrip()
        )
        below = str(details.get(TRACEBACK, "")).splitlines()
        return "\n".join((head, *(f"  {printable(line)}" for line in below)))


class _Objects(_Lines):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        details: dict[str, object] = getattr(record, "details", {})
        head = {"at": isoformat(self._clock.now()), "level": record.levelname.lower(), "fact": record.getMessage()}
        return json.dumps({**head, **details}, default=str)


def set_up(*, level: str, as_json: bool, clock: Clock) -> None:
    """Send the log to standard error at `level`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Objects(clock) if as_json else _Lines(clock))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


class Logs:
    """Listens to facts and writes down those worth a line, but for those that somebody else tells."""

    _LEVELS: Final = {
        "workload.refused": logging.DEBUG,
        "workload.finished": logging.DEBUG,
        "workload.requeued": logging.DEBUG,
        "engine.joined": logging.INFO,
        "replica.started": logging.DEBUG,
        "replica.waiting": logging.WARNING,
        "replica.ready": logging.INFO,
        "replica.broken": logging.ERROR,
        "replica.lost": logging.WARNING,
        "replica.overheard": logging.INFO,
        "replica.retired": logging.DEBUG,
        "environment.making": logging.INFO,
        "environment.made": logging.INFO,
        "environment.failed": logging.ERROR,
        "file.differs": logging.WARNING,
        "file.agrees": logging.INFO,
        "file.reloaded": logging.INFO,
        "file.refused": logging.ERROR,
        "api.replaced": logging.INFO,
        "api.scaled": logging.INFO,
        "api.woken": logging.INFO,
        "api.limited": logging.WARNING,
        "endpoint.tripped": logging.WARNING,
        "endpoint.mended": logging.INFO,
        "endpoint.paused": logging.WARNING,
        "endpoint.unusable": logging.ERROR,
        "endpoint.registered": logging.INFO,
        "endpoint.changed": logging.INFO,
        "endpoint.rotated": logging.INFO,
        "endpoint.removed": logging.INFO,
        "blobs.away": logging.WARNING,
        "store.awaited": logging.WARNING,
        "store.away": logging.WARNING,
        "store.back": logging.INFO,
        "server.stopping": logging.INFO,
        "upkeep.failed": logging.WARNING,
        "upkeep.mended": logging.INFO,
        "gateway.failed": logging.ERROR,
    }

    def __init__(self, facts: Facts, *, told_elsewhere: Collection[str] = (), clock: Clock = _CLOCK) -> None:
        self._failing: set[str] = set()
        self._faults = _Faults(clock)
        self._is_away = False
        listeners: dict[str, Callable[..., None]] = {
            fact: _line(fact, level) for fact, level in self._LEVELS.items() if LOGGER.isEnabledFor(level)
        }
        listeners |= {
            "delivery.attempted": self._on_attempted,
            "delivery.settled": self._on_settled,
            "endpoint.closed": lambda *, endpoint: self._failing.discard(endpoint),
            "store.fault": self._on_fault,
        }
        facts.listen("store.away", lambda **_: self._note_away(is_away=True))
        facts.listen("store.back", lambda **_: self._note_away(is_away=False))
        for fact, listener in listeners.items():
            if fact not in told_elsewhere:
                facts.listen(fact, listener)

    def _on_attempted(self, *, endpoint: str, outcome: str, status: int | None, **_: object) -> None:
        if outcome == "ok":
            if endpoint in self._failing:
                self._failing.discard(endpoint)
                _write(logging.INFO, "endpoint.recovered", endpoint=endpoint)
        elif endpoint not in self._failing:
            self._failing.add(endpoint)
            _write(logging.WARNING, "endpoint.failing", endpoint=endpoint, outcome=outcome, status=status)

    def _on_fault(self, *, act: str, error: BaseException, **details: object) -> None:
        """The store has refused something, or is not there: what was to be done, and why it could not be."""
        if self._is_away and isinstance(error, StoreAway):
            return
        unsaid = self._faults.unsaid(act)
        if unsaid is None:
            return
        why = error if isinstance(error, RingbackError) else repr(error)
        again = {"and_before": unsaid} if unsaid else {}
        _write(logging.ERROR, "store.fault", detail=f"{act}: {why}", **details, **again)

    def _note_away(self, *, is_away: bool) -> None:
        self._is_away = is_away

    def _on_settled(self, *, endpoint: str, state: str, **_: object) -> None:
        if state == "parked":
            _write(logging.WARNING, "delivery.parked", endpoint=endpoint)


class _Faults:
    """What cannot be done, by what it is, since when it was last told of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, tuple[int, int]] = {}

    def unsaid(self, act: str) -> int | None:
        """How often this has come since it was last told, if it is to be told now; None if not."""
        now = self._clock.elapsed()
        told_at, unsaid = self._told.get(act, (None, 0))
        if told_at is not None and now - told_at < _AGAIN_US:
            self._told[act] = told_at, unsaid + 1
            return None
        if len(self._told) >= _MOST_ACTS:
            self._told = {act: told for act, told in self._told.items() if now - told[0] < _AGAIN_US}
        self._told[act] = now, 0
        return unsaid


def _line(fact: str, level: int) -> Callable[..., None]:
    return lambda **details: _write(level, fact, **details)


def _write(level: int, fact: str, **details: Any) -> None:
    if (endpoint := details.get("endpoint")) is not None:
        details["endpoint"] = shown_url(endpoint)  # the keys of guests are their URLs
    LOGGER.log(level, fact, extra={"details": details})


def printable(line: str) -> str:
    """The line with nothing in it that a terminal would obey."""
    return line if line.isprintable() else "".join(each if each.isprintable() else "�" for each in line)


def _quoted(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and " " not in text else json.dumps(text)
