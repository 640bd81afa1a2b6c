"""What workloads say, on a page: read on from the last look, and bounded however much is said."""

from __future__ import annotations

import pytest

from ringback.core.errors import UnknownWorkload
from ringback.core.journal import LeftOut, Said
from ringback.core.workload import Output, Progress
from ringback.dashboard.hearing import LOG_CHARACTERS, MOST_REMEMBERED, MOST_STEPS, Hearing
from ringback.store.sqlite import SqliteStore
from support.stores import claim_one, submission


async def test_each_look_reads_on(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    hearing = Hearing(store)
    assert (await hearing.read("iris", "w1")).log == ""

    await store.enter(held, [Said(line=1, text="one\n")])
    assert (await hearing.read("iris", "w1")).log == "one\n"
    await store.enter(held, [Said(line=4, text="four\n")])
    assert (await hearing.read("iris", "w1")).log == "one\n… 2 lines left out\nfour\n"
    assert (await Hearing(store).read("iris", "w1")).log == "one\n… 2 lines left out\nfour\n"


async def test_of_a_long_log_the_end_is_kept_from_the_beginning_of_a_line(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    for number in range(100):
        await store.enter(held, [Said(line=number * 10 + 1, text=f"{number:03} {'x' * 95}\n" * 10)])
    heard = await Hearing(store).read("iris", "w1")

    assert heard.is_cut
    assert LOG_CHARACTERS - 200 < len(heard.log) <= LOG_CHARACTERS
    assert heard.log.endswith("\n")
    assert heard.log[:4].strip().isdigit()


async def test_a_line_without_an_end_is_cut_all_the_same(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.enter(held, [Said(line=1, text="x" * 50_000)])

    assert len((await Hearing(store).read("iris", "w1")).log) == LOG_CHARACTERS


async def test_progress_and_outputs_are_steps(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.progress(held, Progress(fraction=0.5, message="half"))
    await store.enter(held, [Output(index=0, value=b'"' + b"y" * 900 + b'"'), LeftOut(index=1, output_bytes=2**20)])
    steps = (await Hearing(store).read("iris", "w1")).steps

    assert [step.title for step in steps] == ["50 %", "Output 1", "Output 2"]
    assert len(steps[1].detail) == 201
    assert steps[2].detail.startswith("1.0 MiB")


async def test_however_much_is_looked_at_memory_stays_bounded(store: SqliteStore) -> None:
    hearing = Hearing(store)
    for number in range(MOST_REMEMBERED + 5):
        await store.submit(submission(workload_id=f"w{number}"))
        await hearing.read("iris", f"w{number}")
    assert len(hearing._memories) == MOST_REMEMBERED

    held = (await claim_one(store)).held
    for number in range(MOST_STEPS + 10):
        await store.enter(held, [Output(index=number, value=b"1")])
    assert len((await hearing.read("iris", held.id)).steps) == MOST_STEPS
    with pytest.raises(UnknownWorkload):
        await hearing.read("iris", "nope")
