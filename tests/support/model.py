"""What a store is to do, in plain dictionaries: the model the real ones are held against.

Follows the contract's words, not any backend's ways; knows nothing of SQL, files or loops.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ringback.core.body import event_of
from ringback.core.clock import HandWound, Instant, after
from ringback.core.delivery import Delivered, DeliveryState, Park, TryAgain, Verdict
from ringback.core.errors import AlreadyEnded, CancelAsked, Conflict, Erased, IdTaken, LeaseLost, UnknownWorkload
from ringback.core.queueing import NO_WISH, Wish, place
from ringback.core.spec import Endpoint
from ringback.core.workload import (
    STATUS_AFTER,
    Canceled,
    Completed,
    Ending,
    Failed,
    Held,
    Outcome,
    Spent,
    Status,
)
from ringback.store.contract import Asked
from support.turns import Turns

REFUSED: Final = (Conflict, Erased, UnknownWorkload)
"""What verbs may raise, in the model as in the store."""


Made = tuple[int | None, Ending | None]
"""An attempt's number and how it ended."""


@dataclass(slots=True)
class ModelDelivery:
    """One delivery."""

    endpoint: str
    due_at: int
    place: int
    holder: str | None = None
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    attempts: int = 0
    settled_at: int | None = None


@dataclass(slots=True)
class ModelWorkload:
    """One workload."""

    payload: bytes
    due_at: int
    place: int
    wish: Wish = NO_WISH
    stands: bool = False
    """Whether it stands in line: it is due, and somebody has seen that it is."""
    status: Status = Status.IN_QUEUE
    attempt: int = 0
    raised: int = 0
    losses: int = 0
    holder: str | None = None
    outcome: Outcome | None = None
    finished_at: int | None = None
    is_erased: bool = False
    is_canceling: bool = False
    has_begun: bool = False
    """Whether the attempt that is the latest has begun, as far as anybody knows."""
    past: list[Made] = field(default_factory=list)
    """The attempts before that one."""
    deliveries: list[ModelDelivery] = field(default_factory=list)

    @property
    def line(self) -> tuple[int, int]:
        """What its tenant's line is sorted by."""
        return place(Instant(self.due_at), self.wish.priority), self.place


ENDINGS: Final = {Spent.ATTEMPT: Ending.FAILED, Spent.LOSS: Ending.LOST, Spent.NOTHING: Ending.INTERRUPTED}


class Model:
    """One API's workloads, and the members that work on them."""

    def __init__(self, clock: HandWound, lease_seconds: float) -> None:
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._places = 0
        self._turns = Turns()
        self.workloads: dict[str, ModelWorkload] = {}
        self.leases: dict[str, int] = {}
        self.crashed: set[str] = set()

    # ── Members ─────────────────────────────────────────────────────────────────────────────────

    def join(self, member: str) -> None:
        self.leases[member] = after(self._clock.now(), self._lease_seconds)

    def heartbeat(self, member: str) -> None:
        self._must_be_alive(member)
        self.join(member)

    def leave(self, member: str) -> None:
        self.leases.pop(member, None)
        self._release_of(member)

    def take_over(self, member: str, room: int) -> list[tuple[str, int]]:
        """The workloads that come into the member's hands, as (id, attempt)."""
        self._must_be_alive(member)
        now = self._clock.now()
        for other, until in list(self.leases.items()):
            if other != member and (until <= now or other in self.crashed):
                del self.leases[other]
                self._release_of(other)
        orphans = [
            (workload_id, each)
            for workload_id, each in self.workloads.items()
            if each.status is Status.IN_PROGRESS and each.holder not in self.leases
        ]
        orphans = sorted(orphans, key=lambda pair: pair[1].place)[:room]
        orphans.sort(key=lambda pair: pair[1].line)
        for _, each in orphans:
            if each.has_begun and not each.is_erased:
                each.past.append((each.attempt, Ending.LOST))
            each.holder = member
            each.attempt += 1
            each.has_begun = False
        return [(workload_id, each.attempt) for workload_id, each in orphans]

    def _release_of(self, member: str) -> None:
        for each in self._deliveries():
            if each.holder == member:
                each.holder = None

    def _must_be_alive(self, member: str) -> None:
        if member not in self.leases:
            raise LeaseLost

    # ── Workloads ───────────────────────────────────────────────────────────────────────────────

    def submit(self, workload_id: str, payload: bytes, wish: Wish = NO_WISH) -> bool:
        """Whether it is new."""
        known = self.workloads.get(workload_id)
        if known is None:
            now = self._clock.now()
            due_at = after(now, wish.delay_seconds) if wish.delay_seconds else now
            new = ModelWorkload(payload, due_at, self._next_place(), wish, stands=due_at == now)
            self.workloads[workload_id] = new
            self._turns.enter(wish.tenant)
            return True
        if known.payload != payload:
            raise IdTaken
        return False

    def claim(self, member: str, room: int) -> list[tuple[str, int]]:
        """What a claim brings, in order, as (id, attempt)."""
        self._let_due_stand()
        if member not in self.leases:
            return []

        def take(line: list[str], share: int) -> list[tuple[str, int]]:
            for workload_id in line[:share]:
                each = self.workloads[workload_id]
                each.status, each.stands, each.holder = Status.IN_PROGRESS, False, member
                each.attempt += 1
                each.has_begun = True
            return [(workload_id, self.workloads[workload_id].attempt) for workload_id in line[:share]]

        taken = self._turns.take(room, lambda tenant, share: take(self.line(tenant), share))
        rest = sorted({each.wish.tenant for each in self.workloads.values()})
        return taken + take([workload_id for tenant in rest for workload_id in self.line(tenant)], room - len(taken))

    def line(self, tenant: str) -> list[str]:
        """Who stands there, in the order in which they are claimed."""
        standing = [
            (each.line, workload_id)
            for workload_id, each in self.workloads.items()
            if each.stands and each.wish.tenant == tenant
        ]
        return [workload_id for _, workload_id in sorted(standing)]

    def _let_due_stand(self) -> None:
        now = self._clock.now()
        due = [
            each
            for each in self.workloads.values()
            if each.status is Status.IN_QUEUE and not each.stands and each.due_at <= now
        ]
        for each in due:
            each.stands = True
        for tenant in sorted({each.wish.tenant for each in due}):
            self._turns.enter(tenant)

    def finish(self, member: str, held: Held, outcome: Outcome, endpoints: list[Endpoint]) -> Status:
        workload = self.workloads[held.id]
        if workload.status is Status.CANCELED and workload.attempt == held.attempt:
            return Status.CANCELED
        if workload.status.is_terminal and not workload.is_erased:
            if (workload.attempt, workload.outcome) != (held.attempt, outcome):
                raise LeaseLost
            return workload.status
        self._must_hold(member, held)
        return self._end(workload, Canceled() if workload.is_canceling else outcome, endpoints)

    def requeue(self, member: str, held: Held, spent: Spent, delay_seconds: float, why: Failed | None) -> None:
        workload = self._must_hold(member, held)
        if workload.is_canceling:
            raise CancelAsked
        if why is not None:
            number = workload.attempt
            workload.past.append((number, ENDINGS[spent]))
        workload.status, workload.holder, workload.has_begun = Status.IN_QUEUE, None, False
        workload.raised += spent is Spent.ATTEMPT
        workload.losses += spent is Spent.LOSS
        workload.stands = delay_seconds == 0
        if delay_seconds > 0:
            workload.due_at = after(self._clock.now(), delay_seconds)
        self._turns.enter(workload.wish.tenant)

    def tell(self, member: str, held: Held) -> None:
        """Raise `LeaseLost` unless the member holds that very attempt and may tell of it."""
        if self._must_hold(member, held).is_erased:
            raise LeaseLost

    # ── Asked for ───────────────────────────────────────────────────────────────────────────────

    def cancel(self, workload_id: str, endpoints: list[Endpoint]) -> Asked:
        workload = self.get(workload_id)
        if workload.status in {Status.COMPLETED, Status.FAILED}:
            raise AlreadyEnded
        changed = not (workload.is_canceling or workload.status.is_terminal)
        if workload.status is Status.IN_QUEUE:
            self._end(workload, Canceled(), endpoints)
        workload.is_canceling = workload.status is Status.IN_PROGRESS
        return Asked(status=workload.status, changed=changed)

    def retry(self, workload_id: str) -> Asked:
        workload = self.get(workload_id)
        if workload.is_canceling or workload.status is Status.COMPLETED:
            raise Conflict
        changed = workload.status.is_terminal
        if changed:
            workload.past.append((workload.attempt if workload.has_begun else None, Ending(workload.status.value)))
            workload.status, workload.outcome, workload.finished_at = Status.IN_QUEUE, None, None
            workload.raised = workload.losses = 0
            workload.has_begun, workload.due_at, workload.stands = False, self._clock.now(), True
            self._turns.enter(workload.wish.tenant)
        return Asked(status=workload.status, changed=changed)

    def erase(self, workload_id: str) -> None:
        workload = self.workloads.get(workload_id)
        if workload is None:
            raise UnknownWorkload
        if not workload.is_erased:
            if not workload.status.is_terminal:
                self.cancel(workload_id, [])
            self._erase(workload)

    def attempts_of(self, workload_id: str) -> list[Made]:
        """Every attempt, the latest included if it has begun."""
        workload = self.get(workload_id)
        ending = Ending(workload.status.value) if workload.status.is_terminal else None
        return [*workload.past, *([(workload.attempt, ending)] if workload.has_begun else [])]

    def _end(self, workload: ModelWorkload, outcome: Outcome, endpoints: list[Endpoint]) -> Status:
        workload.status = STATUS_AFTER[type(outcome)]
        workload.outcome, workload.holder, workload.finished_at = outcome, None, self._clock.now()
        workload.is_canceling = workload.stands = False
        if not workload.is_erased:
            workload.deliveries += [
                ModelDelivery(each.key, self._clock.now(), self._next_place())
                for each in endpoints
                if event_of(outcome) in each.events
            ]
        return workload.status

    @staticmethod
    def _erase(workload: ModelWorkload) -> None:
        workload.is_erased = True
        workload.deliveries = []

    def get(self, workload_id: str) -> ModelWorkload:
        workload = self.workloads.get(workload_id)
        if workload is None:
            raise UnknownWorkload
        if workload.is_erased:
            raise Erased
        return workload

    def count(self, status: Status) -> int:
        return sum(each.status is status for each in self.workloads.values())

    def _must_hold(self, member: str, held: Held) -> ModelWorkload:
        workload = self.workloads[held.id]
        now_held = (workload.status, workload.attempt, workload.holder)
        if now_held != (Status.IN_PROGRESS, held.attempt, member):
            raise LeaseLost
        return workload

    # ── Deliveries ──────────────────────────────────────────────────────────────────────────────

    def take_due(self, member: str, endpoint: str, room: int, again: bool) -> list[ModelDelivery]:
        """What comes into the member's hands, in order."""
        if member not in self.leases:
            return []
        now = self._clock.now()
        due = [
            each
            for each in self._deliveries()
            if each.endpoint == endpoint
            and each.state is DeliveryState.PENDING
            and each.holder is None
            and (each.tries > 0) is again
            and each.due_at <= now
        ]
        due.sort(key=lambda each: (each.due_at, each.place))
        for each in due[:room]:
            each.holder = member
        return due[:room]

    def record(self, member: str, delivery: ModelDelivery, number: int, verdict: Verdict) -> None:
        delivery.attempts += 1
        is_held = delivery.holder == member and delivery.state is DeliveryState.PENDING
        if not (is_held and delivery.tries == number - 1):
            if isinstance(verdict, Delivered) and delivery.state is DeliveryState.PENDING:
                self._settle(delivery, DeliveryState.DELIVERED)
            return
        delivery.tries = number
        delivery.holder = None
        match verdict:
            case TryAgain(wait_seconds=wait):
                delivery.due_at = after(self._clock.now(), wait)
            case Delivered():
                self._settle(delivery, DeliveryState.DELIVERED)
            case Park():
                self._settle(delivery, DeliveryState.PARKED)

    def release(self, member: str, delivery: ModelDelivery) -> None:
        if delivery.holder == member:
            delivery.holder = None

    def _settle(self, delivery: ModelDelivery, state: DeliveryState) -> None:
        delivery.state, delivery.holder, delivery.settled_at = state, None, self._clock.now()

    def _deliveries(self) -> list[ModelDelivery]:
        return [delivery for workload in self.workloads.values() for delivery in workload.deliveries]

    # ── Upkeep ──────────────────────────────────────────────────────────────────────────────────

    def erase_expired(self, retention_seconds: float) -> int:
        """How many are erased."""
        until = after(self._clock.now(), -retention_seconds)
        erased = 0
        for workload in self.workloads.values():
            over = workload.finished_at is not None and workload.finished_at <= until and not workload.is_erased
            if over and all(
                each.state is DeliveryState.DELIVERED and (each.settled_at or 0) <= until
                for each in workload.deliveries
            ):
                self._erase(workload)
                erased += 1
        return erased

    def _next_place(self) -> int:
        self._places += 1
        return self._places


def outcome_of(workload: ModelWorkload) -> tuple[bytes | None, Failed | None]:
    """Result and error as a reader sees them."""
    match workload.outcome:
        case Completed(result=result):
            return result, None
        case Failed() as failed:
            return None, failed
    return None, None
