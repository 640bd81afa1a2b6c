"""Progress on its way to the store: the latest word of each workload, at most ten times a second.

Of these, endpoints that asked are told at most once a second, and of the latest word in the end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ringback.core.errors import RingbackError
from ringback.core.spec import Api
from ringback.core.workload import Claimed, Held, Progress
from ringback.store.contract import Store

PAUSE_SECONDS: Final = 0.1
TELL_SECONDS: Final = 1.0
"""Between two webhooks about one workload's progress."""


@dataclass(slots=True)
class _Note:
    held: Held
    is_told: bool
    """Whether anybody asked for webhooks about it."""
    timer: asyncio.TimerHandle
    tell_at: float = 0.0
    """When the next webhook may go, by the loop's clock."""
    unsaid: Progress | None = None
    untold: Progress | None = None


class Notes:
    """Throttles one pool's progress. A word that cannot be stored is dropped: a newer one follows."""

    def __init__(self, api: Api, store: Store) -> None:
        self._store = store
        self._endpoints = api.webhooks
        self._loop = asyncio.get_running_loop()
        self._notes: dict[int, _Note] = {}

    def serve(self, api: Api) -> None:
        """Tell the endpoints of `api` from now on."""
        self._endpoints = api.webhooks

    def take(self, claimed: Claimed, progress: Progress, *, is_told: bool = False) -> None:
        """Store it now if nothing was stored lately, else when the pause is over."""
        held = claimed.held
        note = self._notes.get(held.seq)
        if note is not None:
            note.unsaid = progress
            return
        note = self._notes[held.seq] = _Note(held, is_told, self._later(held.seq, PAUSE_SECONDS))
        self._write(note, progress)

    def drop(self, claimed: Claimed) -> None:
        """The workload is over or elsewhere."""
        note = self._notes.pop(claimed.held.seq, None)
        if note is not None:
            note.timer.cancel()

    def _pause_over(self, seq: int) -> None:
        note = self._notes[seq]
        said, note.unsaid = note.unsaid, None
        until_told = note.tell_at - self._loop.time() if note.is_told else 0.0
        if said is None and until_told > 0:
            note.timer = self._later(seq, until_told)  # a word may be untold, and no other webhook goes before
            return
        latest = said or note.untold
        if latest is None:
            del self._notes[seq]
            return
        note.timer = self._later(seq, PAUSE_SECONDS)
        self._write(note, latest)

    def _later(self, seq: int, seconds: float) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, self._pause_over, seq)

    def _write(self, note: _Note, progress: Progress) -> None:
        now = self._loop.time()
        tells = note.is_told and now >= note.tell_at
        if tells:
            note.tell_at = now + TELL_SECONDS
        note.untold = progress if note.is_told and not tells else None
        tell = self._endpoints if tells else None
        asyncio.ensure_future(self._store.progress(note.held, progress, tell=tell)).add_done_callback(_forgive)


def _forgive(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, RingbackError):
        raise error
