"""checkpoint and resume with real replicas, however predict runs."""

from __future__ import annotations

import os
import signal

import pytest

from ringback.core.spec import Retries
from ringback.core.workload import Status
from support.stores import API
from support.world import World

STEPS = """
before = workload.resume()
if before is None:
    workload.checkpoint(b"half way \\x00\\xff")
    (HERE / f"kept-{request_id}").touch()
    if payload == "dies":
        time.sleep(60)
    raise ValueError("again")
return [before.hex(), workload.attempt]
"""
HALF_WAY = b"half way \x00\xff".hex().encode()


@pytest.mark.every_engine
async def test_a_retry_by_policy_goes_on_from_the_checkpoint(world: World) -> None:
    async with world.serving(STEPS, retries=Retries(max_attempts=2, initial_seconds=0.0)):
        assert (await world.run()).result == b'["%b",2]' % HALF_WAY


@pytest.mark.every_engine
async def test_a_lost_replica_leaves_its_checkpoint(world: World) -> None:
    async with world.serving(STEPS):
        workload_id = await world.submit(b'"dies"')
        await world.begun(f"kept-{workload_id}")
        os.kill(world.pid(), signal.SIGKILL)
        assert (await world.ended(workload_id)).result == b'["%b",2]' % HALF_WAY


async def test_a_retry_by_hand_goes_on_too(world: World) -> None:
    async with world.serving(STEPS):
        failed = await world.run()
        assert failed.status is Status.FAILED
        await world.store.retry(API, failed.id)
        assert (await world.ended(failed.id)).result == b'["%b",2]' % HALF_WAY


async def test_the_latest_counts_within_an_attempt_too(world: World) -> None:
    predict = """
    seen = [workload.resume()]
    for data in (b"1", b"", bytearray(b"3")):
        workload.checkpoint(data)
        seen.append(workload.resume().decode())
    return seen
    """
    async with world.serving(predict):
        assert (await world.run()).result == b'[null,"1","","3"]'


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("'text'", "TypeError: a checkpoint is bytes, not str"),
        ("bytes(2**24 + 1)", "ValueError: a checkpoint is at most"),
    ],
)
async def test_what_cannot_be_kept_is_told_to_predict(world: World, given: str, told: str) -> None:
    predict = f"""
    workload.checkpoint(bytes(2**24))
    try:
        workload.checkpoint({given})
    except (TypeError, ValueError) as error:
        return f"{{type(error).__name__}}: {{error}}"
    """
    async with world.serving(predict):
        assert told.encode() in (await world.run()).result


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("call", ["workload.checkpoint(data)", "await asyncio.to_thread(workload.checkpoint, data)"])
async def test_a_coroutine_keeps_checkpoints(world: World, call: str, concurrency: int) -> None:
    predictor = f"""
    class PythonPredictor:
        async def predict(self, payload, workload):
            for number in range(20):
                data = b"%d" % number
                {call}
                await asyncio.sleep(0)
            return workload.resume().decode()
    """
    async with world.serving(predictor, concurrency=concurrency):
        ids = [await world.submit() for _ in range(concurrency)]
        assert {(await world.ended(each)).result for each in ids} == {b'"19"'}


async def test_threads_of_predicts_own_keep_checkpoints_while_it_waits(world: World) -> None:
    predict = """
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(workload.checkpoint, (b"%d" % number for number in range(50))))
    return workload.resume() is not None
    """
    for concurrency in (1, 2):
        async with world.serving(predict, concurrency=concurrency):
            assert (await world.run()).result == b"true"


async def test_a_checkpoint_of_one_that_was_erased_is_refused(world: World) -> None:
    predict = """
    workload.checkpoint(b"1")
    (HERE / "begun").touch()
    while not workload.cancelled:
        time.sleep(0.001)
    try:
        workload.checkpoint(b"2")
    except RuntimeError as error:
        (HERE / "refused").write_text(str(error))
    """
    async with world.serving(predict, cancel_grace_seconds=60):
        workload_id = await world.submit()
        await world.begun("begun")
        await world.store.erase(API, workload_id)
        await world.begun("refused")
        await world.facts.wait_for("workload.finished", 1)
    assert "not this replica's any more" in (world.folder / "refused").read_text()
