"""Inboxes and the requests captured in them. Promises IC.

They stand beside workloads and deliveries in tables of their own: no verb of those ever touches them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ringback.core.delivery import DeliveryRecord
from ringback.core.inbox import (
    Answered,
    Arrival,
    Capture,
    CapturePage,
    Forwarded,
    Inbox,
    InboxSettings,
    Search,
    Taken,
)


class Inboxes(Protocol):
    """What the inspector keeps."""

    def make(self, inbox_id: str, name: str, settings: InboxSettings) -> Awaitable[Inbox]:
        """Make an inbox under an id and a name that nobody has.

        IC1  A name, or an id, that an inbox has already: that one is the answer, and nothing is changed.
        IC2  The one that is over `MOST_INBOXES` raises `Conflict`: none is ever dropped to make room.
        """
        ...

    def change(self, inbox_id: str, settings: InboxSettings) -> Awaitable[Inbox]:
        """Replace an inbox's settings.

        IC3  They hold for the next request that is captured, by whichever member; the script begins anew when it is
            another one. Fewer to keep: the oldest go at once.

        Raises:
            UnknownInbox: there is none of that id.
        """
        ...

    def drop(self, inbox_id: str) -> Awaitable[None]:
        """Forget an inbox and all it holds. Idempotent.

        IC4  Its captures are gone with it; a request that comes later finds no inbox.
        """
        ...

    def clear(self, inbox_id: str) -> Awaitable[None]:
        """Forget what an inbox holds.

        IC5  Numbers go on where they were; nothing captured later is lost by it.

        Raises:
            UnknownInbox: there is none of that id.
        """
        ...

    async def get(self, inbox_id: str) -> Inbox:
        """One inbox, as last committed.

        Raises:
            UnknownInbox: there is none of that id.
        """
        ...

    async def all(self) -> Sequence[Inbox]:
        """Every inbox, the one that was made last first."""
        ...

    def capture(self, inbox_id: str, arrival: Arrival) -> Awaitable[Taken]:
        """Take in a request; tells its number, and by which step of the script it is to be answered.

        IC6  It comes back as it came: body byte for byte, header lines in their order, case and repeats.
        IC17  Of a body over the inbox's limit, as it stands at that moment, the beginning is kept, and marked so.
        IC7  Numbers count from 1 without a gap, in the order of commit, by whatever members.
        IC8  A full inbox drops its oldest, by number and by bytes, and never refuses; the newest always stays.
        IC9  The script is played for each message by itself: its nth request gets the nth turn, however many come at
            once. Requests without a `webhook-id` are one message.

        Raises:
            UnknownInbox: there is none of that id.
        """
        ...

    def note_answer(self, inbox_id: str, number: int, answered: Answered) -> Awaitable[None]:
        """Write down what became of the sender, where that took a while.

        IC10  Visible as a change of the capture; nothing happens when it is kept no longer.
        """
        ...

    def note_forward(self, inbox_id: str, number: int, forwarded: Forwarded) -> Awaitable[None]:
        """Add what came of sending a capture on. As IC10, and the latest `FORWARDS_KEPT` are kept."""
        ...

    async def one(self, inbox_id: str, number: int) -> Capture:
        """One capture, whole.

        Raises:
            UnknownCapture: there is none of that number, or it is kept no longer.
        """
        ...

    async def find(self, inbox_id: str, search: Search, *, limit: int, cursor: str | None) -> CapturePage:
        """List captures, newest first.

        IC11  All that fit the search and no other; following the cursor neither skips nor repeats while others come.
        """
        ...

    async def since(self, inbox_id: str, change: int, limit: int) -> Sequence[Capture]:
        """What has changed in an inbox after its change number `change`, in that order, up to `limit`.

        IC12  Following the last one's `change`, each capture is told once when it comes and once for what changes
            about it later, as it stands then; what has been dropped meanwhile is left out, and its numbers tell so.
        """
        ...

    async def of_message(self, message_id: str, limit: int) -> Sequence[Capture]:
        """The captures with this `webhook-id`, of every inbox, as they came; the latest `limit`.

        IC13  Every one that is kept.
        """
        ...

    async def sent(self, message_id: str) -> Sequence[tuple[DeliveryRecord, bytes]]:
        """The deliveries of this store under this `webhook-id`, with their attempts, and the bytes of their bodies.

        IC14  Found by the time in the id, without an index on deliveries, so that these do not pay for it; an id that
            was not made here finds none.
        """
        ...

    def on_change(self, inbox_id: str, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something in the inbox may have changed.

        IC15  After each commit of this member, and for those of others after at most `NOTICE_SECONDS`.
        """
        ...

    def off_change(self, inbox_id: str, wake: Callable[[], None]) -> None:
        """Call `wake` no more."""
        ...

    def erase_expired(self, retention_seconds: float, room: int) -> Awaitable[int]:
        """Erase up to `room` captures that are older; say how many.

        IC16  The others stay, and so do their inboxes; setting the time of day erases none early.
        """
        ...
