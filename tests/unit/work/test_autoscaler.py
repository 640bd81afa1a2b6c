"""The autoscaler over a load that is set by hand: what it measures, when it decides, whom it shares with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from ringback.core.clock import HandWound
from ringback.core.errors import StoreBusy
from ringback.core.spec import Api, Autoscaling, Compute, Predictor
from ringback.store.contract import ReplicaState, Store
from ringback.work.autoscaler import Autoscaler
from ringback.work.budget import Budget
from ringback.work.machine import Machine
from support.facts import Facts
from support.waiting import turned

API = Api(
    name="iris",
    endpoint="iris",
    predictor=Predictor(path=Path("/p.py")),
    autoscaling=Autoscaling(
        max_replicas=10,
        window_seconds=60,
        upscale_stabilization_seconds=0,
        downscale_stabilization_seconds=0,
        max_upscale_factor=10,
        max_downscale_factor=0,
    ),
)


@dataclass(slots=True)
class Replicas:
    budget: Budget
    compute: Compute
    wanted: int
    told: int

    def want(self, count: int) -> None:
        self.wanted = count
        self.budget.note("iris", self.compute, count)


@dataclass(slots=True)
class Load:
    """As much of a store as an autoscaler sees."""

    replicas_of: Replicas
    clock: HandWound = field(default_factory=HandWound)
    in_flight_now: int = 0
    counted: list[int] = field(default_factory=list)
    member: str = "a"
    others: dict[str, int] = field(default_factory=dict)
    fault: bool = False

    async def in_flight(self, api: str, most: int) -> int:
        assert api == "iris"
        self.counted.append(most)
        if self.fault:
            raise StoreBusy("later")
        return min(most, self.in_flight_now)

    def replicas(self, _: str) -> ReplicaState:
        return ReplicaState(ready=sum(self.others.values()), starting=self.replicas_of.told)

    def serving(self, _: str) -> Sequence[str]:
        return sorted([*self.others, self.member])


@dataclass(slots=True)
class Scene:
    replicas: Replicas
    load: Load
    facts: Facts
    scaler: Autoscaler

    async def run(self, seconds: float, in_flight: int) -> None:
        """Let it tick, with this load, for so long."""
        self.load.in_flight_now = in_flight
        end = self.load.clock.ran + seconds * 1e6
        while self.load.clock.ran < end:
            self.load.clock.wind(await self.scaler.tick())
            self.replicas.told = self.replicas.wanted


def scene(api: Api = API, *, replicas: int = 1, machine: Machine | None = None) -> Scene:
    unlimited = Machine(cores=1_000, memory_bytes=None, spare_bytes=None)
    budget = Budget(lambda: machine or unlimited)
    budget.note(api.name, api.compute, replicas)
    kept = Replicas(budget, api.compute, replicas, replicas)
    load, facts = Load(kept), Facts()
    scaler = Autoscaler(api, cast("Store", load), facts, kept, budget=budget, replica_bytes=lambda: 2**30)
    return Scene(kept, load, facts, scaler)


def ruled(**rules: float) -> Api:
    return replace(API, autoscaling=replace(API.autoscaling, **rules))  # type: ignore[arg-type]


async def test_it_follows_the_average_of_its_window() -> None:
    it = scene()
    await it.run(60, 6)
    assert it.replicas.wanted == 6
    await it.run(30, 0)
    assert it.replicas.wanted == 4, "6 for 40 seconds of the last 60"
    await it.run(60, 0)
    assert it.replicas.wanted == 1
    changes = [(fact["before"], fact["after"]) for fact in it.facts.of("api.scaled")]
    assert changes[0] == (1, 6)
    assert [before for before, _ in changes[1:]] == [after for _, after in changes[:-1]]


async def test_it_decides_every_ten_seconds_as_cortex_does() -> None:
    it = scene(ruled(max_upscale_factor=1.5))
    seen = []
    for _ in range(8):
        await it.run(10, 10)
        seen.append(it.replicas.wanted)
    assert seen == [2, 3, 5, 8, 10, 10, 10, 10]


async def test_a_short_window_is_looked_at_more_often() -> None:
    it = scene(ruled(window_seconds=1))
    await it.run(1.2, 4)
    assert it.replicas.wanted == 4
    assert len(it.load.counted) >= 10


async def test_a_load_far_beyond_what_replicas_can_bear_is_counted_up_to_a_bound() -> None:
    it = scene()
    await it.run(20, 5_000_000)
    assert set(it.load.counted) == {1_000}
    assert it.replicas.wanted == 10


async def test_a_fixed_number_is_kept_without_counting() -> None:
    it = scene(ruled(min_replicas=3, max_replicas=3), replicas=3)
    await it.run(100, 50)
    assert it.load.counted == []
    assert it.replicas.wanted == 3


async def test_a_store_that_cannot_count_changes_nothing() -> None:
    it = scene(replicas=4)
    it.load.fault = True
    await it.run(60, 0)
    assert it.replicas.wanted == 4
    assert it.facts.of("store.fault")


async def test_new_rules_hold_at_once() -> None:
    it = scene(replicas=6)
    await it.run(31, 6)
    it.scaler.serve(ruled(max_replicas=3))
    await it.scaler.tick()
    assert it.replicas.wanted == 3
    it.scaler.serve(ruled(min_replicas=5))
    await it.scaler.tick()
    assert it.replicas.wanted == 5


# ── Zero ────────────────────────────────────────────────────────────────────────────────────────

TO_ZERO = ruled(min_replicas=0, downscale_stabilization_seconds=30, upscale_stabilization_seconds=300)


async def test_new_bounds_are_not_waited_for_until_the_next_look() -> None:
    async def has_what_it_wants() -> bool:
        return it.replicas.wanted == wanted

    it, wanted = scene(), 2
    it.scaler.serve(ruled(min_replicas=2, max_replicas=2))
    it.scaler.start()
    await turned(has_what_it_wants, wanted="two replicas at the first look", turns=1_000)
    wanted = 3
    it.scaler.serve(ruled(min_replicas=3, max_replicas=3))
    await turned(has_what_it_wants, wanted="three, and no time has passed", turns=1_000)
    it.scaler.stop()


async def test_an_idle_api_goes_to_sleep_and_wakes_for_the_first_workload() -> None:
    it = scene(TO_ZERO)
    await it.run(31, 0)
    assert it.replicas.wanted == 0
    it.load.in_flight_now = 1
    it.scaler.wake()
    await asyncio.sleep(0)
    assert it.replicas.wanted == 1, "without waiting for any period"
    assert it.facts.of("api.woken") == [{"api": "iris"}]


async def test_one_stays_for_a_period_after_a_wake() -> None:
    it = scene(TO_ZERO)
    await it.run(91, 0)
    await it.run(1, 1)
    assert it.replicas.wanted == 1
    await it.run(25, 0)
    assert it.replicas.wanted == 1
    await it.run(75, 0)
    assert it.replicas.wanted == 0


async def test_what_becomes_due_without_a_word_is_seen_within_a_second() -> None:
    it = scene(replace(TO_ZERO, autoscaling=replace(TO_ZERO.autoscaling, window_seconds=3_600)))
    await it.run(40, 0)
    assert it.replicas.wanted == 0
    assert await it.scaler.tick() == 1.0, "seconds until the next look; awake it would be ten"
    await it.run(1, 1)
    assert it.replicas.wanted == 1
    assert await it.scaler.tick() == 10.0


async def test_a_wake_for_nothing_starts_nothing() -> None:
    it = scene(TO_ZERO, replicas=0)
    it.scaler.wake()
    await asyncio.sleep(0)
    assert it.replicas.wanted == 0


async def test_nobody_wakes_who_sees_that_another_member_has() -> None:
    it = scene(TO_ZERO, replicas=0)
    it.load.others = {"b": 1}
    it.load.in_flight_now = 1
    it.scaler.wake()
    await asyncio.sleep(0)
    await it.scaler.tick()
    assert it.replicas.wanted == 0


# ── Several members ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("member", "expected"), [("a", 3), ("z", 2)])
async def test_members_share_what_the_load_asks_for(member: str, expected: int) -> None:
    it = scene()
    it.load.member = member
    it.load.others = {"m": 0}
    await it.run(9, 5)
    assert it.replicas.wanted == expected


async def test_max_replicas_counts_over_all_members() -> None:
    it = scene()
    it.load.others = {"b": 9}
    await it.run(60, 500)
    assert it.replicas.wanted == 1


async def test_each_member_keeps_its_least() -> None:
    it = scene(ruled(min_replicas=2), replicas=2)
    it.load.others = {"b": 2, "c": 2}
    await it.run(120, 0)
    assert it.replicas.wanted == 2


# ── The machine ─────────────────────────────────────────────────────────────────────────────────


async def test_it_grows_no_further_than_the_machine_bears_and_says_so_once() -> None:
    api = replace(API, compute=Compute(cpu=1))
    it = scene(api, machine=Machine(cores=4, memory_bytes=None, spare_bytes=None))
    await it.run(60, 8)
    assert it.replicas.wanted == 4
    [fact] = it.facts.of("api.limited")
    assert fact == {"api": "iris", "wanted": 8, "short_of": "4 cores, of which 1 are promised, at 1 each (compute.cpu)"}


async def test_an_api_of_unsaid_size_grows_by_what_is_spare() -> None:
    it = scene(machine=Machine(cores=4, memory_bytes=10 * 2**30, spare_bytes=3 * 2**30))
    await it.run(9, 8)
    assert it.replicas.wanted == 3, "1 and 2 more of a GiB each, half a GiB being left alone"


async def test_the_operators_least_is_kept_on_any_machine() -> None:
    api = replace(ruled(min_replicas=3), compute=Compute(cpu=4))
    it = scene(api, replicas=1, machine=Machine(cores=1, memory_bytes=None, spare_bytes=None))
    await it.run(11, 0)
    assert it.replicas.wanted == 3
