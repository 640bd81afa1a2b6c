"""What every store promises. Each verb is one transaction; each numbered line is a promise with a test.

Parts meet here and nowhere else. `tests/conformance` proves every number against every backend.

Colour: a write verb runs its statements at the call (or as soon as the commit under way is through) and
returns an awaitable that is done once they are on disk, so callers who do not wait share one commit.

Membership: an open store is a **member**. Whatever it claims is its own for as long as its lease lasts,
and the lease is renewed by heartbeat, once for everything it holds. What a dead member held is taken
over by a living one, under a new attempt number: the fence that makes the old holder's word worthless.
"""

from __future__ import annotations

from typing import Protocol

from ringback.core.clock import Clock
from ringback.store.contract.batches import Batches
from ringback.store.contract.blobs import BlobRows, Blobs
from ringback.store.contract.deliveries import Deliveries
from ringback.store.contract.endpoints import Endpoints
from ringback.store.contract.inboxes import Inboxes
from ringback.store.contract.journal import Journal
from ringback.store.contract.lanes import Lanes
from ringback.store.contract.lives import Lives
from ringback.store.contract.logouts import Logouts
from ringback.store.contract.meeting import NOTICE_SECONDS, Meeting, Outlet
from ringback.store.contract.members import Members
from ringback.store.contract.queue import Queue
from ringback.store.contract.selections import Selections
from ringback.store.contract.upkeep import MARKER_SECONDS, Upkeep
from ringback.store.contract.workloads import SEARCH_ROWS, Workloads
from ringback.store.values import (
    About,
    Accepted,
    Asked,
    Backlog,
    Fellow,
    Part,
    QueueDepth,
    ReplicaState,
    Swept,
    TakenLane,
)

__all__ = [
    "MARKER_SECONDS",
    "NOTICE_SECONDS",
    "SEARCH_ROWS",
    "About",
    "Accepted",
    "Asked",
    "Backlog",
    "Batches",
    "Blobs",
    "Fellow",
    "Inboxes",
    "Logouts",
    "Outlet",
    "Part",
    "QueueDepth",
    "ReplicaState",
    "Selections",
    "Store",
    "Swept",
    "TakenLane",
]


class Store(
    Members, Workloads, Queue, Lives, Journal, Deliveries, Lanes, Endpoints, Upkeep, BlobRows, Meeting, Protocol
):
    """The only shared state.

    G1  A write whose awaitable is done survives the death of the process at any later moment.
    G2  A verb that raises has changed nothing, and no other caller's verb fails because of it.
    G3  Payloads, results and bodies come back byte for byte; instants to the microsecond.
    G4  No driver's exception leaves the store: every error is a `RingbackError`.
    G5  A store written by a newer release is refused with `StoreTooNew` and left as it is.
    G6  Opening an older store brings it up to date; opening it twice, or from two processes at once, too.
    G7  Whoever sets the time of day, forward or back, changes nothing about what is due when, nor about leases;
        nor does it erase anything early.
    G8  What those raise whom it tells of a commit (the outlet, wakes, whoever hears of cancels) reaches no verb's
        caller and keeps nobody else from being told; the loop's exception handler is.
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

    @property
    def batches(self) -> Batches:
        """Many workloads handed in as one."""
        ...

    @property
    def selections(self) -> Selections:
        """Many workloads moved by what they have in common."""
        ...

    @property
    def inboxes(self) -> Inboxes:
        """What the inspector keeps."""
        ...

    @property
    def logouts(self) -> Logouts:
        """Logins that have been ended."""
        ...
