"""Many workloads handed in as one, and counted until the last has ended. Promises B."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.batch import Batch, BatchPage, Opened
from ringback.core.spec import Endpoint
from ringback.core.workload import Page, Status, Submission


class Batches(Protocol):
    """Batches: opened, staged line by line, accepted as a whole, poured into the queue.

    B1  Of a batch that is not accepted nobody sees anything, and nothing of it is ever run.
    B2  One that is accepted is in the queue in the end, each line once, in their order, whatever is killed.
    B3  One that is dropped, or whose member has died before it was accepted, leaves nothing behind.
    B4  Each end of one of its workloads is counted in the same transaction; a retry counts it back.
    B5  When the last has ended, each endpoint that asked is told once, by one event; once more only after a retry.
    B6  Its workloads keep every promise that single ones keep; they are not counted against the limit of W4.
    """

    def open(self, template: Submission) -> Awaitable[Opened]:
        """Begin to take in a batch; `template` is what all its workloads share, and its key is the batch's.

        B7  The key of a batch that was accepted before answers with that one, to be confirmed by `is_same`.

        Raises:
            Conflict: a batch with that key is being taken in.
        """
        ...

    def stage(self, batch: int, first_line: int, payloads: Sequence[bytes]) -> Awaitable[None]:
        """Keep some lines, to be taken in when the batch is accepted.

        Raises:
            Unavailable: it has been dropped, for this member was believed dead.
        """
        ...

    def accept(self, batch: int, total: int, fingerprint: bytes) -> Awaitable[None]:
        """Take the batch in, as it has been staged. From then on it is due, unless its wish delays it.

        Raises:
            Unavailable: as by `stage`.
        """
        ...

    def drop(self, batch: int) -> Awaitable[None]:
        """Forget a batch that was not accepted. Idempotent."""
        ...

    async def is_same(self, batch: int, fingerprint: bytes) -> bool:
        """Whether a batch that was accepted had this content."""
        ...

    def pour(self, batch: int, room: int) -> Awaitable[bool]:
        """Put up to `room` lines of an accepted batch into the queue; whether some are left. Any member may."""
        ...

    def mend(self, room: int) -> Awaitable[bool]:
        """Go on with what somebody has left: pour what was accepted, remove what was not; whether there is more."""
        ...

    def tell(self, api: str, endpoints: Sequence[Endpoint], room: int) -> Awaitable[int]:
        """Tell of batches that are over and that nobody could tell of when they ended; say of how many."""
        ...

    def forget(self, after_seconds: float, room: int) -> Awaitable[int]:
        """Drop up to `room` batches that have been over for so long and whose workloads are all gone; say how many.

        B8  Until then `get` tells of it, also when its workloads have been erased.
        """
        ...

    async def get(self, batch_id: str) -> Batch:
        """One batch with its counts.

        Raises:
            UnknownBatch: none of that id was accepted.
        """
        ...

    async def find(self, api: str | None, *, limit: int, cursor: str | None) -> BatchPage:
        """List batches, newest first."""
        ...

    async def page(self, batch: int, *, status: Status | None, limit: int, cursor: str | None) -> Page:
        """List a batch's workloads with their results, in the order of their lines.

        B9  Following the cursor neither skips nor repeats one that stays in that status.
        """
        ...
