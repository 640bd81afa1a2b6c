"""Ends and their deliveries written by sets: what they look at before, what they leave, and when they are not used."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from ringback.core.clock import HandWound
from ringback.core.delivery import Delivery
from ringback.core.journal import Said
from ringback.core.queueing import Wish
from ringback.core.spec import BodyFormat, Endpoint, Order, guest_endpoint
from ringback.core.workload import Canceled, Claimed, Completed, Failed, Outcome, Progress, Spent, Started, Status
from ringback.store.sqlite import SqliteStore, open_sqlite
from ringback.store.sqlite.opening import all_statements, connect, prepare
from ringback.store.sqlite.sets import SetRows, Sets
from ringback.store.verbs.rows import SMALL_BYTES
from support.stores import API, DONE, HOOK, OTHER_HOOK, claim_one, rows_of, submission

ME: Final = "me"
ENVELOPED: Final = replace(OTHER_HOOK, format=BodyFormat.STANDARD)


# ── The statements ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Two workloads in the hands of `ME`, numbers 1 and 2, in a transaction."""
    connection = connect(prepare(tmp_path / "ringback.db"))
    connection.execute("INSERT INTO members (id, lease_until) VALUES (?, 0), ('another', 0)", (ME,))
    for seq in (1, 2):
        connection.execute(
            "INSERT INTO workloads (seq, api, id, status, attempt, holder, due_at, submitted_at, started_at, "
            "content_type, headers, payload, fraction, message, told) "
            "VALUES (?, 'iris', ?, 'in_progress', 1, ?, 0, 0, 0, '', x'', x'', 0.5, 'half', 0)",
            (seq, f"w{seq}", ME),
        )
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def both_ended() -> SetRows:
    rows = SetRows()
    rows.put("ended", (1, 1, 0, 77, "completed", rows.lay(b"one"), 3, None, None))
    rows.put("ended", (2, 1, 0, 78, "failed", None, None, "Oops", "why"))
    return rows


def test_each_row_ends_as_it_says(database: sqlite3.Connection) -> None:
    assert Sets(all_statements(), ME).write(database, both_ended())
    assert database.execute(
        "SELECT status, result, error_type, error_message, finished_at, holder, fraction, message, told FROM workloads "
        "ORDER BY seq"
    ).fetchall() == [
        ("completed", b"one", None, None, 77, None, None, None, 1),
        ("failed", None, "Oops", "why", 78, None, None, None, 1),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE workloads SET attempt = 2 WHERE seq = 2",
        "UPDATE workloads SET status = 'in_queue' WHERE seq = 2",
        "UPDATE workloads SET status = 'completed' WHERE seq = 2",
        "UPDATE workloads SET holder = 'another' WHERE seq = 2",
        "UPDATE workloads SET holder = NULL WHERE seq = 2",
        "UPDATE workloads SET cancel_at = 5 WHERE seq = 2",
        "UPDATE workloads SET told = 1 WHERE seq = 2",
        "UPDATE workloads SET seq = 3 WHERE seq = 2",
        f"DELETE FROM members WHERE id = '{ME}'",
    ],
)
def test_one_that_stands_otherwise_than_it_was_claimed_spoils_the_set(
    database: sqlite3.Connection, change: str
) -> None:
    database.execute(change)
    assert not Sets(all_statements(), ME).write(database, both_ended())


def test_two_ends_of_one_workload_spoil_the_set(database: sqlite3.Connection) -> None:
    rows = both_ended()
    rows.put("ended", (1, 1, 0, 77, "completed", rows.lay(b"one"), 3, None, None))
    assert not Sets(all_statements(), ME).write(database, rows)


def test_rows_are_found_by_their_key_however_many_there_are(database: sqlite3.Connection) -> None:
    wanted = {"rows": "[]", "laid": b"", "member": ME}
    steps = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {all_statements()['end_all']}", wanted)]
    assert "SEARCH workloads USING INTEGER PRIMARY KEY (rowid=?)" in steps
    assert not any(step.startswith("SCAN workloads") for step in steps)


def test_bytes_of_a_batch_that_has_come_to_nothing_are_in_nobodys_way() -> None:
    rows = SetRows()
    rows.put("ended", (1, rows.lay(b"gone"), 4), lambda key: None)
    rows.clear()
    assert not rows
    assert (rows.lay(b"one"), rows.lay(b"two"), rows.laid()) == (1, 4, b"onetwo")
    assert [*rows.acts()] == []


def test_a_row_for_a_set_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(KeyError, match="endde"):
        SetRows().put("endde", (1,))


# ── The verb ────────────────────────────────────────────────────────────────────────────────────


class Sending:
    """An outlet with room for some."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.got: list[Delivery] = []

    def has_room(self, endpoint: str) -> bool:
        return self.room > 0

    def put(self, delivery: Delivery) -> None:
        self.got.append(delivery)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite(tmp_path / "ringback.db", clock=HandWound(1_000_000))
    opened._session.others_wrote = False  # or the first look for others' writes would wake everybody
    yield opened
    await opened.close()


class Seen:
    """Statements that ran one by one."""

    def __init__(self, store: SqliteStore) -> None:
        self._texts: list[str] = []
        self._store = store
        store._session._writer.set_trace_callback(self._texts.append)

    @property
    def was_by_itself(self) -> bool:
        """Whether a workload was ended by a statement of its own."""
        head = "WHERE seq = "
        return any(text.startswith("UPDATE workloads") and head in text for text in self._texts)

    @property
    def was_in_set(self) -> bool:
        return any(text.startswith("UPDATE workloads") and "json_each" in text for text in self._texts)


GUEST: Final = guest_endpoint("http://hooks.example/a")


@pytest.mark.parametrize(
    "outcome",
    [
        DONE,
        Completed(result=b""),
        Completed(result='"\\u0000 \\" ü ☃ \\\\"'.encode()),
        Completed(result=b"no text: \xff\x00\xfe"),
        Completed(result=b"1" * SMALL_BYTES),
        Failed(type="ValueError", message='with "quotes", \0, \ud800 and ☃'),
    ],
    ids=["result", "empty", "escapes", "no text", "largest", "failure"],
)
async def test_a_set_leaves_what_single_statements_leave(tmp_path: Path, outcome: Outcome) -> None:
    left = []
    for name in ("in set", "by itself"):
        clock = HandWound(1_000_000)
        store = await open_sqlite(tmp_path / f"{name}.db", clock=clock)
        store.hand_on(outlet := Sending())
        for each in ("a", "b"):
            plain = replace(submission(workload_id=each, wish=Wish(tenant="navy")), trace_id="ab" * 16, order_key="k")
            await store.submit(replace(plain, webhooks=(GUEST,)))
        claimed, _ = await store.claim(API, 2)
        clock.wind(3)
        if name == "by itself":
            for each in claimed:
                store._session.fresh.forget(each.held.seq)
        seen = Seen(store)
        answers = await asyncio.gather(
            *(store.finish(each.held, outcome, [HOOK, replace(ENVELOPED, inline_limit_bytes=100)]) for each in claimed)
        )
        assert (seen.was_in_set, seen.was_by_itself) == (name == "in set", name == "by itself")
        tables = await everything(store)
        handed_on = [replace(each, message_id="", body=without_ids(each, each.body)) for each in outlet.got]
        sums = {api: depth.in_queue + depth.in_progress for api, depth in (await store.depths()).items()}
        left.append((answers, tables, handed_on, sums))
        await store.close()
    assert left[0] == left[1]
    assert len(left[0][2]) == 6


async def everything(store: SqliteStore) -> list[list[tuple[Any, ...]]]:
    """The rows, without what is made anew each time."""
    workloads = await rows_of(store, "SELECT * FROM workloads ORDER BY seq")
    columns = "seq, workload, endpoint, url, event, state, tries, due_at, holder IS NOT NULL, created_at, settled_at, "
    deliveries = await rows_of(store, f"SELECT {columns} reason, format, sequence, order_key, base FROM deliveries")
    kinds = await rows_of(store, "SELECT typeof(result), typeof(payload) FROM workloads")
    bodies = await rows_of(store, "SELECT typeof(body) FROM deliveries")
    return [workloads, deliveries, kinds, bodies]


def without_ids(delivery: Delivery, body: bytes) -> bytes:
    """A body in which what is random is left out."""
    cut, _, _ = body.partition(b'"result_url"')
    return cut.replace(delivery.message_id.encode(), b"")


async def test_deliveries_are_handed_on_under_the_numbers_they_have(store: SqliteStore) -> None:
    store.hand_on(outlet := Sending())
    ordered = replace(HOOK, key="ordered", order=Order.FIFO)
    await asyncio.gather(*(store.submit(submission(workload_id=f"w{each}")) for each in range(30)))
    claimed, _ = await store.claim(API, 30)
    await asyncio.gather(
        *(
            store.finish(each.held, DONE, [HOOK, ordered] if place % 3 else [HOOK, ENVELOPED])
            for place, each in enumerate(claimed)
        )
    )
    told = await rows_of(
        store,
        "SELECT deliveries.seq, endpoint, id, body, message_id FROM deliveries JOIN workloads "
        "ON workloads.seq = deliveries.workload ORDER BY deliveries.seq",
    )
    assert len(told) == 60
    got = sorted(outlet.got, key=lambda each: each.seq)
    assert [(each.seq, each.endpoint, each.workload_id, each.body, each.message_id) for each in got] == told


async def test_one_for_which_there_is_no_room_is_due_as_soon_as_it_can_be_taken(store: SqliteStore) -> None:
    store.hand_on(Sending(room=0))
    taken: asyncio.Queue[list[Delivery]] = asyncio.Queue()

    def take() -> None:
        taking = asyncio.ensure_future(store.take_due(HOOK.key, 10, again=False))
        taking.add_done_callback(lambda done: taken.put_nowait(done.result()[0]))

    store.on_due(HOOK.key, take)
    await store.finish((await claim_one(store, "a")).held, DONE, [HOOK])
    while not (found := await asyncio.wait_for(taken.get(), 10.0)):
        pass
    assert [each.workload_id for each in found] == ["a"]


async def test_whoever_waits_for_an_end_hears_of_it(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    waiting = asyncio.ensure_future(store.ended(API, "a", 60.0))
    await asyncio.sleep(0)
    await store.finish(held, DONE, [])
    assert (await asyncio.wait_for(waiting, 10.0)).status is Status.COMPLETED


async def spoken(store: SqliteStore, claimed: Claimed) -> None:
    await store.announce(claimed.held, Started(), [HOOK])


async def advanced(store: SqliteStore, claimed: Claimed) -> None:
    await store.progress(claimed.held, Progress(fraction=0.5))


async def kept(store: SqliteStore, claimed: Claimed) -> None:
    await store.checkpoint(claimed.held, b"so far")


async def returned(store: SqliteStore, claimed: Claimed) -> None:
    await store.checkpoint(claimed.held, b"so far")
    await store.requeue(claimed.held, spent=Spent.NOTHING)


@pytest.mark.parametrize("before", [spoken, advanced, kept, returned])
async def test_one_that_has_been_written_about_ends_by_itself(store: SqliteStore, before: Any) -> None:
    claimed = await claim_one(store, "a")
    await before(store, claimed)
    claimed = await claim_one(store) if before is returned else claimed
    seen = Seen(store)
    await store.finish(claimed.held, DONE, [HOOK, ENVELOPED])
    assert (seen.was_in_set, seen.was_by_itself) == (False, True)
    assert await rows_of(store, "SELECT count(*) FROM checkpoints") == [(0,)]
    sequences = await rows_of(store, "SELECT DISTINCT sequence FROM deliveries WHERE event = 'completed'")
    assert sequences == [(2 if before is spoken else 1,)]


@pytest.mark.parametrize(
    ("outcome", "endpoint", "entries"),
    [
        (Completed(result=b"1" * (SMALL_BYTES + 1)), HOOK, []),
        (Failed(type="x", message="1" * (SMALL_BYTES + 1)), HOOK, []),
        (Canceled(), HOOK, []),
        (DONE, replace(HOOK, order=Order.FIFO), []),
        (DONE, HOOK, [Said(line=1, text="last words\n")]),
    ],
    ids=["large result", "large error", "canceled", "in order", "last words"],
)
async def test_an_end_with_more_to_it_is_written_by_itself(
    store: SqliteStore, outcome: Outcome, endpoint: Endpoint, entries: list[Said]
) -> None:
    claimed = await claim_one(store, "a")
    seen = Seen(store)
    await store.finish(claimed.held, outcome, [endpoint], entries=entries)
    assert (seen.was_in_set, seen.was_by_itself) == (False, True)


async def test_what_is_known_of_one_attempt_is_not_taken_for_another(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    assert store._session.fresh.take(replace(held, attempt=2)) is None
    assert store._session.fresh.take(held) is None


async def test_nothing_is_kept_in_memory_of_what_has_ended_or_gone_back(store: SqliteStore) -> None:
    await asyncio.gather(*(store.submit(submission(workload_id=f"w{each}")) for each in range(4)))
    claimed, _ = await store.claim(API, 4)
    await store.finish(claimed[0].held, DONE, [])
    await store.finish(claimed[1].held, Canceled(), [])
    await store.requeue(claimed[2].held, spent=Spent.NOTHING)
    assert [*store._session.fresh._rows] == [claimed[3].held.seq]
    assert (await store.get(API, "w0")).status is Status.COMPLETED
