"""How the parts of one process hear of what happens. Promises S and N."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ringback.core.delivery import Delivery
from ringback.core.workload import Held
from ringback.store.values import ReplicaState


class Outlet(Protocol):
    """Whoever sends deliveries in this process. The store hands them on in memory, after the commit."""

    def has_room(self, endpoint: str) -> bool:
        """Whether one more delivery for the endpoint may be handed over. Asked inside a transaction: be quick."""
        ...

    def put(self, delivery: Delivery) -> None:
        """Take a delivery that is committed and held by this member."""
        ...


class Meeting(Protocol):
    """Reports, wakes and the outlet."""

    def report(self, api: str, state: ReplicaState | None) -> Awaitable[None]:
        """Tell how this member's replicas of an API stand; None when it has nothing to do with the API any more.

        S1  `replicas` shows it at once here, and to other members after their next heartbeat.
        S2  A dead member's report counts no longer, nor does one that was taken back.
        """
        ...

    def replicas(self, api: str) -> ReplicaState:
        """How an API's replicas stand: sums over living members, and any one problem. From memory."""
        ...

    def own_replicas(self, api: str) -> ReplicaState:
        """How this member's own replicas of an API stand. From memory.

        S6  As it last reported; a member that has reported none, or has taken its report back, has none and is not
            asleep.
        """
        ...

    def serving(self, api: str) -> Sequence[str]:
        """The living members that report replicas of an API or that they keep none for now, oldest first. From memory.

        S5  Those whose replicas cannot start, so that they have none, are left out.
        """
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

    def on_cancel(self, api: str, cancel: Callable[[Held], None]) -> None:
        """Call `cancel` with each workload of `api` that this member holds and that somebody wants to end.

        N4  It is called right after the commit for what is asked through this member, and for what is asked through
            others after at most `NOTICE_SECONDS`; any number of times, also before a claim has brought the workload.
        """
        ...

    def off_due(self, endpoint: str) -> None:
        """Call nobody for `endpoint` any more."""
        ...

    def on_strangers(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever other members may have left deliveries of any endpoint to whoever takes them.

        N2  It is called after at most `NOTICE_SECONDS`; `waiting` then tells whose they are.
        """
        ...

    async def waiting(self) -> frozenset[str]:
        """The endpoints with deliveries that are pending and in nobody's hands, due or not."""
        ...

    def on_endpoints(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the key of every registered endpoint that has come, changed or gone.

        N3  As soon as this member is to act on it, as Z1 says.
        """
        ...

    def hand_on(self, outlet: Outlet) -> None:
        """Give this member's new deliveries to `outlet` from now on."""
        ...


NOTICE_SECONDS: float = 1.0
"""Longest time until this member notices what another has written."""
