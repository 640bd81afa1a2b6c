"""A pool with real replicas over a real store: what becomes of workloads, and of replicas that fail them."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from ringback.core.queueing import Wish
from ringback.core.spec import Retries
from ringback.core.workload import Status
from ringback.store.contract import Store
from support.stores import API, submission
from support.world import World, until_gone


async def status_of(store: Store, workload_id: str) -> tuple[Status, int]:
    workload = await store.get(API, workload_id)
    return workload.status, workload.attempt


# ── Outcomes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
async def test_what_predict_returns_is_the_result(world: World) -> None:
    async with world.serving("return {'got': payload, 'id': request_id, 'attempt': workload.attempt}"):
        workload = await world.run(b'{"n": 12345678901234567890}')
    assert workload.status is Status.COMPLETED
    assert workload.result == b'{"got":{"n":12345678901234567890},"id":"%s","attempt":1}' % workload.id.encode()


async def test_raising_fails_the_workload_and_not_the_replica(world: World) -> None:
    async with world.serving("if payload == 0: raise ValueError('not a flower')\nreturn payload"):
        failed, fine = await world.run(b"0"), await world.run(b"1")
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("ValueError", "not a flower")
    assert fine.status is Status.COMPLETED
    assert len(world.facts.of("replica.started")) == 1


async def test_raising_is_forgiven_as_often_as_the_file_says(world: World) -> None:
    predict = "if workload.attempt < 3: raise ValueError(workload.attempt)\nreturn workload.attempt"
    async with world.serving(predict, retries=Retries(max_attempts=3, initial_seconds=60)):
        workload_id = await world.submit()
        for attempt in (1, 2):
            await world.facts.wait_for("workload.requeued", attempt)
            assert await status_of(world.store, workload_id) == (Status.IN_QUEUE, attempt)
            world.clock.wind(60 * attempt)
            world.store._session.meeting.queued.call_all()
        assert (await world.ended(workload_id)).result == b"3"


async def test_a_result_without_json_form_fails_it(world: World) -> None:
    async with world.serving("return b'bytes'"):
        workload = await world.run()
    assert workload.error is not None
    assert workload.error.type == "result_not_serializable"


# ── Losses ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
async def test_a_killed_replica_is_replaced_and_its_workload_runs_again(world: World) -> None:
    predict = """
    (HERE / f"begun-{workload.attempt}").touch()
    if workload.attempt == 1:
        time.sleep(60)
    return workload.attempt
    """
    async with world.serving(predict):
        workload_id = await world.submit()
        await world.begun("begun-1")
        os.kill(world.pid(), signal.SIGKILL)
        assert (await world.ended(workload_id)).result == b"2"
    assert "SIGKILL" in str(world.facts.of("replica.lost")[0]["reason"])
    assert len(world.facts.of("replica.ready")) == 2


async def test_a_workload_that_kills_its_replicas_fails_with_the_cause(world: World) -> None:
    async with world.serving("os.kill(os.getpid(), signal.SIGSEGV)", retries=Retries(max_losses=2)):
        workload = await world.run()
    assert workload.error is not None
    assert workload.error.type == "replica_lost"
    assert "2 times" in workload.error.message
    assert "SIGSEGV" in workload.error.message
    assert workload.attempt == 2


@pytest.mark.every_engine
async def test_a_replica_that_says_what_is_no_answer_is_killed(world: World) -> None:
    """The socket is there for the taking: whoever writes rubbish on it loses the replica, not the server."""
    predict = """
    import socket
    for each in pathlib.Path("/proc/self/fd").iterdir():
        try:
            end = socket.socket(fileno=os.dup(int(each.name)))
            end.sendall(b"rubbish")
        except OSError:
            pass
    time.sleep(60)
    """
    async with world.serving(predict, retries=Retries(max_losses=1)):
        workload = await world.run()
    assert workload.error is not None
    assert "sent what is no answer" in workload.error.message


@pytest.mark.every_engine
async def test_time_out_ends_the_replica_and_fails_the_workload(world: World) -> None:
    async with world.serving("if payload: time.sleep(60)\nreturn 1", timeout_seconds=0.2):
        late, fine = await world.run(b"true"), await world.run(b"false")
    assert late.error is not None
    assert (late.error.type, late.error.message) == ("timeout", "predict ran longer than its time-out of 0.2 s")
    assert fine.status is Status.COMPLETED


async def test_a_time_out_of_its_own_is_kept_to_beside_one_that_may_take_longer(world: World) -> None:
    predict = "pathlib.Path(HERE / payload).touch()\nwhile payload != 'brief': time.sleep(0.01)\ntime.sleep(60)"
    brief = replace(submission(payload=b'"brief"'), headers=b'{"ringback-timeout": "200ms"}')
    async with world.serving(predict, concurrency=2, grace_seconds=0), asyncio.timeout(20):
        await world.submit(b'"long"')
        await world.begun("long")
        late = await world.ended((await world.store.submit(brief)).id)
    assert late.error is not None
    assert (late.error.type, late.error.message) == ("timeout", "predict ran longer than its time-out of 0.2 s")


async def test_those_behind_one_that_is_lost_lose_nothing(world: World) -> None:
    predict = "if payload == 'bad': os._exit(3)\nreturn workload.attempt"
    async with world.serving(predict, retries=Retries(max_losses=1)):
        for _ in range(20):
            await world.run()  # quick ones teach the pool to hand over ahead
        bad = await world.submit(b'"bad"')
        behind = [await world.submit() for _ in range(20)]
        lost = await world.ended(bad)
        ended = [await world.ended(each) for each in behind]
    assert lost.error is not None
    assert "exited with status 3" in lost.error.message
    assert {each.status for each in ended} == {Status.COMPLETED}


# ── Replicas that do not start ──────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
async def test_init_that_raises_is_said_and_tried_again_until_it_is_mended(world: World) -> None:
    predictor = """
    class PythonPredictor:
        def __init__(self, config):
            if not (HERE / "mended").exists():
                raise OSError("no model")
        def predict(self, payload):
            return 1
    """
    async with world.serving(predictor):
        workload_id = await world.submit()
        await world.facts.wait_for("replica.broken", 2)
        problem = world.store.replicas(API).problem
        assert problem is not None
        assert "PythonPredictor.__init__ raised OSError: no model (predictor.py:" in problem
        assert await status_of(world.store, workload_id) == (Status.IN_QUEUE, 0)
        (world.folder / "mended").touch()
        assert (await world.ended(workload_id)).result == b"1"
        assert world.store.replicas(API).problem is None


async def test_init_that_ends_the_process_is_said_too(world: World) -> None:
    predictor = "class PythonPredictor:\n    def __init__(self): os._exit(4)\n    def predict(self): ..."
    async with world.serving(predictor):
        await world.facts.wait_for("replica.broken", 1)
    assert "exited with status 4 before it was ready" in str(world.facts.of("replica.broken")[0]["reason"])


# ── Kinds of predictors ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_concurrency_runs_several_at_once(world: World, kind: str) -> None:
    wait = "await asyncio.sleep(0.001)" if kind == "async def" else "time.sleep(0.001)"
    predictor = f"""
    class PythonPredictor:
        {kind} predict(self, payload, request_id):
            (HERE / request_id).touch()
            while len(list(HERE.glob("together-*"))) < 3:
                {wait}
            return payload
    """
    async with world.serving(predictor, concurrency=3):
        ids = [await world.submit(b"%d" % number, f"together-{number}") for number in range(3)]
        assert [(await world.ended(each)).result for each in ids] == [b"0", b"1", b"2"]


async def test_an_async_predict_keeps_its_loop(world: World) -> None:
    predictor = """
    class PythonPredictor:
        loop = None
        async def predict(self, payload):
            self.loop, before = asyncio.get_running_loop(), self.loop
            return before is self.loop
    """
    async with world.serving(predictor):
        assert [(await world.run()).result for _ in range(2)] == [b"false", b"true"]


@pytest.mark.every_engine
async def test_several_replicas_share_the_work(world: World) -> None:
    predict = """
    (HERE / f"replica-{os.getpid()}").touch()
    while len(list(HERE.glob("replica-*"))) < 2:
        time.sleep(0.001)
    return os.getpid()
    """
    async with world.serving(predict, replicas=2):
        await world.facts.wait_for("replica.ready", 2)
        assert world.store.replicas(API).ready == 2
        pids = {b"%d" % world.pid(0), b"%d" % world.pid(1)}
        ids = [await world.submit() for _ in range(2)]
        results = {(await world.ended(each)).result for each in ids}
    assert results == pids


async def test_a_long_one_does_not_keep_those_behind_it_from_a_free_replica(world: World) -> None:
    predict = """
    if payload == "long":
        while not (HERE / "enough").exists():
            time.sleep(0.001)
    return payload
    """
    async with world.serving(predict, replicas=2):
        await world.facts.wait_for("replica.ready", 2)
        for _ in range(30):
            await world.run(b'"quick"')
        long = await world.submit(b'"long"')
        quick = [await world.submit(b'"quick"') for _ in range(20)]
        assert {(await world.ended(each)).status for each in quick} == {Status.COMPLETED}
        assert (await world.store.get(API, long)).status is Status.IN_PROGRESS
        (world.folder / "enough").touch()
        assert (await world.ended(long)).result == b'"long"'


@pytest.mark.every_engine
async def test_progress_shows_while_it_runs(world: World) -> None:
    predict = """
    workload.progress(0.25, "a quarter")
    while not (HERE / "seen").exists():
        time.sleep(0.001)
    """
    async with world.serving(predict):
        workload_id = await world.submit()
        async with asyncio.timeout(10):
            while (seen := (await world.store.get(API, workload_id)).progress) is None:
                await asyncio.to_thread(os.sched_yield)
        (world.folder / "seen").touch()
        assert (seen.fraction, seen.message) == (0.25, "a quarter")
        assert (await world.ended(workload_id)).progress is None


@pytest.mark.every_engine
async def test_metrics_of_the_predictors_own_are_facts(world: World) -> None:
    predictor = """
    class PythonPredictor:
        def __init__(self, config, metrics_client):
            self.metrics = metrics_client
        def predict(self, payload):
            self.metrics.increment("flowers", 2, {"kind": "rose"})
    """
    async with world.serving(predictor):
        await world.run()
    assert world.facts.of("predictor.metric") == [
        {"api": API, "metric": {"kind": "increment", "name": "flowers", "value": 2.0, "labels": {"kind": "rose"}}}
    ]


async def test_what_predict_prints_goes_to_the_log_and_not_onto_the_wire(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    async with world.serving(
        "print('on stdout', flush=True)\nprint('on stderr', file=sys.stderr)\nos.write(1, b'raw')"
    ):
        assert (await world.run()).status is Status.COMPLETED
    out, err = capfd.readouterr()
    assert out == ""
    for each in ("on stdout", "on stderr", "raw"):
        assert each in err


# ── Several in hand ─────────────────────────────────────────────────────────────────────────────

QUICK_OR_SLOW = """
if payload == "quick":
    return None
with (HERE / "runs").open("a") as file:
    file.write(f"{request_id}\\n")
time.sleep(0.03)
while not (HERE / "go").exists():
    time.sleep(0.001)
return workload.attempt
"""


async def test_what_was_handed_over_behind_short_ones_comes_back_when_they_turn_out_long(world: World) -> None:
    """Another's single one then waits for what runs and what has begun after it, not for all that was in hand."""
    async with world.serving(QUICK_OR_SLOW) as pool:
        async with asyncio.timeout(60):
            while pool._crew.room < 6:
                await world.run(b'"quick"')
        flood = [
            (await world.store.submit(submission(payload=b'"slow"', workload_id=f"slow{number}"))).id
            for number in range(6)
        ]
        await world.begun("runs")
        single = submission(payload=b'"slow"', workload_id="single", wish=Wish(tenant="navy"))
        await world.store.submit(single)
        (world.folder / "go").touch()
        ended = [await world.ended(each) for each in (*flood, "single")]
    assert {each.status for each in ended} == {Status.COMPLETED}
    runs = (world.folder / "runs").read_text().split()
    assert sorted(runs) == sorted([*flood, "single"]), "each once"
    assert runs.index("single") <= 2, runs
    assert [each.attempt for each in ended[:2]] == [1, 1]


async def test_a_drain_does_not_wait_for_what_comes_back(world: World) -> None:
    async with world.serving(QUICK_OR_SLOW) as pool:
        async with asyncio.timeout(60):
            while pool._crew.room < 6:
                await world.run(b'"quick"')
        for number in range(6):
            await world.submit(b'"slow"', f"slow{number}")
        await world.begun("runs")
        draining = asyncio.ensure_future(pool.drain(20))
        await asyncio.sleep(0)
        (world.folder / "go").touch()
        async with asyncio.timeout(10):
            await draining
    runs = (world.folder / "runs").read_text().split()
    for number in range(6):
        status, _ = await status_of(world.store, f"slow{number}")
        assert status is (Status.COMPLETED if f"slow{number}" in runs else Status.IN_QUEUE)


# ── The end ─────────────────────────────────────────────────────────────────────────────────────

UNTIL_TOLD = """
(HERE / f"begun-{request_id}").touch()
while not (HERE / "enough").exists():
    time.sleep(0.001)
return workload.attempt
"""


async def test_a_drain_lets_what_runs_end_and_gives_back_the_rest(world: World) -> None:
    async with world.serving(UNTIL_TOLD) as pool:
        await world.submit(workload_id="runs")
        await world.begun("begun-runs")
        await world.submit(workload_id="waits")
        draining = asyncio.ensure_future(pool.drain(20))
        await asyncio.sleep(0)
        (world.folder / "enough").touch()
        await draining
    assert await status_of(world.store, "runs") == (Status.COMPLETED, 1)
    assert (await status_of(world.store, "waits"))[0] is Status.IN_QUEUE


@pytest.mark.every_engine
async def test_a_drain_whose_time_is_up_gives_back_what_runs_and_spends_nothing(world: World) -> None:
    async with world.serving(UNTIL_TOLD, retries=Retries(max_attempts=1, max_losses=1)) as pool:
        await world.submit(workload_id="runs")
        await world.begun("begun-runs")
        await pool.drain(0.05)
    assert await status_of(world.store, "runs") == (Status.IN_QUEUE, 1)
    [again], _ = await world.store.claim(API, 1)
    assert (again.raised, again.losses) == (0, 0)


async def test_a_drain_whose_time_is_up_leaves_no_process_behind(world: World) -> None:
    async with world.serving(UNTIL_TOLD) as pool:
        await world.submit(workload_id="runs")
        await world.begun("begun-runs")
        pid = world.pid()
        await pool.drain(0)
        with pytest.raises(ProcessLookupError):  # one that nobody has waited for is still there to be signalled
            os.kill(pid, 0)


@pytest.mark.every_engine
async def test_an_abandoned_pool_ends_its_replicas_and_says_nothing(world: World) -> None:
    async with world.serving(UNTIL_TOLD) as pool:
        await world.submit(workload_id="runs")
        await world.begun("begun-runs")
        pid = world.pid()
        pool.abandon()
        await until_gone(pid)
    assert await status_of(world.store, "runs") == (Status.IN_PROGRESS, 1)


async def test_a_stopped_replica_is_ended_by_the_time_out(world: World) -> None:
    async with world.serving(UNTIL_TOLD, timeout_seconds=0.4) as pool:
        pool._api = replace(pool._api, retries=Retries(max_attempts=1))
        await world.submit(workload_id="runs")
        await world.begun("begun-runs")
        os.kill(world.pid(), signal.SIGSTOP)
        error = (await world.ended("runs")).error
    assert error is not None
    assert error.type == "timeout"
