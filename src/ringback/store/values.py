"""What the store's verbs answer with, besides the values of `core`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ringback.core.clock import Instant
from ringback.core.roles import EVERY_ROLE, Role
from ringback.core.workload import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What part a member takes."""

    roles: frozenset[Role] = EVERY_ROLE
    public_url: str = ""
    """Where receivers reach the server; results too large for a webhook are linked under it."""


WHOLE: Final = Part()


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a member tells the others of itself."""

    server: str
    """What people know it by."""
    apis: Mapping[str, str]
    """By the name of each API it serves, what stands for what its file says of it: `core.agreement`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fellow:
    """Another living member that has told of itself."""

    member: str
    roles: frozenset[Role]
    about: About


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The answer to a submit."""

    id: str
    created: bool
    """False when the id or the idempotency key was known already, with the same payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to a cancel or a retry."""

    status: Status
    """How the workload stands now."""
    changed: bool
    """Whether the call has changed anything: not when it was so, or on its way to be so, already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The answer to a cancel or a retry of many: what one portion has come to."""

    moved: Mapping[str, int] = field(default_factory=dict)
    """By API, how many are canceled, or in the queue again; counted, how many there are."""
    stopping: int = 0
    """How many run and have been told to end."""
    cursor: str | None = None
    """Where to go on; None: through."""
    wait_seconds: int | None = None
    """When to go on: there was no room for more. None: at once."""

    @property
    def changed(self) -> int:
        return sum(self.moved.values()) + self.stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """How one API's replicas stand, over all members."""

    ready: int = 0
    starting: int = 0
    problem: str | None = None
    """Why the last replica that failed to start did; None once one has started since."""
    preparing: str | None = None
    """What has to be done before one can start, in words: an environment in the making, a place in a cluster."""

    asleep: int = 0
    """Members that keep none until there is something to do; counted by `replicas`, not reported."""

    @property
    def takes_work(self) -> bool:
        """Whether what is submitted now will be run without anybody's doing."""
        return self.ready > 0 or (self.asleep > 0 and self.problem is None)

    @property
    def is_stuck(self) -> bool:
        """Whether there is none, and it is known why."""
        return self.ready == 0 and self.problem is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenLane:
    """The right to send to an endpoint, as it was found."""

    number: int
    """How many times anybody has taken it, this one included."""
    is_tripped: bool
    """Whether the endpoint did not work at all when it was last sent to."""

    @property
    def is_first(self) -> bool:
        """Whether nobody has had it before."""
        return self.number == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """One API's unfinished workloads."""

    in_queue: int = 0
    in_progress: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """One endpoint's deliveries that are not delivered."""

    pending: int
    parked: int
    oldest_at: Instant | None
    """When the oldest pending one was created."""
