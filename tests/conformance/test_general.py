"""G: what is acknowledged stays, what fails changes nothing, and every fault is one of ours."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.clock import HandWound, SystemClock
from ringback.core.delivery import Delivered, Delivery, Trace
from ringback.core.errors import IdTaken, QueueFull, RingbackError, StoreError, StoreFull, StoreTooNew
from ringback.core.workload import Completed, Failed, Held, Progress, Status, Submission
from ringback.store.sqlite import SqliteStore, open_sqlite
from ringback.store.sqlite.opening import APPLICATION_ID, FRAGMENTS
from ringback.store.statements import migrations
from support.stores import API, DONE, HOOK, SqliteBackend, attempt, claim_one, submission, take_one
from support.waiting import eventually

SUBMIT_FOREVER = """
import asyncio, sys
from pathlib import Path
from ringback.core.clock import SystemClock
from ringback.core.workload import Submission
from ringback.store.sqlite import open_sqlite

async def main():
    store = await open_sqlite(Path(sys.argv[1]), clock=SystemClock())

    async def one_after_the_other():
        while True:
            accepted = await store.submit(Submission(api="iris", payload=b"{}", content_type="application/json"))
            print(accepted.id, flush=True)

    await asyncio.gather(*(one_after_the_other() for _ in range(8)))

asyncio.run(main())
"""


async def test_G1_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    command = [sys.executable, "-c", SUBMIT_FOREVER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - nothing else runs here
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read().split("\n")[:-1]  # not communicate, which forgets what readline has read ahead
    process.stdout.close()
    process.wait(10)

    store = await open_sqlite(path, clock=SystemClock())
    for workload_id in told:
        assert (await store.get("iris", workload_id)).status is Status.IN_QUEUE
    await store.close()


async def test_G2_a_verb_that_raises_leaves_the_others_of_its_commit_alone(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="known"))
    outcomes = await asyncio.gather(
        store.submit(submission(workload_id="a")),
        store.submit(submission(workload_id="known", payload=b"[]")),
        store.submit(submission(workload_id="b"), limit=1),
        store.submit(submission(workload_id="c")),
        return_exceptions=True,
    )

    assert [type(each) for each in outcomes[1:3]] == [IdTaken, QueueFull]
    found = await store.page([API], status=None, limit=10, cursor=None)
    assert {workload.id for workload in found.workloads} == {"known", "a", "c"}


class Clumsy:
    """An outlet, and whoever else is told of commits: raises each time, and remembers for what."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.heard: list[str] = []
        """What the loop was told of it."""

    def has_room(self, endpoint: str) -> bool:
        return True

    def put(self, delivery: Delivery) -> None:
        self._slip(f"put {delivery.workload_id}")

    def wake(self) -> None:
        self._slip("wake")

    def cancel(self, held: Held) -> None:
        self._slip(f"cancel {held.id}")

    def hear(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.heard.append(str(context["exception"]))

    def _slip(self, what: str) -> None:
        self.told.append(what)
        raise LookupError(what)


async def test_G8_what_those_raise_who_are_told_of_a_commit_keeps_nobody_waiting(store: SqliteStore) -> None:
    clumsy, woken, canceled = Clumsy(), asyncio.Event(), list[str]()
    asyncio.get_running_loop().set_exception_handler(clumsy.hear)
    store.hand_on(clumsy)
    store.on_queued(API, clumsy.wake)
    store.on_queued(API, woken.set)
    store.on_cancel(API, clumsy.cancel)
    store.on_cancel(API, lambda held: canceled.append(held.id))

    async with asyncio.timeout(10):
        await asyncio.gather(*(store.submit(submission(workload_id=f"w{each}")) for each in range(3)))
        await woken.wait()
        claimed, _ = await store.claim(API, 3)
        ends = [asyncio.ensure_future(store.ended(API, each.held.id, 20)) for each in claimed]
        await store.cancel(API, "w0", [])
        finished = (store.finish(each.held, DONE, [HOOK]) for each in claimed)
        assert await asyncio.gather(*finished, store.submit(submission(workload_id="beside"))) != []
        assert [(await end).status for end in ends] == [Status.CANCELED, Status.COMPLETED, Status.COMPLETED]
        await store.submit(submission(workload_id="after"))
        await eventually(lambda: clumsy.told.count("wake") >= 2)

    assert canceled == ["w0"]
    assert {"cancel w0", "put w1", "put w2"} <= set(clumsy.told)
    assert clumsy.heard == clumsy.told


async def test_G2_a_full_disk_refuses_and_loses_nothing(on_file: SqliteBackend) -> None:
    store = await on_file.open(max_pages=120)
    accepted: list[str] = []
    refusal: RingbackError | None = None
    for number in range(100):
        try:
            accepted += [(await store.submit(submission(workload_id=f"w{number}", payload=b"x" * 5_000))).id]
        except RingbackError as error:
            refusal = error
            break

    assert isinstance(refusal, StoreFull)
    assert "no room left" in str(refusal)
    assert accepted
    for workload_id in accepted:
        assert (await store.get(API, workload_id)).status is Status.IN_QUEUE
    assert (await store.depths())[API].in_queue == len(accepted)


async def test_G2_one_write_too_large_does_not_take_its_neighbours_with_it(on_file: SqliteBackend) -> None:
    store = await on_file.open(max_pages=120)
    outcomes = await asyncio.gather(
        store.submit(submission(workload_id="before")),
        store.submit(submission(workload_id="huge", payload=b"x" * 1_000_000)),
        store.submit(submission(workload_id="after")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[1], StoreFull)
    assert {each.id for each in (await store.page([API], status=None, limit=9, cursor=None)).workloads} == {
        "before",
        "after",
    }


async def test_G3_bytes_and_moments_come_back_as_they_were(backend: SqliteBackend, store: SqliteStore) -> None:
    payload = bytes(range(256)) * 3
    await store.submit(
        Submission(api=API, id="w1", payload=payload, content_type="x/y; q=ü", headers=b'{"a":"\xc3\xbc"}')
    )
    backend.clock.at += 1
    claimed = await claim_one(store)
    assert (claimed.payload, claimed.content_type, claimed.headers) == (payload, "x/y; q=ü", b'{"a":"\xc3\xbc"}')
    assert claimed.submitted_at == backend.clock.now() - 1

    result = '{"🌸":"\\u0000"}'.encode()
    await store.finish(claimed.held, Completed(result=result), [HOOK])
    ended = await store.get(API, "w1")
    assert (ended.result, ended.finished_at) == (result, backend.clock.now())


async def test_G3_attempts_come_back_as_they_were(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    every = bytes(range(256))
    made = replace(
        attempt(1, store),
        detail="why",
        status=500,
        address="127.0.0.1:1",
        trace=Trace(
            dns_us=1, connect_us=2, wait_us=3, read_us=4, request_head=every, response_head=every, excerpt=every
        ),
    )
    await store.record(await take_one(store), made, Delivered())
    assert (await store.deliveries(API, "w1"))[0].attempts == (made,)


async def test_G3_text_that_no_database_can_hold_is_made_to_fit(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.progress(held, Progress(fraction=1.0, message="\ud800 half"))
    await store.finish(held, Failed(type="Bad\ud800", message="\x00 and \udfff"), [HOOK])
    error = (await store.get(API, "w1")).error

    assert error == Failed(type="Bad?", message="\ufffd and ?")


# ── Files that are not ours ─────────────────────────────────────────────────────────────────────


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.execute("PRAGMA application_id = 1380074315")
        connection.execute("CREATE TABLE future (x)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: path.write_bytes(b"not a database at all, " * 100), StoreError, "not a usable SQLite database"),
        (lambda path: path.mkdir(), StoreError, "cannot be"),
        (foreign, StoreError, "another program"),
        (newer, StoreTooNew, "newer release"),
    ],
    ids=["garbage", "folder", "foreign", "newer"],
)
async def test_G4_a_file_that_cannot_be_used_is_our_error(
    make: object, error: type[RingbackError], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "ringback.db"
    make(path)  # type: ignore[operator]
    with pytest.raises(error, match=words) as raised:
        await open_sqlite(path, clock=HandWound())
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("make", [foreign, newer], ids=["foreign", "newer"])
async def test_G5_a_refused_store_is_left_as_it_is(make: object, tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(StoreError):
        await open_sqlite(path, clock=HandWound())

    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["ringback.db"]  # noqa: PTH208 - names are all we want


async def test_G4_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        await open_sqlite(tmp_path / "file" / "ringback.db", clock=HandWound())


async def test_G4_a_damaged_store_is_our_error_at_every_verb(on_file: SqliteBackend) -> None:
    store = await on_file.open()
    await store.submit(submission(workload_id="w1"))
    with sqlite3.connect(on_file.path) as vandal:
        vandal.execute("DROP TABLE workloads")
    vandal.close()

    with pytest.raises(StoreError, match="no such table"):
        await store.submit(submission())
    with pytest.raises(StoreError, match="no such table"):
        await store.get(API, "w1")
    with pytest.raises(StoreError, match="no such table"):
        await store.page([API], status=None, limit=1, cursor=None)


async def test_G4_a_closed_store_refuses(store: SqliteStore) -> None:
    await store.close()
    await store.close()
    for verb in (
        store.submit(submission()),
        store.heartbeat(),
        store.get(API, "w1"),
        store.ended(API, "w1", 1),
        store.page([API], status=None, limit=1, cursor=None),
        store.deliveries(API, "w1"),
        store.depths(),
        store.backlogs(),
    ):
        with pytest.raises(StoreError, match="closed"):
            await verb


async def test_G6_opening_twice_and_at_once_finds_one_store(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "ringback.db"
    stores = await asyncio.gather(*(open_sqlite(path, clock=HandWound()) for _ in range(6)))
    await stores[0].submit(submission(workload_id="w1"))
    assert (await stores[5].get(API, "w1")).status is Status.IN_QUEUE
    for store in stores:
        await store.close()

    again = await open_sqlite(path, clock=HandWound())
    assert (await again.get(API, "w1")).status is Status.IN_QUEUE
    await again.close()


async def test_G6_a_store_of_the_first_schema_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    clock = HandWound()
    first = migrations(FRAGMENTS)[0]
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode = WAL")
    for statement in first.statements:
        old.execute(statement)
    old.execute(f"PRAGMA user_version = {first.number}")
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.execute(
        "INSERT INTO workloads (api, id, status, due_at, submitted_at, content_type, headers, payload)"
        " VALUES (?, 'w1', 'in_queue', ?, ?, 'application/json', '{}', '{}')",
        (API, clock.now(), clock.now()),
    )
    old.close()

    store = await open_sqlite(path, clock=clock)
    assert (await claim_one(store)).held.id == "w1"
    await store.close()


# ── Somebody else's lock ────────────────────────────────────────────────────────────────────────


async def test_a_busy_database_is_waited_for_without_holding_up_the_loop(on_file: SqliteBackend) -> None:
    store = await on_file.open()
    hog = sqlite3.connect(on_file.path, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.ensure_future(store.submit(submission(workload_id=f"w{number}"))) for number in range(3)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)

    hog.execute("ROLLBACK")
    hog.close()
    assert [accepted.id for accepted in await asyncio.gather(*waiting)] == ["w0", "w1", "w2"]


async def test_a_finished_workload_outlives_its_members(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    backend.crash(store)
    opened = await backend.open()

    assert (await opened.get(API, "w1")).result == DONE.result
    assert len(await opened.deliveries(API, "w1")) == 1
