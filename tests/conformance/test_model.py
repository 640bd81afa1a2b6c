"""Whatever is done in whatever order by whichever member: the store and the model never part.

A machine of members that submit, claim, finish, deliver, fall silent, crash and come back, over one store.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from ringback.core.clock import HandWound
from ringback.core.delivery import Delivered, Delivery, Park, TryAgain
from ringback.core.errors import RingbackError
from ringback.core.queueing import STEP_SECONDS, Wish
from ringback.core.spec import Event
from ringback.core.workload import Completed, Failed, Held, Outcome, Progress, Spent, Status
from ringback.store.contract import QueueDepth, Store
from support.model import REFUSED, Model, ModelDelivery, outcome_of
from support.stores import API, BACKENDS, HOOK, LEASE_SECONDS, OTHER_HOOK, Backend, attempt, submission

T = TypeVar("T")

MEMBERS = 2
RETENTION_SECONDS = 60.0
IDS = [f"w{number}" for number in range(4)]
OUTCOMES: list[Outcome] = [Completed(result=b"1"), Completed(result=b"[2]"), Failed(type="ValueError", message="no")]
WHY = Failed(type="ValueError", message="not yet")

HOOKS = [HOOK, replace(OTHER_HOOK, events=frozenset({Event.COMPLETED, Event.CANCELED}))]

slots = st.integers(0, MEMBERS - 1)
rooms = st.integers(1, 4)


def wishes(*tenants: str) -> st.SearchStrategy[list[Wish]]:
    """Those of some workloads of these tenants."""
    wish = st.builds(
        Wish,
        tenant=st.sampled_from(tenants),
        priority=st.sampled_from([0, 1, -1]),
        delay_seconds=st.sampled_from([0.0, 0.0, 5.0]),
    )
    return st.lists(wish, min_size=2, max_size=5)


@dataclass(frozen=True, slots=True)
class Holding:
    """What somebody was once given, and may still believe to hold."""

    store: Store
    held: Held


@dataclass(frozen=True, slots=True)
class Carrying:
    """The same for a delivery."""

    store: Store
    delivery: Delivery
    known_as: ModelDelivery


EXAMPLES = {"postgres": 25}
"""Fewer where each step asks another process."""


class StoreMachine(RuleBasedStateMachine):
    """Every rule does one thing to both; the invariant reads everything back."""

    backend_name: ClassVar[str]
    holdings = Bundle("holdings")
    carryings = Bundle("carryings")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="ringback-model-")
        self.backend: Backend = BACKENDS[self.backend_name](Path(self.folder.name))
        self.clock: HandWound = self.backend.clock
        self.model = Model(self.clock, LEASE_SECONDS)
        self.stores: list[Store] = []

    @initialize()
    def open(self) -> None:
        self.stores = [self.joined() for _ in range(MEMBERS)]

    def joined(self) -> Store:
        store = self.run(self.backend.open())
        self.model.join(store.member)
        return store

    def teardown(self) -> None:
        self.run(self.backend.close())
        self.runner.close()
        self.backend.remove()
        self.folder.cleanup()

    def run(self, doing: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await doing

        return self.runner.run(awaited())

    def both(self, model: Callable[[], T], store: Callable[[], Awaitable[T | object]]) -> tuple[T | None, object]:
        """Do it to both; they refuse alike or not at all."""
        expected: type[RingbackError] | None = None
        wanted: T | None = None
        try:
            wanted = model()
        except REFUSED as refusal:
            expected = type(refusal)

        async def call() -> object:
            return await store()

        if expected is not None:
            with pytest.raises(expected):
                self.runner.run(call())
            return None, None
        return wanted, self.runner.run(call())

    # ── Members ─────────────────────────────────────────────────────────────────────────────────

    @rule(
        seconds=st.sampled_from([0.000001, 1.0, 5.0, STEP_SECONDS, LEASE_SECONDS - 1, LEASE_SECONDS, RETENTION_SECONDS])
    )
    def time_passes(self, seconds: float) -> None:
        self.clock.wind(seconds)

    @rule(slot=slots)
    def heartbeat(self, slot: int) -> None:
        store = self.stores[slot]
        self.both(lambda: self.model.heartbeat(store.member), store.heartbeat)

    @rule(target=holdings, slot=slots, room=rooms)
    def take_over(self, slot: int, room: int) -> object:
        store = self.stores[slot]
        wanted, taken = self.both(
            lambda: self.model.take_over(store.member, room), lambda: store.take_over([API], room)
        )
        return self.held(store, wanted, taken)

    @rule(slot=slots)
    def crash(self, slot: int) -> None:
        self.model.crashed.add(self.stores[slot].member)
        self.backend.crash(self.stores[slot])
        self.stores[slot] = self.joined()

    @rule(slot=slots)
    def leave(self, slot: int) -> None:
        store = self.stores[slot]
        self.model.leave(store.member)
        self.run(self.backend.leave(store))
        self.stores[slot] = self.joined()

    # ── Workloads ───────────────────────────────────────────────────────────────────────────────

    @rule(slot=slots, workload_id=st.sampled_from(IDS), payload=st.sampled_from([b"{}", b"[]"]))
    def submit(self, slot: int, workload_id: str, payload: bytes) -> None:
        new, accepted = self.both(
            lambda: self.model.submit(workload_id, payload),
            lambda: self.stores[slot].submit(submission(workload_id=workload_id, payload=payload)),
        )
        if accepted is not None:
            assert (accepted.id, accepted.created) == (workload_id, new)

    @rule(
        target=holdings,
        slot=slots,
        wished=wishes("") | wishes("", "navy", "army"),
        seconds=st.sampled_from([0.0, 0.0, 5.0, STEP_SECONDS]),
        room=rooms,
        gives_back=st.booleans(),
    )
    def submit_with_wishes_and_claim(
        self, slot: int, wished: list[Wish], seconds: float, room: int, gives_back: bool
    ) -> object:
        """A short way to a queue whose order is not that of the submits."""
        for wish in wished:
            workload_id = f"w{len(self.model.workloads) + 100}"
            self.model.submit(workload_id, b"{}", wish)
            self.run(self.stores[slot].submit(submission(workload_id=workload_id, wish=wish)))
        self.clock.wind(seconds)
        taken = self.claim(slot, room)
        if gives_back and taken.values:
            self.requeue(taken.values[0], Spent.NOTHING, 0.0, None)
        return taken

    @rule(target=holdings, slot=slots, room=rooms)
    def claim(self, slot: int, room: int) -> MultipleResults[Holding]:
        store = self.stores[slot]
        claimed, _ = self.run(store.claim(API, room))
        return self.held(store, self.model.claim(store.member, room), claimed)

    def held(self, store: Store, wanted: list[tuple[str, int]] | None, taken: object) -> MultipleResults[Holding]:
        if wanted is None:
            return multiple()
        assert isinstance(taken, list)
        assert [(each.held.id, each.held.attempt) for each in taken] == wanted
        for each in taken:
            known = self.model.workloads[each.held.id]
            payload = b"" if known.is_erased else known.payload
            assert (each.payload, each.raised, each.losses) == (payload, known.raised, known.losses)
        return multiple(*(Holding(store, each.held) for each in taken))

    @rule(target=holdings, slot=slots)
    def submit_and_claim(self, slot: int) -> object:
        """A short way to where most of what can go wrong begins."""
        workload_id = f"w{len(self.model.workloads)}"
        while workload_id in self.model.workloads:
            workload_id += "'"
        self.submit(slot, workload_id, b"{}")
        return self.claim(slot, 9)

    @rule(holding=holdings, outcome=st.sampled_from(OUTCOMES), hooks=st.sampled_from([[], [HOOK], HOOKS]))
    def finish(self, holding: Holding, outcome: Outcome, hooks: list[object]) -> None:
        if holding.store in self.stores:
            wanted, ended = self.both(
                lambda: self.model.finish(holding.store.member, holding.held, outcome, hooks),
                lambda: holding.store.finish(holding.held, outcome, hooks),
            )
            assert wanted == ended

    @rule(
        holding=holdings,
        spent=st.sampled_from(Spent),
        delay=st.sampled_from([0.0, 5.0]),
        why=st.sampled_from([None, WHY]),
    )
    def requeue(self, holding: Holding, spent: Spent, delay: float, why: Failed | None) -> None:
        if holding.store in self.stores:
            self.both(
                lambda: self.model.requeue(holding.store.member, holding.held, spent, delay, why),
                lambda: holding.store.requeue(holding.held, spent=spent, delay_seconds=delay, why=why),
            )

    @rule(slot=slots, workload_id=st.sampled_from(IDS), hooks=st.sampled_from([[], HOOKS]))
    def cancel(self, slot: int, workload_id: str, hooks: list[object]) -> None:
        wanted, told = self.both(
            lambda: self.model.cancel(workload_id, hooks),
            lambda: self.stores[slot].cancel(API, workload_id, hooks),
        )
        assert wanted == told

    @rule(slot=slots, workload_id=st.sampled_from(IDS))
    def retry(self, slot: int, workload_id: str) -> None:
        wanted, told = self.both(
            lambda: self.model.retry(workload_id), lambda: self.stores[slot].retry(API, workload_id)
        )
        assert wanted == told

    @rule(slot=slots, workload_id=st.sampled_from(IDS))
    def erase_one(self, slot: int, workload_id: str) -> None:
        self.both(lambda: self.model.erase(workload_id), lambda: self.stores[slot].erase(API, workload_id))

    @rule(holding=holdings)
    def progress(self, holding: Holding) -> None:
        if holding.store in self.stores:
            self.both(
                lambda: self.model.tell(holding.store.member, holding.held),
                lambda: holding.store.progress(holding.held, Progress(fraction=0.5)),
            )

    # ── Deliveries ──────────────────────────────────────────────────────────────────────────────

    @rule(target=carryings, slot=slots, room=rooms, hook=st.sampled_from(HOOKS), again=st.booleans())
    def take_due(self, slot: int, room: int, hook: object, again: bool) -> object:
        store = self.stores[slot]
        wanted = self.model.take_due(store.member, hook.key, room, again)
        taken, _ = self.run(store.take_due(hook.key, room, again=again))
        assert [(each.endpoint, each.tries) for each in taken] == [(each.endpoint, each.tries) for each in wanted]
        return multiple(*(Carrying(store, *pair) for pair in zip(taken, wanted, strict=True)))

    @rule(target=carryings, slot=slots, holding=holdings)
    def finish_and_take_due(self, slot: int, holding: Holding) -> object:
        """A short way to a delivery that somebody holds."""
        self.finish(holding, OUTCOMES[0], [HOOK])
        return self.take_due(slot, 3, HOOK, False)

    @rule(carrying=carryings, verdict=st.sampled_from(["delivered", "again", "park"]))
    def record(self, carrying: Carrying, verdict: str) -> None:
        known = carrying.known_as
        if carrying.store not in self.stores or not self.is_kept(known):
            return
        number = known.attempts + 1 if known.attempts > carrying.delivery.tries else carrying.delivery.tries + 1
        judged = {
            "delivered": Delivered(),
            "again": TryAgain(wait_seconds=5.0),
            "park": Park(reason="spent"),
        }[verdict]
        self.model.record(carrying.store.member, known, number, judged)
        self.run(carrying.store.record(carrying.delivery, attempt(number, carrying.store), judged))

    @rule(carrying=carryings)
    def release(self, carrying: Carrying) -> None:
        if carrying.store in self.stores and self.is_kept(carrying.known_as):
            self.model.release(carrying.store.member, carrying.known_as)
            self.run(carrying.store.release([carrying.delivery]))

    def is_kept(self, delivery: ModelDelivery) -> bool:
        return any(each is delivery for workload in self.model.workloads.values() for each in workload.deliveries)

    @rule(slot=slots)
    def erase(self, slot: int) -> None:
        erased = self.run(self.stores[slot].erase_expired({API: RETENTION_SECONDS}, 100))
        assert erased == self.model.erase_expired(RETENTION_SECONDS)

    # ── What is always true ─────────────────────────────────────────────────────────────────────

    @invariant()
    def both_read_alike(self) -> None:
        if self.stores:
            self.run(self.compare())

    async def compare(self) -> None:
        reader = self.stores[0]
        depth = (await reader.depths()).get(API, QueueDepth())
        assert (depth.in_queue, depth.in_progress) == (
            self.model.count(Status.IN_QUEUE),
            self.model.count(Status.IN_PROGRESS),
        )
        for workload_id in {*IDS, *self.model.workloads}:
            try:
                wanted = self.model.get(workload_id)
            except REFUSED as refusal:
                with pytest.raises(type(refusal)):
                    await reader.get(API, workload_id)
                continue
            seen = await reader.get(API, workload_id)
            assert (seen.status, seen.attempt, seen.finished_at) == (wanted.status, wanted.attempt, wanted.finished_at)
            assert (seen.result, seen.error) == outcome_of(wanted)
            assert seen.status is Status.IN_PROGRESS or seen.progress is None
            line = self.model.line(wanted.wish.tenant)
            position = await reader.position(API, workload_id, 100)
            assert position == (line.index(workload_id) + 1 if workload_id in line else None)
            made = (await reader.describe(API, workload_id)).attempts
            assert [(each.number, each.ending) for each in made] == self.model.attempts_of(workload_id)
            if not wanted.deliveries:
                continue
            records = await reader.deliveries(API, workload_id)
            assert [(each.endpoint, each.state, each.tries, each.due_at) for each in records] == [
                (each.endpoint, each.state, each.tries, each.due_at) for each in wanted.deliveries
            ]
            assert [[made.number for made in each.attempts] for each in records] == [
                list(range(1, each.attempts + 1)) for each in wanted.deliveries
            ]


@pytest.mark.timeout(300)  # thirty seconds of work, on a machine that may have much else to do
@pytest.mark.parametrize("backend_name", sorted(BACKENDS))
def test_the_store_and_the_model_never_part(backend_name: str) -> None:
    machine = type(f"StoreMachine_{backend_name}", (StoreMachine,), {"backend_name": backend_name})
    state_machine_test = machine.TestCase
    state_machine_test.settings = settings(
        max_examples=EXAMPLES.get(backend_name, 150),
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    state_machine_test().runTest()
