"""Progress on its way to the store: the latest word of each workload, at most ten times a second.

Of these, endpoints that asked are told at most once a second, and of the latest word in the end. The journal keeps
about a thousand words of the first minutes, and of what comes later ever fewer: the latest of each thousandth of the
time that has passed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import log
from typing import Final

from ringback.core.errors import RingbackError
from ringback.core.spec import Api
from ringback.core.workload import Claimed, Held, Progress
from ringback.store.contract import Store
from ringback.work.journals import Journals

PAUSE_SECONDS: Final = 0.1
TELL_SECONDS: Final = 1.0
"""Between two webhooks about one workload's progress."""

_STRETCHES: Final = 1_000


@dataclass(slots=True)
class _Note:
    held: Held
    is_told: bool
    """Whether anybody asked for webhooks about it."""
    began: float
    """When the first word came, by the loop's clock."""
    timer: asyncio.TimerHandle | None = None
    """None while nothing was stored lately."""
    stretch: int = -1
    """Of time, that the word written last stands for."""
    tell_at: float = 0.0
    """When the next webhook may go, by the loop's clock."""
    unsaid: Progress | None = None
    untold: Progress | None = None


class Notes:
    """Throttles one pool's progress. A word that cannot be stored is dropped: a newer one follows."""

    def __init__(self, api: Api, store: Store, journals: Journals) -> None:
        """Begin with nothing to note; what stands before a word in the journal is in `journals`."""
        self._store = store
        self._journals = journals
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
        if note is None:
            note = self._notes[held.seq] = _Note(held, is_told, self._loop.time())
        if note.timer is not None:
            note.unsaid = progress
            return
        note.timer = self._later(held.seq, PAUSE_SECONDS)
        self._write(note, progress)

    def drop(self, claimed: Claimed) -> None:
        """The workload is over or elsewhere; a word that is not stored yet is among its last."""
        note = self._notes.pop(claimed.held.seq, None)
        if note is None:
            return
        if note.timer is not None:
            note.timer.cancel()
        if note.unsaid is not None:
            self._journals.note(note.held, note.unsaid)

    def _pause_over(self, seq: int) -> None:
        note = self._notes[seq]
        said, note.unsaid = note.unsaid, None
        until_told = note.tell_at - self._loop.time() if note.is_told else 0.0
        if said is None and until_told > 0:
            note.timer = self._later(seq, until_told)  # a word may be untold, and no other webhook goes before
            return
        if said is None and note.untold is None:
            note.timer = None
            return
        note.timer = self._later(seq, PAUSE_SECONDS)
        if said is not None:
            self._write(note, said)
        elif note.untold is not None:
            self._tell(note, note.untold)

    def _later(self, seq: int, seconds: float) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, self._pause_over, seq)

    def _write(self, note: _Note, progress: Progress) -> None:
        now = self._loop.time()
        tells = note.is_told and now >= note.tell_at
        if tells:
            note.tell_at = now + TELL_SECONDS
        note.untold = progress if note.is_told and not tells else None
        tell = self._endpoints if tells else None
        stretch, note.stretch = note.stretch, _stretch(now - note.began)
        instead = stretch == note.stretch >= _STRETCHES
        self._journals.flush(note.held)
        written = self._store.progress(note.held, progress, tell=tell, instead=instead)
        asyncio.ensure_future(written).add_done_callback(_forgive)

    def _tell(self, note: _Note, progress: Progress) -> None:
        """Of a word that is stored already."""
        note.tell_at, note.untold = self._loop.time() + TELL_SECONDS, None
        told = self._store.announce(note.held, progress, self._endpoints)
        asyncio.ensure_future(told).add_done_callback(_forgive)


def _stretch(seconds: float) -> int:
    """Which stretch of an attempt's time a moment is in; after the first, each is a thousandth of what has passed."""
    even = PAUSE_SECONDS * _STRETCHES
    return int(seconds / PAUSE_SECONDS) if seconds < even else _STRETCHES + int(_STRETCHES * log(seconds / even))


def _forgive(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, RingbackError):
        raise error
