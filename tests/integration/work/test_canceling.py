"""Cancel with real replicas: told first, then by force, and nobody else the worse for it."""

from __future__ import annotations

import asyncio
import os
from time import perf_counter

import pytest

from ringback.core.workload import Ending, Status
from support.stores import API, SqliteBackend, submission
from support.world import World

HEEDS = """
(HERE / f"begun-{request_id}").touch()
while not workload.cancelled:
    time.sleep(0.001)
(HERE / f"heeded-{request_id}").touch()
return "partly done"
"""
STUBBORN = """
(HERE / f"begun-{request_id}").touch()
if payload == "stubborn":
    time.sleep(60)
return os.getpid()
"""


async def ends_canceled(world: World, workload_id: str) -> None:
    workload = await world.ended(workload_id)
    assert (workload.status, workload.result, workload.error) == (Status.CANCELED, None, None)


@pytest.mark.every_engine
async def test_one_that_heeds_it_ends_by_itself_and_its_replica_goes_on(world: World) -> None:
    async with world.serving(HEEDS):
        for _ in range(2):
            workload_id = await world.submit()
            await world.begun(f"begun-{workload_id}")
            await world.store.cancel(API, workload_id, [])
            await ends_canceled(world, workload_id)
            assert (world.folder / f"heeded-{workload_id}").exists()
            [made] = (await world.store.describe(API, workload_id)).attempts
            assert (made.number, made.ending) == (1, Ending.CANCELED)
    assert len(world.facts.of("replica.started")) == 1
    statuses = [each["status"] for each in world.facts.of("workload.finished")]
    assert statuses == ["canceled", "canceled"]


@pytest.mark.every_engine
@pytest.mark.parametrize("grace", [0.0, 0.3])
async def test_one_in_native_code_is_killed_after_its_grace_and_the_next_runs_on_a_fresh_replica(
    world: World, grace: float
) -> None:
    async with world.serving(STUBBORN, cancel_grace_seconds=grace) as pool:
        for count in range(1, 4):
            workload_id = await world.submit(b'"stubborn"')
            await world.begun(f"begun-{workload_id}")
            asked = perf_counter()
            await world.store.cancel(API, workload_id, [])
            await ends_canceled(world, workload_id)
            assert grace <= perf_counter() - asked
            assert len(world.facts.of("replica.lost")) == count
        assert "killed by the server" in str(world.facts.of("replica.lost")[0]["reason"])
        assert pool._crew._failures == 0, "killed for a cancel is no failure: the replacements come without a wait"
        after = await world.run()
        assert after.result == b"%d" % world.pid()
    assert len(world.facts.of("replica.started")) == 4


async def test_one_handed_over_behind_another_is_dropped_at_once(world: World) -> None:
    predict = """
    (HERE / f"begun-{request_id}").touch()
    while payload == "holds" and not (HERE / "enough").exists():
        time.sleep(0.001)
    return workload.attempt
    """
    async with world.serving(predict):
        for _ in range(20):
            await world.run(b'"quick"')  # quick ones teach the pool to hand over ahead
        first, behind, last = [
            await world.submit(payload, name)
            for payload, name in ((b'"holds"', "first"), (b'"quick"', "behind"), (b'"quick"', "last"))
        ]
        await world.begun("begun-first")
        await world.store.cancel(API, behind, [])
        await ends_canceled(world, behind)
        assert (await world.store.get(API, first)).status is Status.IN_PROGRESS
        (world.folder / "enough").touch()
        assert (await world.ended(first)).result == b"1"
        assert (await world.ended(last)).status is Status.COMPLETED
    assert not (world.folder / "begun-behind").exists()
    assert len(world.facts.of("replica.started")) == 1


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_coroutine_is_cancelled_where_it_waits(world: World, concurrency: int) -> None:
    predictor = """
    class PythonPredictor:
        async def predict(self, payload, request_id):
            (HERE / f"begun-{request_id}").touch()
            try:
                await asyncio.sleep(60 if payload == "long" else 0)
            except asyncio.CancelledError:
                (HERE / f"cancelled-{request_id}").touch()
                raise
            return 7
    """
    async with world.serving(predictor, concurrency=concurrency, cancel_grace_seconds=60):
        workload_id = await world.submit(b'"long"')
        await world.begun(f"begun-{workload_id}")
        await world.store.cancel(API, workload_id, [])
        await ends_canceled(world, workload_id)
        assert (world.folder / f"cancelled-{workload_id}").exists()
        assert (await world.run(b'"short"')).result == b"7"
    assert len(world.facts.of("replica.started")) == 1


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_generator_is_closed(world: World, kind: str) -> None:
    predictor = f"""
    class PythonPredictor:
        {kind} predict(self, payload, request_id):
            try:
                while True:
                    (HERE / f"begun-{{request_id}}").touch()
                    yield 1
                    {"await asyncio.sleep" if kind == "async def" else "time.sleep"}(0.005)
            finally:
                (HERE / f"closed-{{request_id}}").touch()
    """
    async with world.serving(predictor, cancel_grace_seconds=60):
        workload_id = await world.submit()
        await world.begun(f"begun-{workload_id}")
        await world.store.cancel(API, workload_id, [])
        await ends_canceled(world, workload_id)
        assert (world.folder / f"closed-{workload_id}").exists()
    assert len(world.facts.of("replica.started")) == 1


@pytest.mark.every_engine
async def test_neighbours_of_one_that_must_be_killed_are_given_back_and_spend_nothing(world: World) -> None:
    predict = """
    (HERE / f"begun-{request_id}-{workload.attempt}").touch()
    if payload == "stubborn" or workload.attempt == 1:
        time.sleep(60)
    return workload.attempt
    """
    async with world.serving(predict, concurrency=3, cancel_grace_seconds=0.2):
        stubborn = await world.submit(b'"stubborn"', "stubborn")
        neighbours = [await world.submit(b"null", f"neighbour-{number}") for number in range(2)]
        await world.begun(*(f"begun-{each}-1" for each in (stubborn, *neighbours)))
        await world.store.cancel(API, stubborn, [])
        await ends_canceled(world, stubborn)
        for each in neighbours:
            assert (await world.ended(each)).result == b"2"
            record = await world.store.describe(API, each)
            assert (record.raised, record.losses) == (0, 0)
            assert [made.ending for made in record.attempts] == [Ending.INTERRUPTED, Ending.COMPLETED]


async def test_threads_heed_it_without_harm_to_their_neighbours(world: World) -> None:
    predict = """
    (HERE / f"begun-{request_id}").touch()
    while not workload.cancelled and not (HERE / "enough").exists():
        time.sleep(0.001)
    return "to the end"
    """
    async with world.serving(predict, concurrency=2, cancel_grace_seconds=60):
        one, another = await world.submit(workload_id="one"), await world.submit(workload_id="another")
        await world.begun("begun-one", "begun-another")
        await world.store.cancel(API, one, [])
        await ends_canceled(world, one)
        (world.folder / "enough").touch()
        assert (await world.ended(another)).result == b'"to the end"'
    assert len(world.facts.of("replica.started")) == 1


async def test_raising_or_dying_when_told_to_stop_is_canceled_all_the_same(world: World) -> None:
    predict = """
    (HERE / f"begun-{request_id}").touch()
    while not workload.cancelled:
        time.sleep(0.001)
    if payload == "raises":
        raise ValueError("stopped")
    os._exit(3)
    """
    async with world.serving(predict):
        for payload in (b'"raises"', b'"dies"'):
            workload_id = await world.submit(payload)
            await world.begun(f"begun-{workload_id}")
            await world.store.cancel(API, workload_id, [])
            await ends_canceled(world, workload_id)
            assert len((await world.store.describe(API, workload_id)).attempts) == 1


async def test_a_cancel_in_the_very_commit_of_the_claim_is_heeded(world: World) -> None:
    async with world.serving(HEEDS, cancel_grace_seconds=60):
        await world.facts.wait_for("replica.ready", 1)
        for number in range(20):
            submitted = world.store.submit(submission(workload_id=f"w{number}"))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            await asyncio.gather(submitted, world.store.cancel(API, f"w{number}", []))
            await ends_canceled(world, f"w{number}")
    assert len(world.facts.of("replica.started")) == 1


async def test_a_retried_one_that_was_canceled_is_not_canceled_again(world: World) -> None:
    predict = """
    (HERE / f"begun-{workload.attempt}").touch()
    while workload.attempt == 1 and not workload.cancelled:
        time.sleep(0.001)
    return [workload.attempt, workload.cancelled]
    """
    async with world.serving(predict):
        workload_id = await world.submit()
        await world.begun("begun-1")
        await world.store.cancel(API, workload_id, [])
        await ends_canceled(world, workload_id)
        await world.store.retry(API, workload_id)
        assert (await world.ended(workload_id)).result == b"[2,false]"


async def test_an_erased_one_is_stopped(world: World) -> None:
    async with world.serving(HEEDS, cancel_grace_seconds=60):
        workload_id = await world.submit()
        await world.begun(f"begun-{workload_id}")
        await world.store.erase(API, workload_id)
        await world.begun(f"heeded-{workload_id}")
        await world.facts.wait_for("workload.finished", 1)
    assert (await world.store.depths())[API].in_progress == 0


async def test_a_cancel_asked_of_another_member_is_noticed(world: World) -> None:
    elsewhere = SqliteBackend(world.store._session.path, clock=world.clock)
    other = await elsewhere.open()
    try:
        async with world.serving(HEEDS, cancel_grace_seconds=60):
            workload_id = await world.submit()
            await world.begun(f"begun-{workload_id}")
            asked = perf_counter()
            await other.cancel(API, workload_id, [])
            await ends_canceled(world, workload_id)
            assert perf_counter() - asked < 5
    finally:
        await elsewhere.close()


async def test_a_drain_ends_what_was_canceled_meanwhile(world: World) -> None:
    async with world.serving(STUBBORN, cancel_grace_seconds=60, grace_seconds=0.1):
        workload_id = await world.submit(b'"stubborn"')
        await world.begun(f"begun-{workload_id}")
        await world.store.cancel(API, workload_id, [])
    assert (await world.store.get(API, workload_id)).status is Status.CANCELED


@pytest.mark.every_engine
async def test_what_it_has_started_is_killed_with_it(world: World) -> None:
    predict = """
    import subprocess
    child = subprocess.Popen(["sleep", "60"])
    (HERE / "child").write_text(str(child.pid))
    (HERE / "begun").touch()
    child.wait()
    """
    async with world.serving(predict, cancel_grace_seconds=0.1):
        workload_id = await world.submit()
        await world.begun("begun")
        pid = int((world.folder / "child").read_text())
        await world.store.cancel(API, workload_id, [])
        await ends_canceled(world, workload_id)
        async with asyncio.timeout(10):
            while is_alive(pid):
                await asyncio.to_thread(os.sched_yield)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - short and here alone
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
