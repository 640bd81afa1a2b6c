"""A crew with real replicas: more and fewer, another version, a fresh one after so many workloads."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from ringback.core.errors import StoreBusy
from ringback.core.spec import Api, Autoscaling, Endpoint, Retries
from ringback.core.workload import Status
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore
from support.stores import API
from support.waiting import eventually
from support.world import World, is_running, until_gone

UNTIL_TOLD = """
(HERE / f"begun-{request_id}").touch()
while not (HERE / f"enough-{request_id}").exists():
    time.sleep(0.001)
return os.getpid()
"""


# ── More and fewer ──────────────────────────────────────────────────────────────────────────────


async def test_more_are_started_and_those_too_many_let_go(world: World) -> None:
    async with world.serving("return 1") as pool:
        await world.facts.wait_for("replica.ready", 1)
        pool._crew.want(3)
        assert (world.store.replicas(API).ready, world.store.replicas(API).starting) == (1, 2)
        await world.facts.wait_for("replica.ready", 3)
        assert (world.store.replicas(API).ready, world.store.replicas(API).starting) == (3, 0)
        pool._crew.want(1)
        assert (world.store.replicas(API).ready, world.store.replicas(API).starting) == (1, 0)
        await world.facts.wait_for("replica.retired", 2)
        assert is_running(world.pid(0)), "the oldest stays"
        assert (await world.run()).status is Status.COMPLETED
        assert world.facts.of("replica.lost") == []


async def test_the_first_workload_wakes_an_api_that_sleeps_without_waiting_for_a_look_at_the_load(world: World) -> None:
    async with world.serving("return 1", autoscaling=Autoscaling(min_replicas=0)) as pool:
        assert pool._scaler._running is not None
        pool._scaler._running.cancel()  # nobody looks at the load any more
        assert (await world.run()).status is Status.COMPLETED
        assert world.facts.of("api.woken") == [{"api": API}]


async def test_of_too_many_the_one_goes_that_has_nothing_to_do(world: World) -> None:
    async with world.serving(UNTIL_TOLD, replicas=2) as pool:
        await world.facts.wait_for("replica.ready", 2)
        await world.submit(workload_id="one")
        await world.begun("begun-one")
        [busy] = [replica.number for replica in pool._crew if not replica.is_idle]
        pool._crew.want(1)
        await world.facts.wait_for("replica.retired", 1)
        assert [replica.number for replica in pool._crew] == [busy]
        (world.folder / "enough-one").touch()


@dataclass(slots=True)
class Unheard:
    """A store that cannot be told of replicas for a while."""

    store: Any
    refused: list[ReplicaState] = field(default_factory=list)
    times: int = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def report(self, api: str, state: ReplicaState | None) -> None:
        if state is not None and state.ready and len(self.refused) < self.times:
            self.refused.append(state)
            raise StoreBusy("later")
        await self.store.report(api, state)


async def test_how_they_stand_is_told_until_the_store_has_heard_it(world: World) -> None:
    store = world.store
    world.store = unheard = cast("SqliteStore", Unheard(store))
    async with world.serving("return 1"):
        await world.facts.wait_for("replica.ready", 1)
        await eventually(lambda: store.replicas(API).ready == 1)
    assert [state.ready for state in cast("Unheard", unheard).refused] == [1]
    world.store = store


async def test_one_that_is_let_go_ends_what_it_has_first(world: World) -> None:
    async with world.serving(UNTIL_TOLD, replicas=2) as pool:
        await world.facts.wait_for("replica.ready", 2)
        await world.submit(workload_id="one")
        await world.submit(workload_id="two")
        await world.begun("begun-one", "begun-two")
        pool._crew.want(0)
        await world.submit(workload_id="waits")
        assert (world.store.replicas(API).ready, world.store.replicas(API).starting) == (0, 0)
        (world.folder / "enough-one").touch()
        assert (await world.ended("one")).status is Status.COMPLETED
        await world.facts.wait_for("replica.retired", 1)
        assert (await world.store.get(API, "waits")).status is Status.IN_QUEUE, "it goes to nobody who is leaving"
        (world.folder / "enough-two").touch()
        assert (await world.ended("two")).attempt == 1
        await world.facts.wait_for("replica.retired", 2)
        (world.folder / "enough-waits").touch()
        pool._crew.want(1)
        assert (await world.ended("waits")).attempt == 1


async def test_those_not_ready_yet_are_the_first_to_be_let_go(world: World) -> None:
    async with world.serving("return 1") as pool:
        await world.facts.wait_for("replica.ready", 1)
        pool._crew.want(4)
        pool._crew.want(1)
        await world.facts.wait_for("replica.retired", 3)
        assert is_running(world.pid(0))
        assert len(world.facts.of("replica.ready")) == 1


async def test_one_that_dies_while_it_is_leaving_loses_its_workload_and_is_not_replaced(world: World) -> None:
    async with world.serving(UNTIL_TOLD, retries=Retries(max_losses=1)) as pool:
        await world.submit(workload_id="one")
        await world.begun("begun-one")
        pool._crew.want(0)
        os.kill(world.pid(), signal.SIGKILL)
        error = (await world.ended("one")).error
        assert error is not None
        assert error.type == "replica_lost"
        assert len(world.facts.of("replica.lost")) == 1
        assert len(world.facts.of("replica.started")) == 1


async def test_a_drain_waits_for_those_that_are_leaving_too(world: World) -> None:
    async with world.serving(UNTIL_TOLD) as pool:
        await world.submit(workload_id="one")
        await world.begun("begun-one")
        pool._crew.want(0)
        draining = asyncio.ensure_future(pool.drain(20))
        await asyncio.sleep(0)
        (world.folder / "enough-one").touch()
        await draining
        assert (await world.store.get(API, "one")).status is Status.COMPLETED


# ── Another version ─────────────────────────────────────────────────────────────────────────────


def version(number: int, *, before: str = "") -> str:
    return f"""
    class PythonPredictor:
        def __init__(self):
            {before or "pass"}
        def predict(self, payload, request_id):
            (HERE / f"begun-{{request_id}}").touch()
            while payload == "wait" and not (HERE / "enough").exists():
                time.sleep(0.001)
            return {number}
    """


async def test_workloads_end_on_the_version_that_took_them(world: World) -> None:
    async with world.serving(version(1)) as pool:
        await world.submit(b'"wait"', "old")
        await world.begun("begun-old")
        pool.serve(world.api(version(2)))
        await world.facts.wait_for("replica.ready", 2)
        assert (await world.run()).result == b"2"
        (world.folder / "enough").touch()
        old = await world.ended("old")
        assert (old.result, old.attempt) == (b"1", 1)
        await until_gone(world.pid(0))


async def test_replicas_are_replaced_one_by_one_each_only_when_another_is_ready(world: World) -> None:
    gate = 'name = f"loading-{os.getpid()}"; (HERE / name).touch()\n'
    gate += "            while not (HERE / 'go').exists(): time.sleep(0.001)"
    async with world.serving(version(1), replicas=3) as pool:
        await world.facts.wait_for("replica.ready", 3)
        pool.serve(world.api(version(2, before=gate), replicas=3))
        await world.facts.wait_for("replica.started", 4)
        await world.begun(f"loading-{world.pid(3)}")
        assert (await world.run()).result == b"1", "the old ones serve until then"
        assert len(world.facts.of("replica.started")) == 4, "one at a time"
        assert world.facts.of("replica.retired") == []
        (world.folder / "go").touch()
        await world.facts.wait_for("replica.retired", 3)
        assert {(await world.run()).result for _ in range(6)} == {b"2"}
        order = [name for name, _ in world.facts.seen if name in {"replica.ready", "replica.retired"}][3:]
        standing = 3
        for name in order:
            standing += 1 if name == "replica.ready" else -1
            assert 3 <= standing <= 4, order
        assert (world.store.replicas(API).ready, world.store.replicas(API).starting) == (3, 0)


async def test_a_version_that_does_not_start_leaves_the_old_one_serving_and_is_tried_again(world: World) -> None:
    broken = "if not (HERE / 'mended').exists(): raise OSError('no model')"
    async with world.serving(version(1), replicas=2) as pool:
        await world.facts.wait_for("replica.ready", 2)
        pool.serve(world.api(version(2, before=broken), replicas=2))
        await world.facts.wait_for("replica.broken", 3)
        assert {(await world.run()).result for _ in range(10)} == {b"1"}, "work does not make it start faster"
        state = world.store.replicas(API)
        assert (state.ready, state.starting) == (2, 0)
        assert "no model" in str(state.problem)
        assert world.facts.of("replica.retired") == []
        assert [bool(each["traceback"]) for each in world.facts.of("replica.broken")][:3] == [True, False, False]
        (world.folder / "mended").touch()
        await world.facts.wait_for("replica.retired", 2)
        assert (await world.run()).result == b"2"
        assert world.store.replicas(API).problem is None


async def test_a_third_version_overtakes_a_second_that_is_still_loading(world: World) -> None:
    async with world.serving(version(1)) as pool:
        await world.facts.wait_for("replica.ready", 1)
        pool.serve(world.api(version(2, before="time.sleep(60)")))
        await world.facts.wait_for("replica.started", 2)
        pool.serve(world.api(version(3)))
        await world.facts.wait_for("replica.retired", 2)
        assert (await world.run()).result == b"3"


async def test_an_old_replica_that_dies_meanwhile_is_replaced_by_a_new_one(world: World) -> None:
    async with world.serving(version(1)) as pool:
        await world.facts.wait_for("replica.ready", 1)
        slow = "while not (HERE / 'go').exists(): time.sleep(0.001)"
        pool.serve(world.api(version(2, before=slow)))
        await world.facts.wait_for("replica.started", 2)
        os.kill(world.pid(0), signal.SIGKILL)
        await world.facts.wait_for("replica.lost", 1)
        (world.folder / "go").touch()
        assert (await world.run()).result == b"2"
        assert len(world.facts.of("replica.started")) == 2


async def test_who_is_told_is_what_the_file_says_at_the_end(world: World) -> None:
    def ringing(key: str) -> Api:
        return world.api(version(1), webhooks=(Endpoint(key=key, url="http://127.0.0.1:1/"),))

    async with world.serving(version(1)) as pool:
        pool.serve(ringing("before"))
        await world.submit(b'"wait"', "w")
        await world.begun("begun-w")
        pool.serve(ringing("after"))
        (world.folder / "enough").touch()
        await world.ended("w")
        assert [each.endpoint for each in await world.store.deliveries(API, "w")] == ["after"]


# ── A fresh one after so many ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("recycle_after", "concurrency"), [(1, 1), (3, 1), (20, 1), (4, 2)])
async def test_no_replica_runs_more_than_it_may(world: World, recycle_after: int, concurrency: int) -> None:
    async with world.serving("return os.getpid()", recycle_after=recycle_after, concurrency=concurrency):
        ids = [await world.submit() for _ in range(2 * recycle_after + 3)]
        ended = [await world.ended(each) for each in ids]
        ran = Counter(each.result for each in ended)
        assert {each.status for each in ended} == {Status.COMPLETED}
        assert max(ran.values()) == recycle_after
        await world.facts.wait_for("replica.retired", len(ran) - 1)
    assert world.facts.of("replica.lost") == []


async def test_the_fresh_one_is_ready_before_the_other_has_had_its_share(world: World) -> None:
    async with world.serving("return os.getpid()", recycle_after=40) as pool:
        await world.facts.wait_for("replica.ready", 1)
        for _ in range(36):
            await world.run()
        await world.facts.wait_for("replica.ready", 2)
        await world.facts.wait_for("replica.retired", 1)
        assert (await world.run()).result == b"%d" % world.pid(1)
        assert pool._crew.wanted == 1


async def test_a_fresh_one_takes_over_while_the_last_workload_runs(world: World) -> None:
    async with world.serving(UNTIL_TOLD, recycle_after=1):
        await world.submit(workload_id="long")
        await world.begun("begun-long")
        await world.facts.wait_for("replica.ready", 2)
        (world.folder / "enough-quick").touch()
        await world.submit(workload_id="quick")
        assert (await world.ended("quick")).result == b"%d" % world.pid(1)
        (world.folder / "enough-long").touch()
        assert (await world.ended("long")).result == b"%d" % world.pid(0)


async def test_the_share_is_the_files_at_the_time_of_the_start(world: World) -> None:
    async with world.serving("return os.getpid()") as pool:
        pool.serve(replace(world.api("return os.getpid()"), recycle_after=2))
        await world.facts.wait_for("replica.retired", 1)
        assert len({(await world.run()).result for _ in range(4)}) == 2


async def test_an_api_that_is_back_before_the_last_workload_has_ended_is_ready_all_the_while(world: World) -> None:
    async with world.serving(UNTIL_TOLD) as before:
        await world.submit(workload_id="long")
        await world.begun("begun-long")
        leaving = asyncio.create_task(before.leave())
        await eventually(lambda: world.store.replicas(API).ready == 0)
        async with world.serving(UNTIL_TOLD):
            await world.facts.wait_for("replica.ready", 2)
            assert (world.store.own_replicas(API).ready, leaving.done()) == (1, False)
            (world.folder / "enough-long").touch()
            await leaving
            assert world.store.own_replicas(API).ready == 1
