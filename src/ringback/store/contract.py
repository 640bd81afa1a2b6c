"""What every store promises. Each verb is one transaction; each numbered line is a promise with a test.

Parts meet here and nowhere else. `tests/conformance` proves every number against every backend.

Colour: a write verb runs its statements at the call (or as soon as the commit under way is through) and
returns an awaitable that is done once they are on disk, so callers who do not wait share one commit.

Membership: an open store is a **member**. Whatever it claims is its own for as long as its lease lasts,
and the lease is renewed by heartbeat, once for everything it holds. What a dead member held is taken
over by a living one, under a new attempt number: the fence that makes the old holder's word worthless.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from ringback.core.clock import Clock, Instant
from ringback.core.delivery import Attempt, Delivery, DeliveryPage, DeliveryRecord, DeliveryState, Pause, Verdict
from ringback.core.spec import Endpoint
from ringback.core.workload import (
    Claimed,
    Held,
    Outcome,
    Output,
    Page,
    Progress,
    Spent,
    Started,
    Status,
    Submission,
    Workload,
)
from ringback.store.values import Accepted, Backlog, QueueDepth, ReplicaState

__all__ = ["NOTICE_SECONDS", "Accepted", "Backlog", "Outlet", "QueueDepth", "ReplicaState", "Store"]


class Outlet(Protocol):
    """Whoever sends deliveries in this process. The store hands them on in memory, after the commit."""

    def has_room(self, endpoint: str) -> bool:
        """Whether one more delivery for the endpoint may be handed over. Asked inside a transaction: be quick."""
        ...

    def put(self, delivery: Delivery) -> None:
        """Take a delivery that is committed and held by this member."""
        ...


class Store(Protocol):
    """The only shared state.

    G1  A write whose awaitable is done survives the death of the process at any later moment.
    G2  A verb that raises has changed nothing, and no other caller's verb fails because of it.
    G3  Payloads, results and bodies come back byte for byte; instants to the microsecond.
    G4  No driver's exception leaves the store: every error is a `RingbackError`.
    G5  A store written by a newer release is refused with `StoreTooNew` and left as it is.
    G6  Opening an older store brings it up to date; opening it twice, or from two processes at once, too.
    G7  Whoever sets the time of day, forward or back, changes nothing about what is due when, nor about leases;
        nor does it erase anything early.
    """

    @property
    def clock(self) -> Clock:
        """The one clock that everything stored is judged by. What is due when goes by what has elapsed on it."""
        ...

    @property
    def link_key(self) -> bytes:
        """What links to results are signed with.

        K1  The same for every member, and after reopening.
        """
        ...

    # ── Members ─────────────────────────────────────────────────────────────────────────────────

    @property
    def member(self) -> str:
        """This member's id: the holder of whatever is claimed through this store."""
        ...

    def heartbeat(self) -> Awaitable[None]:
        """Renew this member's lease.

        M1  After it the lease ends `lease_seconds` from now.
        M2  A member declared dead gets `LeaseLost`: it must stop all work it holds and open the store anew.
        """
        ...

    def take_over(self, apis: Sequence[str], room: int) -> Awaitable[list[Claimed]]:
        """Declare members dead whose lease has ended or whose process is provably gone, and take what they held.

        M3  A lease ends at its end, not a microsecond before; a living member's work is never taken.
        M4  Workloads of dead members come into this member's hands under a higher attempt number, at most
            `room` of them and only of `apis`; what is left over is taken by a later call. The caller judges each:
            `requeue` or `finish`.
        M5  Deliveries held by dead members become due again, their recorded attempts intact.
        M6  On one machine, a killed member's work can be taken at once, without waiting for its lease.
        """
        ...

    async def close(self) -> None:
        """Leave: the lease ends now, whatever this member still held can be taken at once. Idempotent.

        M7  Writes under way are committed first; later verbs raise `StoreError`.
        """
        ...

    # ── Workloads ───────────────────────────────────────────────────────────────────────────────

    def submit(self, submission: Submission, *, limit: int | None = None) -> Awaitable[Accepted]:
        """Take in a workload.

        W1  It is `in_queue` and on disk when the awaitable is done.
        W2  The same id, or idempotency key, with the same payload and content type answers with the same id and
            changes nothing, also after the workload has ended.
        W3  With another payload or content type it raises `IdTaken`.
        W4  With `limit`, an API that holds that many unfinished workloads raises `QueueFull`; known ids still answer.
        W5  Ids are the API's own: two APIs may use the same one.
        """
        ...

    def claim(self, api: str, room: int) -> Awaitable[tuple[list[Claimed], float | None]]:
        """Take up to `room` due workloads of `api` into this member's hands, in the order they became due.

        Also tells in how many seconds the next one that is waiting for its time becomes due, if any.

        C1  No workload is in two holders' hands, however many members claim at once.
        C2  Each hand-over raises the attempt number by one and sets `in_progress`.
        C3  A workload whose time has not come is not taken; at its time it is.
        C4  First due, first out.
        """
        ...

    def finish(self, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint]) -> Awaitable[None]:
        """End a workload, with a delivery for each endpoint that asked for the event.

        F1  Terminal status, result or error, and all deliveries are visible together or not at all.
        F2  A holder whose workload was given to someone else, or that has ended otherwise, gets `LeaseLost` and
            changes nothing.
        F3  Repeating the call with the same holder and outcome is accepted and changes nothing.
        F4  A terminal status never changes again.
        F5  All deliveries of one event share one message id; no two events do.
        F6  A delivery handed to the outlet is held by this member; one it had no room for is due at once.
        F7  Endpoints that came with the submit are told as those given here.
        F8  A result over an endpoint's inline limit is left out of its body; a signed link stands in its place.
        """
        ...

    def requeue(self, held: Held, *, spent: Spent, delay_seconds: float = 0.0) -> Awaitable[None]:
        """Put a workload back.

        R1  It is `in_queue` again, due in `delay_seconds`, and its counts show what was `spent`.
        R2  `LeaseLost` as in F2.
        R3  Without delay it keeps its old place: it is claimed before whatever was submitted after it.
        """
        ...

    def progress(self, held: Held, progress: Progress, *, tell: Sequence[Endpoint] | None = None) -> Awaitable[None]:
        """Note the latest progress.

        P1  `get` shows it while the workload is in progress, and no longer afterwards.
        P2  `LeaseLost` as in F2: nothing lands after the terminal status.
        P3  With `tell` it is announced as well, in the same transaction, as by `announce` to these endpoints.
        """
        ...

    def announce(self, held: Held, news: Started | Output, endpoints: Sequence[Endpoint]) -> Awaitable[None]:
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
            Erased: retention has erased it.
        """
        ...

    async def ended(self, api: str, workload_id: str, timeout_seconds: float) -> Workload:
        """Read one workload as soon as it is terminal, or as it stands after `timeout_seconds`.

        V1  It returns as soon as the terminal status is committed, by this member or another.
        """
        ...

    async def page(self, api: str, *, status: Status | None, limit: int, cursor: str | None) -> Page:
        """List an API's workloads, newest first, without payloads and results.

        L1  Following the cursor neither skips nor repeats a workload while others are added.
        L2  Only workloads of that status are listed, if one is given; erased ones never.
        L3  A cursor that this call did not make raises `InvalidParameter`.
        """
        ...

    # ── Deliveries ──────────────────────────────────────────────────────────────────────────────

    def take_due(self, endpoint: str, room: int, *, again: bool) -> Awaitable[tuple[list[Delivery], float | None]]:
        """Take up to `room` due deliveries of one endpoint into this member's hands, oldest due first.

        Those that have been tried before if `again`, else those that have not: a heap of one never hides the other.

        Also tells in how many seconds the endpoint's next delivery that nobody holds becomes due, if any.

        D1  No delivery is in two members' hands.
        D2  One whose time has not come is not taken; at its time it is.
        O1  Of an endpoint with `order: fifo`, deliveries with one order key are in hand one at a time, in the order in
            which their events were committed; a workload without an order key has its own id for one.
        O2  One that is pending or parked holds up those behind it, for as long as it takes; other keys' go on.
        O3  When it has arrived, the next is due at once.
        """
        ...

    def record(self, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> Awaitable[None]:
        """Write down one attempt and what it means.

        D3  Attempt and new state are visible together; `TryAgain` lets go of the delivery: from its time on,
            anyone may take it.
        D4  Recording the same attempt number again counts once and changes nothing.
        D5  A settled delivery never becomes pending again by it.
        D6  A delivery this member no longer holds: the attempt is still kept if its number is new, the state is
            only moved by `Delivered`.
        """
        ...

    def release(self, deliveries: Sequence[Delivery]) -> Awaitable[None]:
        """Let go of deliveries that were not tried.

        D7  They are due again at once, for anyone, with no attempt counted.
        """
        ...

    def pause(self, endpoint: str, pause: Pause) -> Awaitable[None]:
        """Have every member send nothing to an endpoint from now on; what is under way may still arrive.

        H1  `paused` shows it at once here, to other members after at most `NOTICE_SECONDS`, and after reopening.
        H2  Its deliveries stay pending, lose no attempt, and are still made for new events.
        """
        ...

    def resume(self, endpoint: str) -> Awaitable[None]:
        """Take an endpoint up again. Idempotent.

        H3  Visible as in H1, and wakes whoever sends.
        """
        ...

    def paused(self, endpoint: str) -> Pause | None:
        """Whether an endpoint is at rest. From memory."""
        ...

    def replay(self, seq: int) -> Awaitable[None]:
        """Have one delivery sent again, whatever became of it.

        Y1  It is pending and due at once, its schedule begins anew; message id, body and earlier attempts stay.
        Y2  One that is pending is due at once; one that is under way is not sent a second time for it, and one that
            waits for another waits on.

        Raises:
            UnknownDelivery: there is none of that number.
        """
        ...

    def skip(self, seq: int) -> Awaitable[None]:
        """Let what waits for a parked delivery go without it.

        O4  It stays parked and can be replayed, out of order; the next in line is due at once.

        Raises:
            UnknownDelivery: there is none of that number.
            Conflict: it is not parked.
        """
        ...

    def recover(self, endpoint: str, since: Instant, room: int) -> Awaitable[int]:
        """Have up to `room` of an endpoint's parked deliveries, made since then, sent again; say how many.

        Y3  Each as by `replay`, the oldest first. What was delivered stays so.
        """
        ...

    async def delivery(self, seq: int) -> DeliveryRecord:
        """One delivery with its attempts.

        Raises:
            UnknownDelivery: there is none of that number.
        """
        ...

    async def find_deliveries(
        self, *, endpoint: str | None, state: DeliveryState | None, limit: int, cursor: str | None
    ) -> DeliveryPage:
        """List deliveries, newest first, without their attempts.

        L4  Only those of the endpoint and in the state, if given; following the cursor neither skips nor repeats.
        """
        ...

    async def deliveries(self, api: str, workload_id: str) -> tuple[DeliveryRecord, ...]:
        """All deliveries of one workload, each with its attempts in order."""
        ...

    # ── Upkeep ──────────────────────────────────────────────────────────────────────────────────

    def erase_expired(self, retention_seconds: Mapping[str, float], room: int) -> Awaitable[int]:
        """Erase up to `room` workloads that have been over for longer than their API's retention; say how many.

        E1  Payload, result, error, deliveries and attempts are gone; `get` raises `Erased`.
        E2  What is unfinished is never erased, nor what has a pending or parked delivery.
        E3  Retention counts from the last outcome: of the workload or of its deliveries, whichever is later.
        E4  The marker left behind, which lets `get` tell erased from unknown, is dropped after `MARKER_SECONDS`.
        """
        ...

    async def depths(self) -> Mapping[str, QueueDepth]:
        """Unfinished workloads by API."""
        ...

    async def backlogs(self) -> Mapping[str, Backlog]:
        """Undelivered deliveries by endpoint key."""
        ...

    # ── Meeting ─────────────────────────────────────────────────────────────────────────────────

    def report(self, api: str, state: ReplicaState) -> Awaitable[None]:
        """Tell how this member's replicas of an API stand.

        S1  `replicas` shows it at once here, and to other members after their next heartbeat.
        S2  A dead member's report counts no longer.
        """
        ...

    def replicas(self, api: str) -> ReplicaState:
        """How an API's replicas stand: sums over living members, and any one problem. From memory."""
        ...

    def on_queued(self, api: str, wake: Callable[[], None]) -> None:
        """Call `wake` whenever a workload of `api` may have become claimable.

        N1  It is called for what this member submits or requeues without delay, in time for a claim to share the
            commit, and for what other members do, after at most `NOTICE_SECONDS`.
        """
        ...

    def on_due(self, endpoint: str, wake: Callable[[], None]) -> None:
        """Call `wake` whenever a delivery of `endpoint` may have become takeable. As N1."""
        ...

    def off_due(self, endpoint: str) -> None:
        """Call nobody for `endpoint` any more."""
        ...

    def hand_on(self, outlet: Outlet) -> None:
        """Give this member's new deliveries to `outlet` from now on."""
        ...


MARKER_SECONDS: float = 30 * 86_400.0
"""How long the marker of an erased workload is kept."""

NOTICE_SECONDS: float = 1.0
"""Longest time until this member notices what another has written."""
