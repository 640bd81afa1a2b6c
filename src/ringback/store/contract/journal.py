"""What predict says on the way, and the one stream of all that happens to a workload. Promises J."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.journal import Entry, Story
from ringback.core.workload import Held


class Journal(Protocol):
    """A journal per workload."""

    def enter(self, held: Held, entries: Sequence[Entry], *, drop: range | None = None) -> Awaitable[None]:
        """Write down what predict has said; `finish` and `requeue` take its last words.

        J1  It is read back as it was entered and in that order, under the attempt's number; after what earlier
            attempts said, which stays.
        J2  `LeaseLost` as in F2: nothing lands after the terminal status, nor from an attempt that is over.
        J3  With `drop`, the text that this attempt entered with a first line among these lines is gone.
        """
        ...

    async def happenings(self, api: str, workload_id: str, *, after: int, room: int, timeout_seconds: float) -> Story:
        """What has happened to a workload after a place, 0 for the beginning: as soon as there is any of it.

        At most `room` entries of its journal; nothing, when there is nothing after `timeout_seconds`.

        J4  It returns as soon as something is committed, by this member at once, by another after at most
            `NOTICE_SECONDS`.
        J5  Changes of status are in their places among the entries, the terminal one last, with the very ids that any
            other member tells at any time.
        J6  Who goes on after the last id gets everything later once, however much is entered meanwhile.

        Raises:
            UnknownWorkload: there is none.
            Erased: it has been erased.
        """
        ...
