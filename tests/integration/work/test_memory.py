"""Replicas that use too much memory, and what they leave running when they are killed."""

from __future__ import annotations

import os
import signal

import pytest

from ringback.core.spec import Compute, Retries
from ringback.core.workload import Status
from ringback.work.memory import Reaper
from support.stores import API
from support.world import World, until_gone

LIMIT = Compute(mem_bytes=100 * 2**20)

GROWS = """
if payload:
    held = bytearray(200 * 2**20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(60)
return workload.attempt
"""


@pytest.mark.every_engine
async def test_a_workload_that_takes_too_much_memory_is_ended_and_the_next_runs(world: World) -> None:
    async with world.serving(GROWS, compute=LIMIT, retries=Retries(max_losses=2)):
        hungry, modest = await world.submit(b"true"), await world.submit(b"false")
        lost, fine = await world.ended(hungry), await world.ended(modest)
    assert lost.error is not None
    assert lost.error.type == "out_of_memory"
    assert lost.error.message.startswith("the replica running it was lost 2 times; the last one used ")
    assert lost.error.message.endswith("of memory, over its limit of 100MiB (compute.mem)")
    assert lost.attempt == 2
    assert fine.status is Status.COMPLETED


@pytest.mark.every_engine
async def test_what_its_children_take_counts(world: World) -> None:
    predict = """
    import subprocess
    if payload:
        code = "held = b'x' * (200 * 2**20); import time; time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", code])
        (HERE / "child").write_text(str(child.pid))
        child.wait()
    """
    async with world.serving(predict, compute=LIMIT, retries=Retries(max_losses=1)):
        error = (await world.run(b"true")).error
    assert error is not None
    assert error.type == "out_of_memory"
    await until_gone(int((world.folder / "child").read_text()))


async def test_memory_that_is_shared_is_not_counted_twice(world: World) -> None:
    predict = """
    held = bytearray(60 * 2**20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    children = []
    for _ in range(3):
        if (child := os.fork()) == 0:
            time.sleep(1.5)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return "fine"
    """
    async with world.serving(predict, compute=LIMIT, retries=Retries(max_losses=1)):
        assert (await world.run()).result == b'"fine"'


@pytest.mark.every_engine
async def test_a_predictor_that_is_too_large_to_load_says_so(world: World) -> None:
    predictor = """
    class PythonPredictor:
        def __init__(self):
            self.model = bytearray(200 * 2**20)
            for place in range(0, len(self.model), 4096):
                self.model[place] = 1
            time.sleep(60)
        def predict(self, payload):
            return 1
    """
    async with world.serving(predictor, compute=LIMIT):
        await world.facts.wait_for("replica.broken", 1)
        problem = world.store.replicas(API).problem
    assert problem is not None
    assert "over its limit of 100MiB (compute.mem)" in problem


async def test_raising_memory_error_is_predicts_own_failure(world: World) -> None:
    async with world.serving("raise MemoryError('too many flowers')"):
        error = (await world.run()).error
        assert error is not None
        assert (error.type, error.message) == ("MemoryError", "too many flowers")
    assert world.facts.of("replica.lost") == []


async def test_a_kill_by_the_kernel_for_lack_of_memory_is_told_apart(world: World) -> None:
    kills = 0
    engine = world.engine(reaper=Reaper(lambda: kills))
    predict = '(HERE / f"begun-{workload.attempt}").touch()\ntime.sleep(60)'
    async with world.serving(predict, engine=engine, retries=Retries(max_losses=2)):
        workload_id = await world.submit()
        await world.begun("begun-1")
        kills += 1
        os.kill(world.pid(), signal.SIGKILL)
        await world.begun("begun-2")
        os.kill(world.pid(), signal.SIGKILL)
        by_hand = (await world.ended(workload_id)).error
        assert by_hand is not None
        assert by_hand.type == "replica_lost", "the last of them names the failure"
        first, second = (str(fact["reason"]) for fact in world.facts.of("replica.lost"))
    assert first == "was killed by the kernel for lack of memory"
    assert "SIGKILL" in second


async def test_what_a_replica_has_started_ends_with_it(world: World) -> None:
    predict = """
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    (HERE / "child").write_text(str(child.pid))
    child.wait()
    """
    async with world.serving(predict, timeout_seconds=0.5):
        await world.run()
        await until_gone(int((world.folder / "child").read_text()))
