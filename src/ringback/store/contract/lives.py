"""What people do to a workload after its submit: cancel it, have it run again, erase it. Promises X, U2 to U5."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.spec import Endpoint
from ringback.core.workload import Held
from ringback.store.values import Asked


class Lives(Protocol):
    """The moves that somebody asks for.

    Each raises `UnknownWorkload` when there is none of that id, and all but `erase` raise `Erased` when it has been
    erased.
    """

    def cancel(self, api: str, workload_id: str, endpoints: Sequence[Endpoint]) -> Awaitable[Asked]:
        """Have a workload end as `canceled`.

        X1  One in the queue ends at once, with a delivery for each endpoint that asked, as by `finish`.
        X2  One in progress is ended so by whatever its holder says next, `finish` or `requeue`, once, with the
            deliveries of that `finish`; the answer is `in_progress` until then. A `requeue` raises `CancelAsked`.
        X3  Repeating it changes nothing.
        X4  One that has ended otherwise raises `AlreadyEnded`: of a cancel and an end at the same time, one wins.
        X5  What was asked outlives its holder: whoever takes the workload over ends it so.
        X6  The holder is told, as `on_cancel` says.
        """
        ...

    def retry(self, api: str, workload_id: str, *, limit: int | None = None) -> Awaitable[Asked]:
        """Have a workload that failed or was canceled run again.

        X7  It is in the queue, due at once, its budgets of attempts and losses untouched; attempt numbers go on.
        X8  How it ended stays readable by `describe`; its next outcome is another event, with a message id of its own
            and a higher sequence. Deliveries of the earlier one go on.
        X9  One that has not ended is left as it is; one that has completed, or is being canceled, raises `Conflict`.
        X10  `limit` as in W4.
        """
        ...

    def checkpoint(self, held: Held, data: bytes) -> Awaitable[None]:
        """Keep what a later attempt may go on from, in the place of what was kept before.

        U4  It outlives its attempt, its holder, and a retry; it is gone once the workload has completed or is erased.
        U5  `LeaseLost` as in F2, and once the workload is erased.
        """
        ...

    async def last_checkpoint(self, held: Held) -> bytes | None:
        """What was kept last, by whichever attempt; None when nothing was."""
        ...

    def erase(self, api: str, workload_id: str) -> Awaitable[None]:
        """Erase a workload, whatever became of it.

        U2  All that E1 names is gone at once, and `get` raises `Erased`; repeating it changes nothing.
        U3  One that has not ended is canceled as well, without deliveries: what its holder says of it is accepted and
            forgotten.
        """
        ...
