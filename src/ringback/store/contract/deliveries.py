"""Webhooks on their way: taken, recorded, held back, sent again, listed. Promises D, O, H, Y and L4."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.clock import Instant
from ringback.core.delivery import Attempt, Delivery, DeliveryPage, DeliveryRecord, DeliveryState, Pause, Verdict


class Deliveries(Protocol):
    """Deliveries from due to settled."""

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
