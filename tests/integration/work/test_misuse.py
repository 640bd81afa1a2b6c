"""What user code may do to its own process: a workload ends with its cause all the same, and so do those after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import pytest

from ringback.core.spec import Retries
from ringback.core.workload import Status
from support.stores import API
from support.world import World, until_gone


@pytest.mark.every_engine
async def test_a_replica_that_dies_is_missed_although_a_fork_of_it_lives_on(world: World) -> None:
    await _fork_and_die(world, "pass")


async def test_so_it_is_although_the_fork_has_a_session_of_its_own(world: World) -> None:
    await _fork_and_die(world, "os.setsid()")


async def _fork_and_die(world: World, leaves: str) -> None:
    predict = f"""
    if payload:
        if (child := os.fork()) == 0:
            {leaves}
            (HERE / str(os.getpid())).touch()
            time.sleep(600)
        while not (HERE / str(child)).exists():
            time.sleep(0.001)
        os._exit(3)
    return "fine"
    """
    try:
        async with world.serving(predict, retries=Retries(max_losses=1)), asyncio.timeout(20):
            lost, fine = await world.run(b"true"), await world.run(b"false")
    finally:
        for each in world.folder.glob("[0-9]*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(each.name), signal.SIGKILL)
            await until_gone(int(each.name))
    assert lost.error is not None
    assert (lost.error.type, "exited with status 3" in lost.error.message) == ("replica_lost", True)
    assert fine.result == b'"fine"'


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_fork_that_comes_out_of_predict_does_not_answer_for_it(world: World, concurrency: int) -> None:
    predict = """
    (workload.folder / "kept").touch()
    if (child := os.fork()) == 0:
        raise RuntimeError("in the fork")
    os.waitpid(child, 0)
    return (workload.folder / "kept").exists()
    """
    async with world.serving(predict, concurrency=concurrency):
        workload = await world.run()
    assert (workload.status, workload.result, workload.error) == (Status.COMPLETED, b"true", None)


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("deed", ["sys.stderr = None", "sys.stderr.close()", "sys.stdout = sys.stderr = None"])
async def test_a_failure_is_told_without_standard_streams(world: World, deed: str, concurrency: int) -> None:
    predict = f"{deed}\nraise OSError('no model')"
    async with world.serving(predict, concurrency=concurrency), asyncio.timeout(10):
        ended = [await world.run() for _ in range(3)]
    assert {(each.error.type, each.error.message) for each in ended if each.error} == {("OSError", "no model")}
    assert len(world.facts.of("replica.started")) == 1


async def test_words_with_half_characters_are_told_without_them(world: World) -> None:
    """As they come from names of files that are no UTF-8."""
    predictor = """
    class PythonPredictor:
        def __init__(self, metrics_client):
            if not (HERE / "mended").exists():
                raise OSError("no model at m\\udcff")
            self.metrics = metrics_client
        def predict(self):
            self.metrics.increment("files\\udcff", tags={"name": "m\\udcff"})
            raise OSError("no file f\\udcff")
    """
    async with world.serving(predictor):
        await world.facts.wait_for("replica.broken", 1)
        assert "no model at m? (" in str(world.store.replicas(API).problem)
        (world.folder / "mended").touch()
        failed = await world.run()
    assert failed.error is not None
    assert failed.error.message == "no file f?"
    [told] = world.facts.of("predictor.metric")
    assert (told["metric"]["name"], told["metric"]["labels"]) == ("files?", {"name": "m?"})  # type: ignore[index]


async def test_one_that_closes_all_it_does_not_know_is_told_what_that_may_have_been(world: World) -> None:
    async with world.serving("os.closerange(3, 256)\ntime.sleep(60)", retries=Retries(max_losses=1)):
        lost = await world.run()
    assert lost.error is not None
    assert "closed its line to the server" in lost.error.message
