"""What real replicas print: whose it is, in which order, how much of it is kept, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise

import pytest

from ringback.core.journal import LeftOut, Moved, Said
from ringback.core.spec import Retries
from ringback.core.workload import Output, Progress, Status
from ringback.work.child.transcript import BURST_LINES, HEAD_LINES
from ringback.work.journals import TAIL_BYTES
from support.journals import entries_of, happenings_of, log_of
from support.world import World

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} iris/(\d+)(?: (\S+))?: (.*)$")

Capture = pytest.CaptureFixture[str]


def lines_of(log: str) -> list[tuple[str | None, str]]:
    """The lines of the server's log that replicas have printed: the workload, and what it said."""
    return [(found[2], found[3]) for line in log.splitlines() if (found := LINE.match(line))]


# ── Whose it is ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
@pytest.mark.every_engine
async def test_all_that_predict_prints_is_its_log_and_in_the_servers_too(world: World, capfd: Capture) -> None:
    predict = """
    import ctypes, logging, subprocess
    print("with print")
    logging.getLogger("flowers").warning("with logging")
    sys.stderr.write("on standard error\\n")
    os.write(1, b"past Python\\n")
    ctypes.CDLL(None).puts(b"in C"); ctypes.CDLL(None).fflush(None)
    subprocess.run(["echo", "in a subprocess"])
    print("no end of line", end="")
    """
    async with world.serving(predict):
        workload = await world.run()
    expected = [
        "with print",
        "WARNING flowers: with logging",
        "on standard error",
        "past Python",
        "in C",
        "in a subprocess",
        "no end of line",
    ]
    assert (await log_of(world.store, workload.id)).splitlines() == expected
    out, err = capfd.readouterr()
    assert out == ""
    assert lines_of(err) == [(workload.id, line) for line in expected]


async def test_what_is_printed_while_the_predictor_loads_is_the_replicas(world: World, capfd: Capture) -> None:
    predictor = """
    print("importing")
    class PythonPredictor:
        def __init__(self): print("loading")
        def predict(self): print("predicting")
    """
    async with world.serving(predictor):
        workload = await world.run()
    assert await log_of(world.store, workload.id) == "predicting\n"
    assert lines_of(capfd.readouterr().err) == [(None, "importing"), (None, "loading"), (workload.id, "predicting")]


async def test_a_predictor_that_cannot_load_says_how_it_came_about_once(world: World) -> None:
    async with world.serving("class PythonPredictor:\n    def __init__(self): raise OSError('no model')"):
        await world.facts.wait_for("replica.broken", 3)
    first, *others = (str(fact["traceback"]) for fact in world.facts.of("replica.broken"))
    assert first.startswith("Traceback (most recent call last):\n")
    assert f'File "{world.folder / "predictor.py"}", line ' in first
    assert first.endswith("OSError: no model\n")
    assert set(others) == {""}, "tried again, it says the same"


async def test_the_traceback_of_a_failure_is_in_its_log(world: World) -> None:
    async with world.serving("raise ValueError('no flower')"):
        workload = await world.run()
    log = await log_of(world.store, workload.id)
    assert log.startswith(f"ERROR ringback.replica: workload {workload.id} failed\nTraceback")
    assert log.endswith("ValueError: no flower\n")


async def test_each_workload_has_its_own_words_however_fast_they_follow(world: World) -> None:
    predict = "print(request_id); os.write(2, request_id.encode() + b' again\\n'); return 1"
    async with world.serving(predict, replicas=2):
        for _ in range(20):
            await world.run()  # quick ones teach the pool to hand over ahead
        ids = [await world.submit() for _ in range(200)]
        for each in ids:
            await world.ended(each)
    for each in ids:
        assert await log_of(world.store, each) == f"{each}\n{each} again\n"


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_those_that_run_at_once_are_told_apart(world: World, capfd: Capture, kind: str) -> None:
    wait = "await asyncio.sleep(0.001)" if kind == "async def" else "time.sleep(0.001)"
    predictor = f"""
    import logging
    logging.basicConfig(level="INFO", force=True)
    class PythonPredictor:
        {kind} predict(self, payload, request_id):
            (HERE / request_id).touch()
            print("one", end=" ")
            while len(list(HERE.glob("together-*"))) < 3:
                {wait}
            print("line of", request_id)
            logging.info("and of %s", request_id)
            sys.stdout.buffer.write(b"bytes of " + request_id.encode() + b"\\n")
            os.write(1, b"nobody's\\n")
    """
    async with world.serving(predictor, concurrency=3):
        ids = [await world.submit(workload_id=f"together-{number}") for number in range(3)]
        for each in ids:
            await world.ended(each)
    for each in ids:
        assert await log_of(world.store, each) == f"one line of {each}\nINFO:root:and of {each}\nbytes of {each}\n"
    told = lines_of(capfd.readouterr().err)
    # What lay in the pipe when the replica was ended is told by the server itself.
    overheard = "".join(str(each["text"]) for each in world.facts.of("replica.overheard"))
    assert told.count((None, "nobody's")) + overheard.count("nobody's\n") == 3
    assert all((each, f"one line of {each}") in told for each in ids)


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_standard_streams_can_be_set_up_as_ever(world: World, concurrency: int) -> None:
    predictor = """
    class PythonPredictor:
        def __init__(self):
            for each in (sys.stdout, sys.stderr):
                each.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
        def predict(self):
            print("ü", sys.stdout.name, sys.stdout.line_buffering, sys.stdout.isatty(), sys.stdout.encoding)
    """
    async with world.serving(predictor, concurrency=concurrency):
        workload = await world.run()
    assert await log_of(world.store, workload.id) == "ü <stdout> True False utf-8\n"


async def test_a_forked_process_speaks_for_the_workload_that_made_it(world: World) -> None:
    predict = """
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=print, args=("from a fork",))
    child.start(); child.join()
    print("from the parent")
    """
    async with world.serving(predict):
        workload = await world.run()
    assert await log_of(world.store, workload.id) == "from a fork\nfrom the parent\n"


@pytest.mark.every_engine
@pytest.mark.every_engine
@pytest.mark.every_engine
@pytest.mark.every_engine
@pytest.mark.every_engine
@pytest.mark.parametrize(
    "mischief",
    [
        "sys.stdout = None; sys.stderr = None",
        "sys.stdout.close()",
        "os.close(1); os.close(2)",
        "os.close(int(sys.argv[3]))",
        "sys.stdout = object()",
    ],
)
async def test_whatever_predict_does_to_its_streams_it_goes_on(world: World, mischief: str) -> None:
    async with world.serving(mischief):
        assert (await world.run()).status is Status.COMPLETED
        assert (await world.run()).status is not Status.IN_PROGRESS


@pytest.mark.every_engine
async def test_a_talkative_one_is_never_overheard_and_its_lines_stay_whole(world: World, capfd: Capture) -> None:
    """It prints for longer than two looks take, and something always lies there unread."""
    predict = """
    until, number = time.monotonic() + 2.6, 0
    while time.monotonic() < until:
        print(f"line {number} of many", flush=True)
        number += 1
    return number
    """
    async with world.serving(predict):
        workload = await world.run()
    said = lines_of(capfd.readouterr().err)
    assert workload.status is Status.COMPLETED
    assert world.facts.of("replica.overheard") == []
    assert said == [(workload.id, f"line {number} of many") for number in range(len(said))]
    assert str(len(said)).encode() == workload.result


# ── When it is there ────────────────────────────────────────────────────────────────────────────


async def test_words_can_be_read_while_predict_runs(world: World) -> None:
    predict = """
    print("begun")
    print("half a li", end="", flush=True)
    while not (HERE / "enough").exists():
        time.sleep(0.001)
    print("ne")
    """
    async with world.serving(predict):
        workload_id = await world.submit()
        async with asyncio.timeout(10):
            while await log_of(world.store, workload_id) != "begun\nhalf a li":
                last = (await happenings_of(world.store, workload_id))[-1].id
                await world.store.happenings("iris", workload_id, after=last, room=1, timeout_seconds=10)
        (world.folder / "enough").touch()
        await world.ended(workload_id)
    assert await log_of(world.store, workload_id) == "begun\nhalf a line\n"


async def test_words_progress_and_outputs_stand_in_the_order_they_were_said(world: World) -> None:
    predict = """
    for number in range(3):
        print("before", number)
        workload.progress((number + 1) / 3, f"step {number}")
        print("after", number)
        yield number
        time.sleep(0.15)
    """
    async with world.serving(predict):
        workload = await world.run()
    expected: list[object] = []
    for number in range(3):
        expected += [
            f"before {number}\n",
            Progress(fraction=(number + 1) / 3, message=f"step {number}"),
            f"after {number}\n",
            Output(index=number, value=b"%d" % number),
        ]
    said: list[object] = []
    for each in await entries_of(world.store, workload.id):
        if isinstance(each, Said) and said and isinstance(said[-1], str):
            said[-1] += each.text  # with PYTHONUNBUFFERED, one print may come in parts
        else:
            said.append(each.text if isinstance(each, Said) else each)
    assert said == expected
    assert workload.result == b"[0,1,2]"


async def test_the_last_word_about_progress_is_kept_however_soon_it_comes(world: World) -> None:
    async with world.serving("workload.progress(0.1); workload.progress(0.5); workload.progress(1, 'all')"):
        workload = await world.run()
    assert (await entries_of(world.store, workload.id))[-1] == Progress(fraction=1.0, message="all")


async def test_an_output_too_large_for_the_journal_is_in_the_result(world: World) -> None:
    async with world.serving("yield 'x' * 300_000\nyield 1"):
        workload = await world.run()
    assert await entries_of(world.store, workload.id) == [
        LeftOut(index=0, output_bytes=300_002),
        Output(index=1, value=b"1"),
    ]
    assert workload.result is not None
    assert len(workload.result) > 300_000


async def test_each_attempt_has_its_own_words(world: World) -> None:
    predict = "print('attempt', workload.attempt)\nif workload.attempt < 3: raise ValueError('again')"
    async with world.serving(predict, retries=Retries(max_attempts=3, initial_seconds=0)):
        workload = await world.run()
    log = await log_of(world.store, workload.id)
    assert [line for line in log.splitlines() if re.match("(── )?attempt", line)] == [
        "attempt 1",
        "── attempt 2 ──",
        "attempt 2",
        "── attempt 3 ──",
        "attempt 3",
    ]


async def test_a_quiet_workload_leaves_no_trace(world: World) -> None:
    async with world.serving("return 1"):
        for _ in range(3):
            workload = await world.run()
    assert all(isinstance(each.what, Moved) for each in await happenings_of(world.store, workload.id))
    assert world.store._session._reader.execute("SELECT count(*) FROM journal").fetchall() == [(0,)]


# ── Last words ──────────────────────────────────────────────────────────────────────────────────


async def test_last_words_before_a_crash_are_kept(world: World) -> None:
    predict = """
    import ctypes
    print("about to crash")
    os.write(2, b"no end of line")
    ctypes.string_at(0)
    """
    async with world.serving(predict, retries=Retries(max_losses=1)):
        workload = await world.run()
    assert workload.error is not None
    assert "SIGSEGV" in workload.error.message
    log = await log_of(world.store, workload.id)
    assert log.startswith("about to crash\nno end of line")
    assert "Segmentation fault" in log  # and where: Python's own fault handler
    assert 'predictor.py", line' in log


async def test_words_before_a_time_out_are_kept(world: World) -> None:
    async with world.serving("print('too slow'); time.sleep(60)", timeout_seconds=0.3):
        workload = await world.run()
    assert workload.error is not None
    assert workload.error.type == "timeout"
    assert await log_of(world.store, workload.id) == "too slow\n"


# ── Very much ───────────────────────────────────────────────────────────────────────────────────


def counted(log: str) -> tuple[list[int], int]:
    """The numbers that are there, and how many are said to be left out."""
    left_out = sum(map(int, re.findall(r"^… (\d+) lines left out$", log, re.MULTILINE)))
    return [int(line) for line in log.splitlines() if line.isdigit()], left_out


async def test_of_very_much_the_beginning_and_the_end_are_kept_and_the_rest_is_counted(world: World) -> None:
    many = 300_000
    async with world.serving(f"for number in range({many}): print(number)"):
        workload = await world.run()
    numbers, left_out = counted(await log_of(world.store, workload.id))
    assert len(numbers) + left_out == many
    assert numbers[:HEAD_LINES] == list(range(HEAD_LINES))
    assert numbers[-BURST_LINES:] == list(range(many - BURST_LINES, many))
    assert all(earlier < later for earlier, later in pairwise(numbers))
    [(size, count)] = world.store._session._reader.execute("SELECT sum(length(body)), count(*) FROM journal").fetchall()
    assert size < 1_200_000
    assert count < 200


async def test_for_as_long_as_it_talks_the_journal_stays_within_its_bounds(world: World) -> None:
    predict = """
    for number in range(40_000):
        print("%0500d" % number)
        if number % 100 == 0: time.sleep(0.005)
    """
    async with world.serving(predict):
        workload = await world.run()
    numbers, left_out = counted(await log_of(world.store, workload.id))
    assert len(numbers) + left_out == 40_000
    [(size,)] = world.store._session._reader.execute("SELECT sum(length(body)) FROM journal").fetchall()
    assert size < 512 * 1024 + TAIL_BYTES + 3 * 64 * 1024


async def test_a_long_line_is_cut(world: World) -> None:
    async with world.serving("print('x' * 100_000); print('next')"):
        workload = await world.run()
    long, following = (await log_of(world.store, workload.id)).splitlines()
    assert long.endswith(" … 83616 bytes cut")
    assert following == "next"


async def test_native_code_that_holds_the_interpreter_is_not_held_up_by_its_own_words(world: World) -> None:
    """PyDLL keeps the lock while it writes more than a pipe has room for: only the parent can make room."""
    predict = """
    import ctypes
    words = b"x" * 999 + b"\\n"
    for _ in range(1_000):
        ctypes.PyDLL(None).write(1, words, len(words))
    """
    async with world.serving(predict):
        workload = await asyncio.wait_for(world.run(), 30)
    assert workload.status is Status.COMPLETED
    log = await log_of(world.store, workload.id)
    lines = log.splitlines()
    assert sum(line == "x" * 999 for line in lines) + counted(log)[1] > 500


async def test_what_hangs_in_native_code_is_heard_while_it_hangs(world: World) -> None:
    predict = """
    import ctypes
    libc = ctypes.PyDLL(None)
    libc.write(1, b"in native code\\n", 15)
    while not os.path.exists(HERE / "enough"):
        libc.usleep(500_000)
    """
    async with world.serving(predict) as pool:
        workload_id = await world.submit()
        async with asyncio.timeout(10):
            while not await log_of(world.store, workload_id):
                last = (await happenings_of(world.store, workload_id))[-1].id
                await world.store.happenings("iris", workload_id, after=last, room=1, timeout_seconds=10)
        assert await log_of(world.store, workload_id) == "in native code\n"
        await pool.drain(0.0)
