"""Progress on its way to the store: the latest word of each workload, at most ten times a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ringback.core.errors import RingbackError
from ringback.core.workload import Claimed, Held, Progress
from ringback.store.contract import Store

PAUSE_SECONDS: Final = 0.1


@dataclass(slots=True)
class _Note:
    held: Held
    unsaid: Progress | None
    timer: asyncio.TimerHandle


class Notes:
    """Throttles one pool's progress. A word that cannot be stored is dropped: a newer one follows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._notes: dict[int, _Note] = {}

    def take(self, claimed: Claimed, progress: Progress) -> None:
        """Store it now if nothing was stored lately, else when the pause is over."""
        held = claimed.held
        note = self._notes.get(held.seq)
        if note is not None:
            note.unsaid = progress
            return
        self._notes[held.seq] = _Note(held, None, self._later(held.seq))
        self._write(held, progress)

    def drop(self, claimed: Claimed) -> None:
        """The workload is over or elsewhere."""
        note = self._notes.pop(claimed.held.seq, None)
        if note is not None:
            note.timer.cancel()

    def _pause_over(self, seq: int) -> None:
        note = self._notes[seq]
        if note.unsaid is None:
            del self._notes[seq]
            return
        progress, note.unsaid = note.unsaid, None
        note.timer = self._later(seq)
        self._write(note.held, progress)

    def _later(self, seq: int) -> asyncio.TimerHandle:
        return self._loop.call_later(PAUSE_SECONDS, self._pause_over, seq)

    def _write(self, held: Held, progress: Progress) -> None:
        asyncio.ensure_future(self._store.progress(held, progress)).add_done_callback(_forgive)


def _forgive(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, RingbackError):
        raise error
