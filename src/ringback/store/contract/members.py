"""Who shares the store, and what becomes of what a dead member held. Promises M."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.workload import Claimed


class Members(Protocol):
    """Membership."""

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
