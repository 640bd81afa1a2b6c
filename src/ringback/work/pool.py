"""One API's workloads at this member: claimed, handed to replicas, judged, told to the store, drained at the end.

Owns every workload this member has claimed for the API until the store has heard how it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from itertools import chain
from typing import Final

from ringback.core.autoscaling import first
from ringback.core.emit import Emit
from ringback.core.errors import BlobLost, RingbackError
from ringback.core.policy import Again, after_loss, after_raise
from ringback.core.spec import Api, Event
from ringback.core.workload import Canceled, Claimed, ErrorType, Failed, Held, Outcome, Progress, Spent
from ringback.store.blobs import Large
from ringback.store.contract import Store
from ringback.work.autoscaler import Autoscaler
from ringback.work.checkpoints import Checkpoints
from ringback.work.claims import Claims
from ringback.work.crew import Crew
from ringback.work.endings import Endings
from ringback.work.engine import Engine
from ringback.work.failures import timeout_failure
from ringback.work.files import Files, Lent, Stored
from ringback.work.journals import Journals
from ringback.work.limits import run_limit
from ringback.work.memory import MemoryWatch
from ringback.work.news import News
from ringback.work.notes import Notes
from ringback.work.owner import Gone
from ringback.work.replica import Replica

_LAST_WORDS_SECONDS: Final = 5.0
"""How long a drain waits for the store to hear the last outcomes, after the grace period."""
_DEATH_SECONDS: Final = 5.0
"""How long it waits for replicas that it has killed: what is deep in the kernel may take its time to die."""

_FETCH_AGAIN_SECONDS: Final = 2.0

_STOPPED: Final = Failed(type="interrupted", message="its server was told to stop before it had ended")
_PAYLOAD_LOST: Final = "its payload is no longer where the server had put it; the server's log says where that was"
_NEIGHBOUR: Final = Failed(type="interrupted", message="its replica was killed for the sake of another workload on it")


class Pool:
    """Runs one API's workloads on replicas. Implements `owner.Owner`."""

    def __init__(
        self,
        api: Api,
        store: Store,
        emit: Emit,
        *,
        chance: Callable[[], float],
        engine: Engine,
        large: Large | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._emit = emit
        self._chance = chance
        self._crew = Crew(api, self, store, emit, chance=chance, engine=engine)
        self._deaf: set[str] = set()
        self._journals = Journals(api.name, store, emit, listen=lambda on: self._listen("journals", on))
        self._endings = Endings(api, store, emit, self._journals)
        self.files = Files(large)
        self._notes = Notes(api, store, self._journals)
        self._news = News(api, store, emit, listen=lambda on: self._listen("news", on))
        self._claims = Claims(api.name, store, emit, room=self._room, hand_over=self._hand_over)
        self._checkpoints = Checkpoints(store)
        self._unseen: set[Held] = set()
        """Canceled while the claim that brings them was on its way."""
        self._scaler = Autoscaler(
            api, store, emit, self._crew, budget=engine.budget, replica_bytes=lambda: self._crew.replica_bytes
        )
        self._memory = MemoryWatch(self._crew.memory_limits, self._crew.end_for_memory)
        self._draining = False

    # ── From the runtime ────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to start the replicas; they take work as each becomes ready."""
        self._store.on_queued(self._api.name, self._on_queued)
        self._store.on_cancel(self._api.name, self._on_cancel)
        self._watch_memory()
        self._crew.start(first(self._api.autoscaling))
        self._scaler.start()

    def serve(self, api: Api) -> None:
        """Go on as `api` says: replicas are replaced one by one, and workloads end on the one that took them.

        Whoever is told of a workload is told as `api` says from now on, whichever replica runs it.
        """
        self._api = api
        self._watch_memory()
        for each in (self._endings, self._notes, self._news, self._crew, self._scaler):
            each.serve(api)

    async def drain(self, grace_seconds: float, hurry: asyncio.Event | None = None) -> None:
        """Take no more, let what replicas have in hand end within `grace_seconds`, then end the replicas.

        What waits behind a long one is given back, and so is what has not ended then, once its replica has been killed:
        nothing runs twice. None of this spends an attempt. Once `hurry` is set, the grace is over.
        """
        self._take_no_more()
        await self._claims.quiet()
        self._give_back(self.files.stop())
        self._crew.end_idle()
        if not await self._crew.emptied(grace_seconds, hurry or asyncio.Event()):
            for replica in self._crew:
                begun, waiting = replica.forget_all()
                self._give_back(begun, why=_STOPPED)
                self._give_back(waiting)
                replica.kill()
            await self._crew.emptied(_DEATH_SECONDS, asyncio.Event())
        self._memory.stop()
        await self._endings.all_said(_LAST_WORDS_SECONDS)
        self._endings.stop()

    async def leave(self) -> None:
        """Take no more, serve the API no longer, and let what runs end, however long that takes."""
        self._take_no_more()
        # Before it has ended: another pool may serve the API by then, and what it has reported would be taken back.
        with contextlib.suppress(RingbackError):
            await self._store.report(self._api.name, None)
        await self.drain(math.inf)

    def _take_no_more(self) -> None:
        if not self._draining:
            self._draining = True
            self._scaler.stop()
            self._claims.stop()
            self._crew.stop()

    def abandon(self) -> None:
        """End everything at once and tell the store nothing: others hold what was ours."""
        self._draining = True
        self._scaler.stop()
        self._memory.stop()
        self._claims.stop()
        self._endings.stop()
        self._journals.abandon()
        self._crew.stop()
        self.files.stop()
        for replica in self._crew:
            for claimed in chain(*replica.forget_all()):
                self._let_go(claimed)
            replica.kill()

    def _on_queued(self) -> None:
        if self._draining:
            return
        if self._crew.wanted == 0:
            self._scaler.wake()
        self._claims.on_queued()

    def _watch_memory(self) -> None:
        if self._api.compute.mem_bytes is None:
            self._memory.stop()
        else:
            self._memory.start()

    # ── Work ────────────────────────────────────────────────────────────────────────────────────

    def _hand_over(self, claimed: list[Claimed]) -> None:
        """Each workload to a replica with room, the one with the least to do; back to the queue when none is ready."""
        for place, each in enumerate(claimed):
            if each.held in self._unseen:
                self._endings.finish(each, Canceled(), None)
                continue
            replica = None if self._draining else self._crew.choose()
            if replica is None:
                self._give_back(claimed[place:])
                return
            if each.blob is None:
                replica.take(each)
                self._crew.on_taken(replica)
            else:
                self.files.fetch(each, self._on_fetched, self._on_not_fetched)
        self._unseen.clear()

    def _on_cancel(self, held: Held) -> None:
        """Somebody wants a workload to end that is in this member's hands, or will be when a claim is through."""
        if (claimed := self.files.cancel(held)) is not None:
            self._let_go(claimed)
            self._endings.finish(claimed, Canceled(), None)
        elif not any(replica.cancel(held) for replica in self._crew) and self._claims.is_under_way:
            self._unseen.add(held)

    def _on_fetched(self, claimed: Claimed, lent: Lent) -> None:
        """Its payload is at hand now."""
        replica = None if self._draining else self._crew.choose()
        if replica is None:
            self._give_back([claimed])
        else:
            replica.take(claimed, lent)
            self._crew.on_taken(replica)

    def _on_not_fetched(self, claimed: Claimed, error: RingbackError) -> None:
        self._emit("store.fault", act=f"fetching a payload for {self._api.name}", error=error)
        if isinstance(error, BlobLost):
            self._endings.finish(claimed, Failed(type=ErrorType.PAYLOAD_LOST.value, message=_PAYLOAD_LOST), 0)
        else:
            self._endings.requeue(claimed, Spent.NOTHING, delay_seconds=_FETCH_AGAIN_SECONDS)

    def _room(self) -> int:
        return self._crew.room - self.files.coming

    def _let_go(self, claimed: Claimed) -> None:
        """No replica has it any more."""
        self._notes.drop(claimed)
        if claimed.blob is not None:
            self.files.give_back(claimed)

    def _give_back(self, claimed: list[Claimed], why: Failed | None = None) -> None:
        for each in claimed:
            self._let_go(each)
            self._endings.requeue(each, Spent.NOTHING, why=why)

    def _settle(self, claimed: Claimed, verdict: Again | Outcome, run_us: int | None = None) -> None:
        if isinstance(verdict, Again):
            self._endings.requeue(claimed, verdict.spent, why=verdict.why, delay_seconds=verdict.delay_seconds)
        else:
            self._endings.finish(claimed, verdict, run_us)

    # ── From a replica ──────────────────────────────────────────────────────────────────────────

    def on_waiting(self, replica: Replica) -> None:  # noqa: ARG002 - the crew looks at all of them
        self._crew.on_waiting()

    def on_ready(self, replica: Replica, load_us: int) -> None:
        self._crew.on_ready(replica, load_us)
        if self._draining:
            replica.kill()
        else:
            self._claims.on_queued()

    def on_outcome(self, replica: Replica, claimed: Claimed, outcome: Outcome | Stored, run_us: int | None) -> None:
        self._crew.on_outcome(replica)
        self._let_go(claimed)
        if isinstance(outcome, Failed):
            verdict = after_raise(self._api.retries, claimed.raised, outcome, self._chance())
            self._settle(claimed, verdict, run_us)
        elif isinstance(outcome, Stored):
            self._endings.land(claimed, self.files.landing(outcome), run_us)
        else:
            self._endings.finish(claimed, outcome, run_us)
        self._on_room(replica)

    def _on_room(self, replica: Replica) -> None:
        """It may be given more, or has nothing left to do."""
        self._crew.on_room(replica)
        if self._draining and replica.is_idle:
            replica.kill()
        else:
            self._claims.on_room()

    def on_began(self, claimed: Claimed) -> None:
        self._news.started(claimed)

    def wants_outputs(self, claimed: Claimed) -> bool:
        return self._news.wanted(claimed, Event.OUTPUT)

    def on_output(self, claimed: Claimed, index: int, value: bytes) -> None:
        self._journals.yielded(claimed, index, value)
        self._news.output(claimed, index, value)

    def on_said(self, claimed: Claimed, left_out: int, text: str) -> None:
        self._journals.said(claimed, left_out, text)

    def on_overheard(self, replica: Replica, claimed: Claimed | None, text: str) -> None:
        workload = None if claimed is None else claimed.held.id
        self._emit("replica.overheard", api=self._api.name, replica=replica.number, workload=workload, text=text)
        if claimed is not None:
            self._journals.said(claimed, 0, text)

    def on_progress(self, claimed: Claimed, progress: Progress) -> None:
        self._notes.take(claimed, progress, is_told=self._news.wanted(claimed, Event.PROGRESS))

    def on_checkpoint(self, replica: Replica, number: int, claimed: Claimed, data: bytes) -> None:
        self._checkpoints.keep(replica, number, claimed, data)

    def on_resume(self, replica: Replica, number: int, claimed: Claimed) -> None:
        self._checkpoints.find(replica, number, claimed)

    def on_metric(self, metric: dict[str, object]) -> None:
        self._emit("predictor.metric", api=self._api.name, metric=metric)

    def on_returned(self, replica: Replica, claimed: list[Claimed]) -> None:
        self._give_back(claimed)
        self._on_room(replica)

    def _listen(self, who: str, on: bool) -> None:
        """Listen to replicas as long as nobody has more than enough of what they say."""
        (self._deaf.discard if on else self._deaf.add)(who)
        self._crew.listen(not self._deaf)

    def on_gone(self, replica: Replica, gone: Gone) -> None:
        """Judge each workload it leaves, then let the crew start another."""
        retries = self._api.retries
        for claimed in (*gone.timed_out, *gone.lost, *gone.canceled):
            self._let_go(claimed)
        for claimed in gone.timed_out:
            failure = timeout_failure(run_limit(replica.api, claimed))
            self._settle(claimed, after_raise(retries, claimed.raised, failure, self._chance()))
        for claimed in gone.lost:
            self._settle(claimed, after_loss(retries, claimed.losses, gone.how, gone.kind))
        for claimed in gone.canceled:
            self._endings.finish(claimed, Canceled(), None)
        self._give_back(gone.interrupted, why=_NEIGHBOUR)
        self._give_back(gone.untouched)
        self.files.clear(replica.folder)
        self._crew.on_gone(replica, gone)
