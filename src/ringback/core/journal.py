"""A workload's journal: what predict says on the way, what becomes of it, and the one order of it all. Pure.

Only what predict says is written down. Changes of status follow from the workload's row, so that a workload that says
nothing costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.clock import Instant
from ringback.core.workload import AttemptRecord, Failed, Output, Progress, Status, Workload

MOST_OUTPUT_BYTES: Final = 256 * 1024
"""A larger output is left out of the journal; its size is kept, and the result has it."""

_SPAN: Final = 1_000_000_000
"""Places of one attempt. Entries have their number for one; nobody writes so many."""

_AGAIN: Final = _SPAN - 2
_ENDED: Final = _SPAN - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Some of what predict printed and logged. One after the other, these make up the text."""

    line: int
    """On which line of the attempt's text it begins, 1-based: where lines were left out, the next one is higher."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An output too large for the journal."""

    index: int
    output_bytes: int


Entry = Said | Progress | Output | LeftOut
"""What can be entered in a journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """One entry as it stands in the journal."""

    number: int
    """Grows over all attempts of the workload, not always by one."""
    attempt: int
    at: Instant
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The workload has another status."""

    status: Status
    error: Failed | None = None
    """Why it failed; of one that is back in the queue, how its last attempt ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that has happened to a workload."""

    id: int
    """Its place among all that happens to the workload: later ones have higher ids, whoever reads them and when."""
    attempt: int
    at: Instant | None
    """None when nobody has noted the moment."""
    what: Moved | Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Some of what has happened to a workload, in order."""

    happenings: tuple[Happening, ...]
    is_over: bool
    """Whether the workload has ended and nothing comes after these."""


def entries_after(place: int) -> tuple[int, int]:
    """Which entries come after a place: those with a higher number, of at least that attempt."""
    attempt, number = divmod(place, _SPAN)
    return (0, attempt + 1) if number >= _AGAIN else (number, attempt)


def story(
    workload: Workload, past: Sequence[AttemptRecord], entered: Sequence[Entered], *, after: int, is_all: bool
) -> Story:
    """What happened after a place, 0 for the beginning.

    Args:
        workload: as it stands.
        past: its attempts before the one that its row tells of.
        entered: entries after that place, in order, of attempts up to the workload's.
        after: the id of the last happening that is known.
        is_all: whether there are no more entries than these.
    """
    told = [each for each in _in_order(workload, past, entered, after // _SPAN) if each.id > after]
    if not is_all:
        last = entered[-1].attempt * _SPAN + entered[-1].number
        told = [each for each in told if each.id <= last]
    return Story(happenings=tuple(told), is_over=is_all and workload.status.is_terminal)


def _in_order(
    workload: Workload, past: Sequence[AttemptRecord], entered: Sequence[Entered], known: int
) -> Iterator[Happening]:
    """All that happened, but for entries that are not given; `known` is an attempt that the reader has heard of."""
    records = {each.number: each for each in past if each.number is not None}
    said: dict[int, list[Entered]] = {}
    for each in entered:
        said.setdefault(each.attempt, []).append(each)
    begun = {*records, *said, *([known] if 0 < known <= workload.attempt else ())}
    if workload.started_at is not None:
        begun.add(workload.attempt)

    yield _moved(0, _AGAIN, Status.IN_QUEUE, workload.submitted_at)
    for attempt in sorted(begun):
        record = records.get(attempt)
        is_latest = attempt == workload.attempt
        started_at = record.started_at if record is not None else workload.started_at if is_latest else None
        yield _moved(attempt, 0, Status.IN_PROGRESS, started_at)
        for each in said.get(attempt, ()):
            yield Happening(id=attempt * _SPAN + each.number, attempt=attempt, at=each.at, what=each.entry)
        if attempt < max(begun) or workload.status is Status.IN_QUEUE or (record is not None and is_latest):
            ended_at, error = (record.ended_at, record.error) if record is not None else (None, None)
            yield _moved(attempt, _AGAIN, Status.IN_QUEUE, ended_at, error)
    if workload.status.is_terminal:
        yield _moved(workload.attempt, _ENDED, workload.status, workload.finished_at, workload.error)


def _moved(attempt: int, place: int, status: Status, at: Instant | None, error: Failed | None = None) -> Happening:
    return Happening(id=attempt * _SPAN + place, attempt=attempt, at=at, what=Moved(status=status, error=error))


class LogText:
    """Puts together what was said, with a mark where lines were left out and where another attempt begins."""

    __slots__ = ("_attempt", "_in_line", "_next_line")

    def __init__(self, attempt: int = 1) -> None:
        """Begin with an attempt, which needs no mark."""
        self._attempt = attempt
        self._next_line = 1
        self._in_line = False

    def add(self, attempt: int, said: Said) -> str:
        """What stands next in the text."""
        mark = ""
        if attempt != self._attempt:
            mark = f"── attempt {attempt} ──\n"
            self._attempt, self._next_line = attempt, 1
        if said.line > self._next_line:
            mark += f"… {said.line - self._next_line} lines left out\n"
        if mark and self._in_line:
            mark = f"\n{mark}"
        self._next_line = said.line + said.text.count("\n")
        self._in_line = not said.text.endswith("\n")
        return mark + said.text
