"""From submit to the one outcome, and reading about it. Promises W, C, F, R, P, A, V, U1, L1 to L3, L5, L6."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.journal import Entry
from ringback.core.spec import Endpoint
from ringback.core.workload import (
    Claimed,
    Failed,
    Held,
    News,
    Outcome,
    Page,
    Payload,
    Progress,
    Spent,
    Status,
    Submission,
    Workload,
    WorkloadRecord,
)
from ringback.store.values import Accepted


class Workloads(Protocol):
    """Workloads from submit to outcome."""

    def submit(self, submission: Submission, *, limit: int | None = None) -> Awaitable[Accepted]:
        """Take in a workload.

        W1  It is `in_queue` and on disk when the awaitable is done.
        W2  The same id, or idempotency key, with the same payload and content type answers with the same id and
            changes nothing, also after the workload has ended.
        W3  With another payload or content type it raises `IdTaken`.
        W4  With `limit`, an API that holds that many unfinished workloads of the tenant raises `QueueFull`; known ids
            still answer.
        W5  Ids are the API's own: two APIs may use the same one.
        """
        ...

    async def expect_room(
        self, api: str, *, limit: int, tenant: str = "", workload_id: str | None = None, key: str | None = None
    ) -> None:
        """See whether `submit` would find room, before a payload that is large is sent in vain.

        W6  It raises `QueueFull` when `submit` would, as last committed, and only then; nothing is kept for the caller.
        """
        ...

    def claim(self, api: str, room: int) -> Awaitable[tuple[list[Claimed], float | None]]:
        """Take up to `room` due workloads of `api` into this member's hands, in the order of the queue.

        Also tells in how many seconds the next one that is waiting for its time becomes due, if any.

        C1  No workload is in two holders' hands, however many members claim at once.
        C2  Each hand-over raises the attempt number by one and sets `in_progress`.
        C3  A workload whose time has not come is not taken; at its time it is.
        C4  First due, first out, unless somebody asked otherwise: see `queue`.
        """
        ...

    def finish(
        self, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint], *, entries: Sequence[Entry] = ()
    ) -> Awaitable[Status]:
        """End a workload, with a delivery for each endpoint that asked for the event; how it has ended.

        That is as the outcome says, or `canceled` if somebody had asked for it before (X2).

        F1  Terminal status, result or error, and all deliveries are visible together or not at all.
        F2  A holder whose workload was given to someone else, or that has ended otherwise, gets `LeaseLost` and
            changes nothing; of one that was canceled under its hands it is told just that.
        F3  Repeating the call with the same holder and outcome is accepted and changes nothing.
        F4  A terminal status never changes again, unless by `retry`.
        F5  All deliveries of one event share one message id; no two events do.
        F6  A delivery handed to the outlet is held by this member; one it had no room for is due at once.
        F7  Endpoints that came with the submit are told as those given here.
        F8  A result over an endpoint's inline limit is left out of its body; a signed link stands in its place.
        F9  With `entries`, predict's last words, the journal has them together with the terminal status, or neither.
        F10  All deliveries tell the very moment that `get` shows as the workload's end.
        """
        ...

    def requeue(
        self,
        held: Held,
        *,
        spent: Spent,
        delay_seconds: float = 0.0,
        why: Failed | None = None,
        entries: Sequence[Entry] = (),
    ) -> Awaitable[None]:
        """Put a workload back; `why` is how its attempt ended, None when that had not begun.

        R1  It is `in_queue` again, due in `delay_seconds`, and its counts show what was `spent`.
        R2  `LeaseLost` as in F2.
        R3  Without delay it keeps its old place: it is claimed before whatever was submitted after it.
        R4  The attempt and why it ended stay readable by `describe`.
        R5  With `entries` as in F9.
        """
        ...

    def progress(
        self, held: Held, progress: Progress, *, tell: Sequence[Endpoint] | None = None, instead: bool = False
    ) -> Awaitable[None]:
        """Note the latest progress, in the row and in the journal.

        P1  `get` shows it while the workload is in progress, and no longer afterwards.
        P2  `LeaseLost` as in F2: nothing lands after the terminal status.
        P3  With `tell` it is announced as well, in the same transaction, as by `announce` to these endpoints.
        P4  The journal has every word that was noted, but for those that another was noted `instead` of: the attempt's
            word before it.
        """
        ...

    def announce(self, held: Held, news: News, endpoints: Sequence[Endpoint]) -> Awaitable[None]:
        """Tell of what happens on the way: a delivery for each endpoint that asked.

        A1  All its deliveries are visible together; endpoints that came with the submit are told as those given.
        A2  `LeaseLost` as in F2: nothing is told after the terminal status.
        A3  The sequence numbers of one workload's events grow in the order in which they were committed, over all
            attempts; that of its outcome is the highest.
        A4  Whoever claims a workload is told which events its guests asked for.
        """
        ...

    async def get(self, api: str, workload_id: str) -> Workload:
        """Read one workload as last committed.

        Raises:
            UnknownWorkload: there is none.
            Erased: it has been erased.
        """
        ...

    async def ended(self, api: str, workload_id: str, timeout_seconds: float) -> Workload:
        """Read one workload as soon as it is terminal, or as it stands after `timeout_seconds`.

        V1  It returns as soon as the terminal status is committed, by this member or another.
        """
        ...

    async def page(
        self, apis: Sequence[str], *, status: Status | None, limit: int, cursor: str | None, words: str | None = None
    ) -> Page:
        """List workloads of some APIs, newest first, without payloads and results.

        L1  Following the cursor neither skips nor repeats a workload while others are added.
        L2  Only workloads of that status are listed, if one is given; erased ones never.
        L3  A cursor that this call did not make raises `InvalidParameter`.
        L5  With `words`, only those that have them in their id, idempotency key or error, in whatever case.
        L6  One call looks at no more than `SEARCH_ROWS`: a page may then have fewer than `limit`, or none, and still
            a cursor.
        """
        ...

    async def describe(self, api: str, workload_id: str) -> WorkloadRecord:
        """All there is to tell about a workload, as last committed, but for payload and result themselves.

        U1  Each attempt that had begun is there, in order: when, how long, how it ended and with what error.

        Raises:
            UnknownWorkload: there is none.
            Erased: it has been erased.
        """
        ...

    async def payload(self, api: str, workload_id: str, *, most_bytes: int) -> Payload:
        """What was submitted, as far as `most_bytes` (less than 2**31), or where it is kept.

        U6  Byte for byte, whatever has become of the workload, as long as it has not been erased.

        Raises:
            UnknownWorkload: there is none.
            Erased: it has been erased.
        """
        ...


SEARCH_ROWS: int = 200_000
"""How many rows a search looks through before it answers with what it has."""
