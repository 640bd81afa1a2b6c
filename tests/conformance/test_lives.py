"""X, U2, U3 and N2: what people do to a workload after its submit."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ringback import store as store_package
from ringback.core.delivery import Delivered
from ringback.core.errors import (
    AlreadyEnded,
    CancelAsked,
    Conflict,
    Erased,
    IdTaken,
    LeaseLost,
    QueueFull,
    UnknownWorkload,
)
from ringback.core.spec import Event, guest_endpoint
from ringback.core.workload import Canceled, Completed, Ending, Failed, Held, Progress, Spent, Started, Status
from ringback.store.contract import Asked
from ringback.store.sqlite import SqliteStore
from ringback.store.verbs.erasing import ERASERS
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, attempt, claim_one, rows_of, submission, take_one

RAISED = Failed(type="ValueError", message="no petals")
TOLD = replace(HOOK, events=frozenset({Event.COMPLETED, Event.FAILED, Event.CANCELED}))
NOT_TOLD = OTHER_HOOK
CANCELED = Asked(status=Status.CANCELED, changed=True)
CANCELING = Asked(status=Status.IN_PROGRESS, changed=True)


async def events_of(store: SqliteStore, workload_id: str = "w1") -> list[tuple[str, Event]]:
    return [(each.endpoint, each.event) for each in await store.deliveries(API, workload_id)]


async def status_of(store: SqliteStore, workload_id: str = "w1") -> Status:
    return (await store.get(API, workload_id)).status


# ── Cancel ──────────────────────────────────────────────────────────────────────────────────────


async def test_X1_one_in_the_queue_ends_at_once(backend: SqliteBackend, store: SqliteStore) -> None:
    guest = guest_endpoint("http://guest.example/", frozenset({Event.CANCELED}))
    await store.submit(replace(submission(workload_id="w1"), webhooks=(guest,)))
    waiting = asyncio.create_task(store.ended(API, "w1", 30))
    await asyncio.sleep(0)
    backend.clock.wind(1)

    assert await store.cancel(API, "w1", [TOLD, NOT_TOLD]) == CANCELED

    ended = await waiting
    assert (ended.status, ended.finished_at, ended.attempt) == (Status.CANCELED, backend.clock.now(), 0)
    assert await events_of(store) == [(HOOK.key, Event.CANCELED), (guest.key, Event.CANCELED)]
    assert json.loads((await take_one(store)).body) == {"id": "w1", "status": "canceled"}
    assert (await store.claim(API, 10))[0] == []
    assert (await store.describe(API, "w1")).attempts == ()
    await store.submit(submission(), limit=1)


@pytest.mark.parametrize("said", [DONE, RAISED, Canceled()])
async def test_X2_one_in_progress_ends_with_its_holders_next_word(
    store: SqliteStore, said: Completed | Failed | Canceled
) -> None:
    held = (await claim_one(store, "w1")).held
    assert await store.cancel(API, "w1", [TOLD]) == CANCELING
    assert await status_of(store) is Status.IN_PROGRESS
    await store.progress(held, Progress(fraction=0.5))

    assert await store.finish(held, said, [TOLD, NOT_TOLD]) is Status.CANCELED

    workload = await store.get(API, "w1")
    assert (workload.status, workload.result, workload.error) == (Status.CANCELED, None, None)
    assert await events_of(store) == [(HOOK.key, Event.CANCELED)]
    [made] = (await store.describe(API, "w1")).attempts
    assert (made.number, made.ending) == (1, Ending.CANCELED)
    assert await store.finish(held, said, [TOLD]) is Status.CANCELED
    assert len(await events_of(store)) == 1


async def test_X2_one_in_progress_is_not_put_back(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.cancel(API, "w1", [])
    for why in (None, RAISED):
        with pytest.raises(CancelAsked):
            await store.requeue(held, spent=Spent.ATTEMPT, why=why)
    with pytest.raises(LeaseLost):
        await store.requeue(replace(held, attempt=2), spent=Spent.NOTHING)
    await store.finish(held, Canceled(), [])
    assert [each.ending for each in (await store.describe(API, "w1")).attempts] == [Ending.CANCELED]


async def test_X2_somebody_else_cannot_end_it(store: SqliteStore, other: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.cancel(API, "w1", [])
    with pytest.raises(LeaseLost):
        await other.finish(held, Canceled(), [TOLD])
    with pytest.raises(LeaseLost):
        await other.requeue(held, spent=Spent.NOTHING)
    assert await status_of(other) is Status.IN_PROGRESS


async def test_X3_repeating_it_changes_nothing(backend: SqliteBackend, store: SqliteStore) -> None:
    held = (await claim_one(store, "running")).held
    await store.submit(submission(workload_id="waiting"))
    for changed in (True, False, False):
        assert await store.cancel(API, "running", [TOLD]) == replace(CANCELING, changed=changed)
        assert await store.cancel(API, "waiting", [TOLD]) == replace(CANCELED, changed=changed)
    await store.finish(held, DONE, [TOLD])
    backend.clock.wind(5)
    before = await store.get(API, "running")
    assert await store.cancel(API, "running", [TOLD]) == replace(CANCELED, changed=False)
    assert await store.get(API, "running") == before
    for workload_id in ("running", "waiting"):
        assert len(await events_of(store, workload_id)) == 1


@pytest.mark.parametrize("outcome", [DONE, RAISED])
async def test_X4_what_has_ended_otherwise_stays_so(store: SqliteStore, outcome: Completed | Failed) -> None:
    await store.finish((await claim_one(store, "w1")).held, outcome, [TOLD])
    before = await store.get(API, "w1")
    with pytest.raises(AlreadyEnded):
        await store.cancel(API, "w1", [TOLD])
    assert await store.get(API, "w1") == before
    assert len(await events_of(store)) == 1


async def test_X4_within_one_commit_the_first_wins(store: SqliteStore) -> None:
    first, second = (await claim_one(store, "w1")).held, (await claim_one(store, "w2")).held
    told = await asyncio.gather(
        store.cancel(API, "w1", [TOLD]),
        store.finish(first, DONE, [TOLD]),
        store.finish(second, DONE, [TOLD]),
        store.cancel(API, "w2", [TOLD]),
        return_exceptions=True,
    )
    assert told[:3] == [CANCELING, Status.CANCELED, Status.COMPLETED]
    assert isinstance(told[3], AlreadyEnded)
    assert await events_of(store, "w1") == [(HOOK.key, Event.CANCELED)]
    assert await events_of(store, "w2") == [(HOOK.key, Event.COMPLETED)]


async def test_X5_what_was_asked_outlives_the_holder(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await claim_one(store, "w1")
    await other.cancel(API, "w1", [TOLD])
    backend.crash(store)
    [taken] = await other.take_over([API], 10)
    with pytest.raises(CancelAsked):
        await other.requeue(taken.held, spent=Spent.LOSS)
    assert await other.finish(taken.held, Canceled(), [TOLD]) is Status.CANCELED
    assert await events_of(other) == [(HOOK.key, Event.CANCELED)]


async def test_X6_N4_the_holder_is_told_in_the_same_turn(store: SqliteStore) -> None:
    told: list[Held] = []
    store.on_cancel(API, told.append)
    held = (await claim_one(store, "w1")).held
    await store.cancel(API, "w1", [])
    assert set(told) == {held}
    await store.submit(submission(workload_id="w2"))
    await store.cancel(API, "w2", [])
    assert set(told) == {held}


async def test_X6_N4_the_holder_is_told_of_what_others_ask_for(store: SqliteStore, other: SqliteStore) -> None:
    told: asyncio.Queue[Held] = asyncio.Queue()
    not_told: list[Held] = []
    store.on_cancel(API, told.put_nowait)
    other.on_cancel(API, not_told.append)
    held = (await claim_one(store, "w1")).held
    await other.cancel(API, "w1", [])
    assert await asyncio.wait_for(told.get(), 5) == held
    assert not_told == []


async def test_cancel_and_retry_know_unknown_and_erased(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, RAISED, [])
    await store.erase(API, "w1")
    for verb in (lambda name: store.cancel(API, name, []), lambda name: store.retry(API, name)):
        with pytest.raises(Erased):
            await verb("w1")
        with pytest.raises(UnknownWorkload):
            await verb("w2")
    with pytest.raises(UnknownWorkload):
        await store.erase(API, "w2")


# ── Retry ───────────────────────────────────────────────────────────────────────────────────────


async def test_X7_a_failed_one_runs_again_with_fresh_budgets(backend: SqliteBackend, store: SqliteStore) -> None:
    await store.requeue((await claim_one(store, "w1")).held, spent=Spent.ATTEMPT, why=RAISED)
    await store.requeue((await claim_one(store)).held, spent=Spent.LOSS, why=RAISED)
    await store.finish((await claim_one(store)).held, RAISED, [])
    backend.clock.wind(100)
    woken: list[str] = []
    store.on_queued(API, lambda: woken.append(API))

    assert await store.retry(API, "w1") == Asked(status=Status.IN_QUEUE, changed=True)

    waiting = await store.get(API, "w1")
    assert (waiting.status, waiting.error, waiting.started_at, waiting.finished_at) == (
        Status.IN_QUEUE,
        None,
        None,
        None,
    )
    await asyncio.sleep(0)
    assert woken == [API]
    again = await claim_one(store)
    assert (again.held.attempt, again.raised, again.losses, again.payload) == (4, 0, 0, b"{}")
    assert await store.finish(again.held, DONE, []) is Status.COMPLETED


async def test_X7_a_canceled_one_runs_again(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="waiting"))
    await store.cancel(API, "waiting", [])
    held = (await claim_one(store, "running")).held
    await store.cancel(API, "running", [])
    await store.finish(held, Canceled(), [])

    for workload_id in ("waiting", "running"):
        await store.retry(API, workload_id)
        assert await store.finish((await claim_one(store)).held, DONE, []) is Status.COMPLETED


async def test_X8_how_it_ended_stays_readable_and_the_next_outcome_is_another_event(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await store.finish((await claim_one(store, "w1")).held, RAISED, [TOLD])
    failed_at = backend.clock.now()
    backend.clock.wind(10)
    await store.retry(API, "w1")
    await store.cancel(API, "w1", [TOLD])
    await store.retry(API, "w1")
    await store.finish((await claim_one(store)).held, DONE, [TOLD])

    attempts = (await store.describe(API, "w1")).attempts
    assert [(each.number, each.ending, each.error) for each in attempts] == [
        (1, Ending.FAILED, RAISED),
        (None, Ending.CANCELED, None),
        (2, Ending.COMPLETED, None),
    ]
    assert (attempts[0].ended_at, attempts[1].started_at) == (failed_at, None)
    records = await store.deliveries(API, "w1")
    assert [each.event for each in records] == [Event.FAILED, Event.CANCELED, Event.COMPLETED]
    assert [each.sequence for each in records] == sorted({each.sequence for each in records})
    assert len({each.message_id for each in records}) == 3
    for _ in records:
        await store.record(await take_one(store), attempt(1, store), Delivered())


async def test_X9_what_has_not_ended_is_left_as_it_is(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    assert await store.retry(API, "w1") == Asked(status=Status.IN_QUEUE, changed=False)
    held = (await claim_one(store)).held
    assert await store.retry(API, "w1") == Asked(status=Status.IN_PROGRESS, changed=False)
    assert (await store.describe(API, "w1")).attempts[0].number == 1
    await store.cancel(API, "w1", [])
    with pytest.raises(Conflict, match="being canceled"):
        await store.retry(API, "w1")
    await store.finish(held, DONE, [])


async def test_X9_what_has_completed_is_not_run_again(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [])
    with pytest.raises(Conflict, match="completed"):
        await store.retry(API, "w1")
    assert (await store.get(API, "w1")).result == DONE.result


async def test_X10_a_retry_wants_room_as_a_submit_does(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, RAISED, [])
    await store.submit(submission(), limit=1)
    with pytest.raises(QueueFull):
        await store.retry(API, "w1", limit=1)
    assert await status_of(store) is Status.FAILED
    await store.retry(API, "w1", limit=2)
    with pytest.raises(QueueFull):
        await store.submit(submission(), limit=2)


async def test_F4_an_old_word_about_one_that_runs_again_is_worth_nothing(store: SqliteStore) -> None:
    old = (await claim_one(store, "w1")).held
    await store.finish(old, RAISED, [TOLD])
    await store.retry(API, "w1")
    with pytest.raises(LeaseLost):
        await store.finish(old, RAISED, [TOLD])
    await claim_one(store)
    for say in (store.finish(old, DONE, []), store.requeue(old, spent=Spent.NOTHING)):
        with pytest.raises(LeaseLost):
            await say
    assert await status_of(store) is Status.IN_PROGRESS


# ── Erase ───────────────────────────────────────────────────────────────────────────────────────

SECRET = b"very-private"
GUEST = guest_endpoint(f"http://guest.example/{SECRET.decode()}", frozenset({Event.FAILED}))


async def with_everything(store: SqliteStore, workload_id: str) -> Held:
    """A workload in progress that has left something in every place there is."""
    private = replace(
        submission(workload_id=workload_id, payload=b'"%b"' % SECRET, key="key"),
        headers=b'{"x":"%b"}' % SECRET,
        webhooks=(GUEST,),
        order_key=SECRET.decode(),
    )
    await store.submit(private)
    why = Failed(type="ValueError", message=SECRET.decode())
    await store.requeue((await claim_one(store)).held, spent=Spent.ATTEMPT, why=why)
    held = (await claim_one(store)).held
    await store.announce(held, Started(), [replace(HOOK, events=frozenset({Event.STARTED}))])
    await store.record(await take_one(store), attempt(1, store), Delivered())
    await store.progress(held, Progress(fraction=0.5, message=SECRET.decode()))
    await store.checkpoint(held, SECRET)
    return held


SQL = Path(store_package.__file__).parent / "sql"
SCHEMA = "".join(file.read_text() for file in sorted((SQL / "migrations").glob("*.sql")))
TABLES = sorted(set(re.findall(r"CREATE TABLE (\w+)", SCHEMA)))


async def traces(store: SqliteStore) -> set[str]:
    """The tables in which anything of it can still be found."""
    found = set()
    for table in TABLES:
        for row in await rows_of(store, f"SELECT * FROM {table}"):
            if any(SECRET in (value if isinstance(value, bytes) else str(value).encode()) for value in row):
                found.add(table)
    return found


async def test_U2_everything_of_it_is_gone_at_once(store: SqliteStore) -> None:
    held = await with_everything(store, "w1")
    await store.finish(held, Failed(type="E", message=SECRET.decode()), [HOOK])
    assert await traces(store) >= {"workloads", "past_attempts", "deliveries", "journal", "checkpoints"}
    await store.erase(API, "w1")

    assert await traces(store) == set()
    with pytest.raises(Erased):
        await store.get(API, "w1")
    assert await store.deliveries(API, "w1") == ()
    for table in ("deliveries", "attempts", "past_attempts", "journal"):
        assert await rows_of(store, f"SELECT count(*) FROM {table}") == [(0,)]
    await store.erase(API, "w1")
    with pytest.raises(IdTaken):
        await store.submit(submission(workload_id="w1", payload=b"another"))


def test_U2_every_table_about_workloads_is_erased() -> None:
    about = set(re.findall(r"CREATE TABLE (\w+) \([^;]*?\bworkload \{int\}", SCHEMA))
    assert {"deliveries", "past_attempts"} <= about
    statements = "\n".join(file.read_text() for file in SQL.glob("*.sql"))
    parts = dict(re.findall(r"-- name: (\w+)\n(.*?)(?=\n-- name|\Z)", statements, re.DOTALL))
    erased = {name for title in ERASERS for name in re.findall(r"(?:DELETE FROM|UPDATE) (\w+)", parts[title])}
    assert about <= erased


async def test_U3_one_in_the_queue_never_runs_and_nobody_is_told(store: SqliteStore) -> None:
    told = replace(GUEST, events=frozenset({Event.CANCELED}))
    await store.submit(replace(submission(workload_id="w1"), webhooks=(told,)))
    waiting = asyncio.create_task(store.ended(API, "w1", 30))
    await asyncio.sleep(0)
    await store.erase(API, "w1")

    with pytest.raises(Erased):
        await waiting
    assert (await store.claim(API, 10))[0] == []
    assert (await store.take_due(told.key, 10, again=False))[0] == []
    await store.submit(submission(), limit=1)


@pytest.mark.parametrize("said", [DONE, RAISED, Canceled()])
async def test_U3_one_in_progress_is_canceled_and_its_end_forgotten(
    store: SqliteStore, said: Completed | Failed | Canceled
) -> None:
    told: list[Held] = []
    store.on_cancel(API, told.append)
    held = await with_everything(store, "w1")
    await store.erase(API, "w1")
    assert await traces(store) == set()
    assert set(told) == {held}  # perhaps twice: at the commit, and at a look at what others wrote
    with pytest.raises(Erased):
        await store.get(API, "w1")
    for news in (
        store.progress(held, Progress(fraction=0.5, message=SECRET.decode())),
        store.announce(held, Started(), [HOOK]),
    ):
        with pytest.raises(LeaseLost):
            await news
    with pytest.raises(CancelAsked):
        await store.requeue(held, spent=Spent.ATTEMPT, why=Failed(type="E", message=SECRET.decode()))

    for _ in range(2):
        assert await store.finish(held, said, [TOLD]) is Status.CANCELED
    assert await traces(store) == set()
    assert (await store.take_due(HOOK.key, 10, again=False))[0] == []
    await store.submit(submission(), limit=1)


async def test_U3_erased_in_progress_and_lost_it_is_ended_by_whoever_takes_it_over(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    await with_everything(store, "w1")
    await other.erase(API, "w1")
    backend.crash(store)
    [taken] = await other.take_over([API], 10)
    assert taken.payload == b""
    with pytest.raises(CancelAsked):
        await other.requeue(taken.held, spent=Spent.LOSS)
    assert await other.finish(taken.held, Canceled(), [TOLD]) is Status.CANCELED
    assert await traces(other) == set()
    assert (await other.depths())[API].in_progress == 0


async def test_U3_waiters_elsewhere_hear_of_it(store: SqliteStore, other: SqliteStore) -> None:
    await claim_one(other, "w1")
    waiting = asyncio.create_task(store.ended(API, "w1", 30))
    await asyncio.sleep(0)
    await other.erase(API, "w1")
    with pytest.raises(Erased):
        await asyncio.wait_for(waiting, 5)


# ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────


async def test_U4_the_last_checkpoint_outlives_attempts_members_and_a_retry(backend: SqliteBackend) -> None:
    store, other = await backend.open(), await backend.open()
    held = (await claim_one(store, "w1")).held
    assert await store.last_checkpoint(held) is None
    for data in (b"first", bytes(range(256)) * 5):
        await store.checkpoint(held, data)
        assert await store.last_checkpoint(held) == data
    assert (await store.describe(API, "w1")).checkpoint_bytes == 256 * 5
    await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    assert await other.last_checkpoint((await claim_one(store)).held) == data
    backend.crash(store)
    [taken] = await other.take_over([API], 10)
    assert await other.last_checkpoint(taken.held) == data
    await other.finish(taken.held, RAISED, [])
    await other.retry(API, "w1")
    again = (await claim_one(other)).held
    await other.checkpoint(again, b"")
    assert await other.last_checkpoint(again) == b""
    await other.finish(again, DONE, [])
    assert await rows_of(other, "SELECT count(*) FROM checkpoints") == [(0,)]


async def test_U4_one_that_completes_first_time_leaves_no_checkpoint(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.checkpoint(held, b"half way")
    await store.finish(held, DONE, [])
    assert await rows_of(store, "SELECT count(*) FROM checkpoints") == [(0,)]


async def test_U5_only_the_holder_keeps_checkpoints(store: SqliteStore, other: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.checkpoint(held, b"mine")
    with pytest.raises(LeaseLost):
        await other.checkpoint(held, b"not mine")
    await store.requeue(held, spent=Spent.NOTHING)
    with pytest.raises(LeaseLost):
        await store.checkpoint(held, b"too late")
    again = (await claim_one(store)).held
    assert await store.last_checkpoint(again) == b"mine"
    await store.erase(API, "w1")
    with pytest.raises(LeaseLost):
        await store.checkpoint(again, SECRET)
    assert await traces(store) == set()
