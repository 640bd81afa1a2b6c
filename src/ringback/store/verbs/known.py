"""What a member knows without asking: who lives, how replicas stand, who wants to be called. From memory alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ringback.core.roles import Role
from ringback.core.workload import Held
from ringback.store.contract import Fellow, Outlet, ReplicaState
from ringback.store.verbs.session import Session


class Known:
    """The part of a store's face that touches no table. Promises M, N and S."""

    _session: Session

    @property
    def member(self) -> str:
        return self._session.member

    @property
    def roles(self) -> frozenset[Role]:
        return self._session.part.roles

    @property
    def holds_lease(self) -> bool:
        return self._session.holds_lease

    def roster(self, role: Role) -> tuple[str, ...]:
        return tuple(member for member, roles in self._session.meeting.roster.items() if role in roles)

    def on_roster(self, changed: Callable[[], None]) -> None:
        self._session.meeting.changes_of_roster.append(changed)

    def fellows(self) -> Sequence[Fellow]:
        meeting, own = self._session.meeting, self._session.member
        return [
            Fellow(member=member, roles=meeting.roster[member], about=about)
            for member, about in meeting.abouts.items()
            if member != own
        ]

    def replicas(self, api: str) -> ReplicaState:
        return self._session.meeting.replicas(api)

    def own_replicas(self, api: str) -> ReplicaState:
        return self._session.meeting.own_replicas(self._session.member, api)

    def serving(self, api: str) -> Sequence[str]:
        return self._session.meeting.serving(api)

    def on_queued(self, api: str, wake: Callable[[], None]) -> None:
        self._session.meeting.queued.register(api, wake)

    def on_due(self, endpoint: str, wake: Callable[[], None]) -> None:
        self._session.meeting.due.register(endpoint, wake)

    def on_cancel(self, api: str, cancel: Callable[[Held], None]) -> None:
        self._session.meeting.on_cancel(api, cancel)

    def off_due(self, endpoint: str) -> None:
        self._session.meeting.due.forget(endpoint)

    def on_strangers(self, wake: Callable[[], None]) -> None:
        self._session.meeting.strangers.append(wake)

    def on_endpoints(self, changed: Callable[[str], None]) -> None:
        self._session.meeting.endpoints.append(changed)

    def hand_on(self, outlet: Outlet) -> None:
        self._session.meeting.outlet = outlet
