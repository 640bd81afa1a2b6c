"""Who shares the store, and what becomes of what a dead member held. Promises M."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ringback.core.roles import Role
from ringback.core.workload import Claimed
from ringback.store.values import About, Fellow


class Members(Protocol):
    """Membership."""

    @property
    def member(self) -> str:
        """This member's id: the holder of whatever is claimed through this store."""
        ...

    @property
    def roles(self) -> frozenset[Role]:
        """What this member does, as it told the others on joining."""
        ...

    @property
    def holds_lease(self) -> bool:
        """Whether this member may go on as if what it holds were its own. From memory.

        M8  It may from joining and from each heartbeat until `lease_seconds` later, and no longer: then others may
            have taken over, whether or not this member can hear of it. A later heartbeat that succeeds makes it true
            again.
        """
        ...

    def roster(self, role: Role) -> tuple[str, ...]:
        """The living members that have the role, oldest first. From memory.

        M9  A member that joins is among them at once for itself, and for others after at most `NOTICE_SECONDS`; one
            that leaves or is struck off is so no longer, as soon.
        """
        ...

    def on_roster(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever `roster` has changed for any role, or `fellows`."""
        ...

    def introduce(self, about: About) -> Awaitable[None]:
        """Tell the others of this member, in place of what they have been told before."""
        ...

    def fellows(self) -> Sequence[Fellow]:
        """The other living members that have introduced themselves, oldest first. From memory.

        M10  As they did it last, `NOTICE_SECONDS` later at most; those of an earlier release never do.
        """
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
            `requeue` or `finish`. The attempt they were lost in stays readable by `describe`.
        M5  Deliveries held by dead members become due again, their recorded attempts intact.
        M6  On one machine, a killed member's work can be taken at once, without waiting for its lease.
        """
        ...

    async def close(self) -> None:
        """Leave: the lease ends now, whatever this member still held can be taken at once. Idempotent.

        M7  Writes under way are committed first; later verbs raise `StoreError`.
        """
        ...
