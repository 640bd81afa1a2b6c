"""Endpoints registered while the servers run: kept, changed, removed, and told like those of the file. Promises Z."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from ringback.core.registration import Registration, Removed, Undelivered
from ringback.core.spec import Event


class Endpoints(Protocol):
    """Registered endpoints. What they are is known from memory; events look nowhere else."""

    def register(self, registration: Registration) -> Awaitable[None]:
        """Tell one more endpoint of what happens.

        Z1  It is told of the events it asked for, of its APIs or of all, in the transaction of each event, as the
            endpoints of the file are: of what this member commits from then on, of what others do after at most
            `NOTICE_SECONDS`, and after reopening. Of trials of other endpoints never.

        Raises:
            Conflict: `MOST_REGISTERED` are registered.
        """
        ...

    def amend(self, key: str, change: Callable[[Registration], Registration]) -> Awaitable[Registration]:
        """Change a registered endpoint; what it has become is the answer.

        Z2  It counts from when Z1 says. `change` is given what is stored, so of two at once neither is lost; it may be
            called more than once, and what it raises has changed nothing.

        Raises:
            UnknownEndpoint: none of that key is registered.
        """
        ...

    def remove(self, key: str, undelivered: Undelivered) -> Awaitable[None]:
        """Tell an endpoint of nothing more.

        Z3  It counts from when Z1 says; attempts under way still end as they end. Its secrets are erased with it.
        Z4  Repeating it is accepted, and may say otherwise about what is undelivered.

        Raises:
            UnknownEndpoint: none of that key was ever registered, or nothing is left of it.
        """
        ...

    def tidy_endpoints(self, room: int) -> Awaitable[int]:
        """Do what time and removals have left to do, in portions of `room`; say how many deliveries were touched.

        Z5  A removed endpoint's deliveries that nobody holds are parked with the reason, or erased with their attempts
            if it was removed so. Nothing is left of it once it has no undelivered ones, a day after.
        Z6  Keys that have signed for the last time are erased.
        """
        ...

    def registered(self, key: str) -> Registration | None:
        """One registered endpoint. From memory."""
        ...

    def registrations(self) -> tuple[Registration, ...]:
        """All of them, in the order in which they were registered. From memory."""
        ...

    def asked(self, api: str) -> frozenset[Event]:
        """The events of an API that any of them has asked for. From memory: be asked often."""
        ...

    async def removed(self) -> tuple[Removed, ...]:
        """Endpoints of which only their deliveries are left."""
        ...
