"""A store's face: one method per verb of the contract. A backend adds how it is joined, watched and closed.

Everything it promises is written in `store.contract`; everything it does, in the modules beside this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ringback.core.clock import Clock, Instant
from ringback.core.delivery import Attempt, Delivery, DeliveryPage, DeliveryRecord, DeliveryState, Pause, Verdict
from ringback.core.journal import Entry, Story
from ringback.core.registration import Registration, Removed, Undelivered
from ringback.core.spec import Endpoint, Event
from ringback.core.workload import (
    Claimed,
    Failed,
    Held,
    News,
    Outcome,
    Page,
    Payload,
    Progress,
    Spent,
    Status,
    Submission,
    Workload,
    WorkloadRecord,
)
from ringback.store.contract import About, Accepted, Asked, Backlog, QueueDepth, ReplicaState, TakenLane
from ringback.store.verbs.batches import Batches
from ringback.store.verbs.blobs import BlobRows
from ringback.store.verbs.deliveries import Deliveries
from ringback.store.verbs.endpoints import Endpoints
from ringback.store.verbs.erasing import Erasing
from ringback.store.verbs.hearing import Hearing
from ringback.store.verbs.inboxes import Inboxes
from ringback.store.verbs.journal import Journal
from ringback.store.verbs.known import Known
from ringback.store.verbs.lanes import Lanes
from ringback.store.verbs.listings import Listings
from ringback.store.verbs.lives import Lives
from ringback.store.verbs.logouts import Logouts
from ringback.store.verbs.members import Members
from ringback.store.verbs.queue import Queue
from ringback.store.verbs.readers import Readers
from ringback.store.verbs.selections import Selections
from ringback.store.verbs.session import Session
from ringback.store.verbs.workloads import Workloads


class VerbStore(Known, ABC):
    """A `store.contract.Store` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._erasing = Erasing(session)
        self._queue = Queue(session)
        self._lives = Lives(session, self._erasing, self._queue)
        self._workloads = Workloads(session, self._lives, self._queue)
        self.batches = Batches(session, self._workloads)
        self.selections = Selections(session, self._lives)
        self._journal = Journal(session)
        self._deliveries = Deliveries(session)
        self._lanes = Lanes(session)
        self._endpoints = Endpoints(session)
        self._members = Members(session)
        self._readers = Readers(session)
        self._hearing = Hearing(session)
        self._listings = Listings(session)
        self.inboxes = Inboxes(session, self._readers)
        self.logouts = Logouts(session)
        self._blobs = BlobRows(session)
        self._closed = False

    @property
    def clock(self) -> Clock:
        return self._session.clock

    @property
    def link_key(self) -> bytes:
        return self._session.link_key

    # ── Members ─────────────────────────────────────────────────────────────────────────────────

    def introduce(self, about: About) -> Awaitable[None]:
        return self._members.introduce(about)

    def heartbeat(self) -> Awaitable[None]:
        return self._members.heartbeat()

    def take_over(self, apis: Sequence[str], room: int) -> Awaitable[list[Claimed]]:
        return self._members.take_over(apis, room)

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    def abandon(self) -> None:
        """Stop as a killed process does: nothing is answered, nothing given back. For tests of crashes."""

    # ── Workloads ───────────────────────────────────────────────────────────────────────────────

    def submit(self, submission: Submission, *, limit: int | None = None) -> Awaitable[Accepted]:
        return self._workloads.submit(submission, limit)

    async def expect_room(
        self, api: str, *, limit: int, tenant: str = "", workload_id: str | None = None, key: str | None = None
    ) -> None:
        self._refuse_if_closed()
        await self._workloads.expect_room(api, limit, tenant, workload_id, key)

    def claim(self, api: str, room: int) -> Awaitable[tuple[list[Claimed], float | None]]:
        return self._workloads.claim(api, room)

    def finish(
        self, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint], *, entries: Sequence[Entry] = ()
    ) -> Awaitable[Status]:
        return self._workloads.finish(held, outcome, endpoints, entries)

    def requeue(
        self,
        held: Held,
        *,
        spent: Spent,
        delay_seconds: float = 0.0,
        why: Failed | None = None,
        entries: Sequence[Entry] = (),
    ) -> Awaitable[None]:
        return self._workloads.requeue(held, spent, delay_seconds, why, entries)

    def progress(
        self, held: Held, progress: Progress, *, tell: Sequence[Endpoint] | None = None, instead: bool = False
    ) -> Awaitable[None]:
        return self._workloads.progress(held, progress, tell, instead)

    def announce(self, held: Held, news: News, endpoints: Sequence[Endpoint]) -> Awaitable[None]:
        return self._workloads.announce(held, news, endpoints)

    async def get(self, api: str, workload_id: str) -> Workload:
        self._refuse_if_closed()
        return await self._readers.get(api, workload_id)

    async def ended(self, api: str, workload_id: str, timeout_seconds: float) -> Workload:
        self._refuse_if_closed()
        return await self._readers.ended(api, workload_id, timeout_seconds)

    async def page(
        self, apis: Sequence[str], *, status: Status | None, limit: int, cursor: str | None, words: str | None = None
    ) -> Page:
        self._refuse_if_closed()
        return await self._listings.page(apis, status, limit, cursor, words)

    async def describe(self, api: str, workload_id: str) -> WorkloadRecord:
        self._refuse_if_closed()
        return await self._listings.describe(api, workload_id)

    async def payload(self, api: str, workload_id: str, *, most_bytes: int) -> Payload:
        self._refuse_if_closed()
        return await self._listings.payload(api, workload_id, most_bytes)

    # ── Lives ───────────────────────────────────────────────────────────────────────────────────

    def cancel(self, api: str, workload_id: str, endpoints: Sequence[Endpoint]) -> Awaitable[Asked]:
        return self._lives.cancel(api, workload_id, endpoints)

    def retry(self, api: str, workload_id: str, *, limit: int | None = None) -> Awaitable[Asked]:
        return self._lives.retry(api, workload_id, limit)

    def checkpoint(self, held: Held, data: bytes) -> Awaitable[None]:
        return self._lives.checkpoint(held, data)

    async def last_checkpoint(self, held: Held) -> bytes | None:
        self._refuse_if_closed()
        return await self._lives.last_checkpoint(held)

    def erase(self, api: str, workload_id: str) -> Awaitable[None]:
        return self._lives.erase(api, workload_id)

    # ── The journal ─────────────────────────────────────────────────────────────────────────────

    def enter(self, held: Held, entries: Sequence[Entry], *, drop: range | None = None) -> Awaitable[None]:
        return self._journal.enter(held, entries, drop)

    async def happenings(self, api: str, workload_id: str, *, after: int, room: int, timeout_seconds: float) -> Story:
        self._refuse_if_closed()
        return await self._journal.happenings(api, workload_id, after, room, timeout_seconds)

    # ── Deliveries ──────────────────────────────────────────────────────────────────────────────

    def take_due(self, endpoint: str, room: int, *, again: bool) -> Awaitable[tuple[list[Delivery], float | None]]:
        return self._deliveries.take_due(endpoint, room, again)

    def record(self, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> Awaitable[None]:
        return self._deliveries.record(delivery, attempt, verdict)

    def release(self, deliveries: Sequence[Delivery]) -> Awaitable[None]:
        return self._deliveries.release(deliveries)

    def pause(self, endpoint: str, pause: Pause) -> Awaitable[None]:
        return self._deliveries.pause(endpoint, pause)

    def resume(self, endpoint: str) -> Awaitable[None]:
        return self._deliveries.resume(endpoint)

    def paused(self, endpoint: str) -> Pause | None:
        return self._session.pauses.get(endpoint)

    def replay(self, seq: int) -> Awaitable[None]:
        return self._deliveries.replay(seq)

    def skip(self, seq: int) -> Awaitable[None]:
        return self._deliveries.skip(seq)

    def recover(self, endpoint: str, since: Instant, room: int) -> Awaitable[int]:
        return self._deliveries.recover(endpoint, since, room)

    async def delivery(self, seq: int) -> DeliveryRecord:
        self._refuse_if_closed()
        return await self._readers.delivery(seq)

    async def find_deliveries(
        self, *, endpoint: str | None, state: DeliveryState | None, limit: int, cursor: str | None
    ) -> DeliveryPage:
        self._refuse_if_closed()
        return await self._readers.find_deliveries(endpoint, state, limit, cursor)

    async def deliveries(self, api: str, workload_id: str) -> tuple[DeliveryRecord, ...]:
        self._refuse_if_closed()
        return await self._readers.deliveries(api, workload_id)

    # ── Lanes ───────────────────────────────────────────────────────────────────────────────────

    def take_lane(self, endpoint: str) -> Awaitable[TakenLane | None]:
        return self._lanes.take(endpoint)

    def leave_lane(self, endpoint: str, taken: TakenLane) -> Awaitable[None]:
        return self._lanes.leave(endpoint, taken)

    def note_tripped(self, endpoint: str, *, is_tripped: bool) -> Awaitable[None]:
        return self._lanes.note_tripped(endpoint, is_tripped=is_tripped)

    @property
    def tripped(self) -> frozenset[str]:
        return self._session.tripped

    async def orphans(self) -> frozenset[str]:
        self._refuse_if_closed()
        return await self._lanes.orphans()

    def forget_lanes(self) -> Awaitable[None]:
        return self._lanes.forget()

    # ── Endpoints ───────────────────────────────────────────────────────────────────────────────

    def register(self, registration: Registration) -> Awaitable[None]:
        return self._endpoints.register(registration)

    def amend(self, key: str, change: Callable[[Registration], Registration]) -> Awaitable[Registration]:
        return self._endpoints.amend(key, change)

    def remove(self, key: str, undelivered: Undelivered) -> Awaitable[None]:
        return self._endpoints.remove(key, undelivered)

    def tidy_endpoints(self, room: int) -> Awaitable[int]:
        return self._endpoints.tidy(room)

    def registered(self, key: str) -> Registration | None:
        return self._session.registry.get(key)

    def registrations(self) -> tuple[Registration, ...]:
        return self._session.registry.all()

    def asked(self, api: str) -> frozenset[Event]:
        return self._session.registry.asked(api)

    async def removed(self) -> tuple[Removed, ...]:
        self._refuse_if_closed()
        return await self._endpoints.removed()

    # ── The queue ───────────────────────────────────────────────────────────────────────────────

    async def expire(self, api: str, endpoints: Sequence[Endpoint], room: int) -> int:
        self._refuse_if_closed()
        if not await self._queue.has_late_ones(api):
            return 0
        return await self._session.commits.write(lambda tx: self._queue.expire(tx, api, endpoints, room))

    def forget_tenants(self, apis: Sequence[str], room: int) -> Awaitable[int]:
        return self._session.commits.write(lambda tx: self._queue.forget_tenants(tx, apis, room))

    async def position(self, api: str, workload_id: str, most: int) -> int | None:
        self._refuse_if_closed()
        return await self._queue.position(api, workload_id, most)

    # ── Upkeep ──────────────────────────────────────────────────────────────────────────────────

    def erase_expired(self, retention_seconds: Mapping[str, float], room: int) -> Awaitable[int]:
        return self._erasing.erase_expired(retention_seconds, room)

    async def depths(self) -> Mapping[str, QueueDepth]:
        self._refuse_if_closed()
        return await self._readers.depths()

    async def in_flight(self, api: str, most: int) -> int:
        self._refuse_if_closed()
        return await self._readers.in_flight(api, most)

    async def queue_ages(self) -> Mapping[str, float]:
        self._refuse_if_closed()
        return await self._readers.queue_ages()

    async def backlogs(self) -> Mapping[str, Backlog]:
        self._refuse_if_closed()
        return await self._readers.backlogs()

    # ── Blobs ───────────────────────────────────────────────────────────────────────────────────

    @property
    def blob_space(self) -> str:
        return self._session.blob_space

    def name_blob(self) -> str:
        return self._blobs.name()

    async def strays(self, keys: Sequence[str]) -> list[str]:
        self._refuse_if_closed()
        return await self._blobs.strays(keys)

    async def doomed(self, room: int) -> list[str]:
        self._refuse_if_closed()
        return await self._blobs.doomed(room)

    def forget(self, keys: Sequence[str]) -> Awaitable[None]:
        return self._blobs.forget(keys)

    # ── Meeting ─────────────────────────────────────────────────────────────────────────────────

    def report(self, api: str, state: ReplicaState | None) -> Awaitable[None]:
        return self._members.report(api, state)

    async def waiting(self) -> frozenset[str]:
        self._refuse_if_closed()
        return await self._readers.waiting()

    # ── What others write ───────────────────────────────────────────────────────────────────────

    def _wake_all(self) -> None:
        """Have everyone look for what may have become due."""
        meeting = self._session.meeting
        for wakes in (meeting.queued, meeting.due, meeting.captured):
            wakes.call_all()
        meeting.call_strangers()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise self._session.refusal()
