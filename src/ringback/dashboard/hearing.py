"""What a workload says on its way, read on from where the last look ended: the end of its log, progress, outputs.

Bounded: a page shows the end of a log, and a process remembers what it has read of the workloads looked at last.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ringback.core.journal import Happening, LeftOut, LogText, Said
from ringback.core.workload import Output, Progress
from ringback.dashboard.timeline import Step
from ringback.pages import words
from ringback.store.contract import Store

LOG_CHARACTERS: Final = 32_000
MOST_STEPS: Final = 20
MOST_REMEMBERED: Final = 64

_ROOM: Final = 200
_PORTIONS: Final = 100
"""Read at one look; the next one reads on."""
_VALUE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a workload has said so far."""

    log: str
    is_cut: bool
    """Whether only the end of the log is here."""
    steps: tuple[Step, ...]


@dataclass(slots=True)
class _Memory:
    """How far one workload's journal has been read."""

    after: int = 0
    log: str = ""
    is_cut: bool = False
    text: LogText = field(default_factory=LogText)
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=MOST_STEPS))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take(self, happening: Happening) -> None:
        self.after = happening.id
        if isinstance(happening.what, Said):
            whole = self.log + self.text.add(happening.attempt, happening.what)
            if len(whole) > LOG_CHARACTERS:
                self.is_cut = True
                whole = whole[-LOG_CHARACTERS:].partition("\n")[2] or whole[-LOG_CHARACTERS:]
            self.log = whole
        else:
            self.steps.extend(_steps(happening))


class Hearing:
    """Reads journals for pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._memories: OrderedDict[tuple[str, str], _Memory] = OrderedDict()

    async def read(self, api: str, workload_id: str) -> Heard:
        """What the workload has said up to now.

        Raises:
            UnknownWorkload: there is none.
            Erased: it has been erased.
        """
        memory = self._memory(api, workload_id)
        async with memory.lock:
            for _ in range(_PORTIONS):
                found = await self._store.happenings(
                    api, workload_id, after=memory.after, room=_ROOM, timeout_seconds=0
                )
                for each in found.happenings:
                    memory.take(each)
                if not found.happenings:
                    break
            return Heard(log=memory.log, is_cut=memory.is_cut, steps=tuple(memory.steps))

    def _memory(self, api: str, workload_id: str) -> _Memory:
        memory = self._memories.setdefault((api, workload_id), _Memory())
        self._memories.move_to_end((api, workload_id))
        while len(self._memories) > MOST_REMEMBERED:
            self._memories.popitem(last=False)
        return memory


def _steps(happening: Happening) -> Iterator[Step]:
    if happening.at is None:
        return
    match happening.what:
        case Progress(fraction=fraction, message=message):
            yield Step(at=happening.at, kind="said", title=f"{fraction * 100:.0f} %", detail=message or "")
        case Output(index=index, value=value):
            text = value[: 4 * _VALUE_CHARACTERS].decode("utf-8", "replace")
            shown = text if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]}…"
            yield Step(at=happening.at, kind="said", title=f"Output {index + 1}", detail=shown)
        case LeftOut(index=index, output_bytes=length):
            detail = f"{words.size(length)}, left out of the journal; the result has it"
            yield Step(at=happening.at, kind="said", title=f"Output {index + 1}", detail=detail)
        case _:
            return  # changes of status are told from the workload's own row, which knows more
