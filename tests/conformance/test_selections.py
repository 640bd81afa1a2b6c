"""The contract, section by section: many workloads moved by what they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.queueing import Wish
from ringback.core.selection import BY_DEFAULT, Move, Selection
from ringback.core.spec import Event
from ringback.core.workload import Failed, Held, Status
from ringback.store.contract import Swept
from ringback.store.sqlite import SqliteStore
from ringback.store.verbs.selections import Selections
from support.stores import API, DONE, HOOK, SqliteBackend, claim_one, rows_of, submission

WHY = Failed(type="OSError", message="The disk is full")
ALL = replace(HOOK, events=frozenset(Event))
NOBODY = {API: (), "rose": ()}
NO_LIMIT = {API: 1_000, "rose": 1_000}
SECOND = 1_000_000

WAITING = Selection(apis=(API,), statuses=BY_DEFAULT[Move.CANCEL])
FAILED = Selection(apis=(API,), statuses=BY_DEFAULT[Move.RETRY])


async def swept(portion: Callable[[str | None], Awaitable[Swept]]) -> list[Swept]:
    """Every portion, to the last."""
    found = [await portion(None)]
    while found[-1].cursor is not None:
        found.append(await portion(found[-1].cursor))
    return found


async def canceled(store: SqliteStore, selection: Selection, room: int = 100) -> list[Swept]:
    return await swept(lambda cursor: store.selections.cancel(selection, NOBODY, room=room, cursor=cursor))


async def retried(store: SqliteStore, selection: Selection, room: int = 100) -> list[Swept]:
    return await swept(lambda cursor: store.selections.retry(selection, NO_LIMIT, room=room, cursor=cursor))


def changed(portions: list[Swept]) -> int:
    return sum(each.changed for each in portions)


async def submitted(store: SqliteStore, *names: str, api: str = API, tenant: str = "") -> None:
    for name in names:
        await store.submit(submission(workload_id=name, api=api, wish=Wish(tenant=tenant)))


async def failed(store: SqliteStore, *names: str, api: str = API, why: Failed = WHY, tenant: str = "") -> None:
    await submitted(store, *names, api=api, tenant=tenant)
    for each in (await store.claim(api, len(names)))[0]:
        await store.finish(each.held, why, [])


async def batch_of(store: SqliteStore, count: int) -> tuple[int, str]:
    opened = await store.batches.open(submission())
    await store.batches.stage(opened.seq, 1, [b"%d" % number for number in range(count)])
    await store.batches.accept(opened.seq, count, b"print")
    while await store.batches.pour(opened.seq, 1_000):
        pass
    return opened.seq, opened.id


async def ids(store: SqliteStore, status: Status, api: str = API) -> list[str]:
    page = await store.page([api], status=status, limit=1_000, cursor=None)
    return sorted(each.id for each in page.workloads)


# ── Portions ────────────────────────────────────────────────────────────────────────────────────


async def test_X11_each_is_canceled_as_one_alone(store: SqliteStore) -> None:
    await submitted(store, "runs", "waits", "waits too")
    running = await claim_one(store)
    told: list[Held] = []
    store.on_cancel(API, told.append)
    first = await store.selections.cancel(WAITING, {API: [ALL]}, room=9, cursor=None)
    assert (first.moved, first.stopping, first.cursor) == ({API: 2}, 1, None)
    assert told == [running.held]
    assert await ids(store, Status.CANCELED) == ["waits", "waits too"]
    [delivery] = await store.deliveries(API, "waits")
    assert delivery.event is Event.CANCELED
    assert await store.finish(running.held, DONE, [ALL]) is Status.CANCELED
    assert (await store.depths())[API].in_queue == 0


async def test_X11_each_runs_again_as_one_alone(store: SqliteStore) -> None:
    await failed(store, "a", "b")
    assert changed(await retried(store, FAILED)) == 2
    [one, two] = (await store.claim(API, 9))[0]
    assert [(each.held.id, each.held.attempt, each.raised) for each in (one, two)] == [("a", 2, 0), ("b", 2, 0)]
    record = await store.describe(API, "a")
    assert [each.number for each in record.attempts] == [1, 2]
    assert record.attempts[0].error == WHY
    assert (await store.depths())[API].in_progress == 2


async def test_X11_a_portion_is_no_larger_than_its_room(store: SqliteStore) -> None:
    await submitted(store, *(f"w{number}" for number in range(7)))
    assert [each.changed for each in await canceled(store, WAITING, room=3)] == [3, 3, 1]


async def test_X11_a_batch_is_counted_and_told_of_once(store: SqliteStore) -> None:
    seq, batch_id = await batch_of(store, 7)
    await submitted(store, "alone")
    for each in (await store.claim(API, 2))[0]:
        await store.finish(each.held, WHY, [HOOK])
    chosen = replace(WAITING, batch=seq)
    portions = await swept(lambda cursor: store.selections.cancel(chosen, {API: [HOOK]}, room=2, cursor=cursor))
    assert changed(portions) == 5
    batch = await store.batches.get(batch_id)
    assert (batch.counts.failed, batch.counts.canceled, batch.counts.is_over) == (2, 5, True)
    assert len([each for each in (await store.take_due(HOOK.key, 99, again=False))[0] if "batch" in each.event]) == 1
    assert await ids(store, Status.IN_QUEUE) == ["alone"]

    assert changed(await retried(store, replace(FAILED, batch=seq))) == 2
    assert changed(await retried(store, replace(FAILED, batch=seq, statuses=(Status.CANCELED,)))) == 5
    batch = await store.batches.get(batch_id)
    assert (batch.counts.ended, batch.finished_at) == (0, None)


# ── What is met ─────────────────────────────────────────────────────────────────────────────────


async def test_X12_what_is_submitted_later_is_not_met(store: SqliteStore) -> None:
    await submitted(store, "a", "b", "c")
    first = await store.selections.cancel(WAITING, NOBODY, room=2, cursor=None)
    await submitted(store, "later")
    second = await store.selections.cancel(WAITING, NOBODY, room=2, cursor=first.cursor)
    assert (second.changed, second.cursor) == (1, None)
    assert await ids(store, Status.IN_QUEUE) == ["later"]


async def test_X12_what_fails_again_meanwhile_is_not_met_twice(store: SqliteStore) -> None:
    await failed(store, *(f"w{number}" for number in range(6)))
    rounds = 0

    async def portion(cursor: str | None) -> Swept:
        nonlocal rounds
        rounds += 1
        found = await store.selections.retry(FAILED, NO_LIMIT, room=2, cursor=cursor)
        for each in (await store.claim(API, 9))[0]:
            await store.finish(each.held, WHY, [])
        return found

    assert changed(await swept(portion)) == 6
    assert rounds == 3
    assert [(await store.get(API, f"w{number}")).attempt for number in range(6)] == [2] * 6


async def test_X12_two_that_sweep_at_once_move_each_once(store: SqliteStore, other: SqliteStore) -> None:
    await failed(store, *(f"w{number:02}" for number in range(40)))
    both = await asyncio.gather(retried(store, FAILED, 7), retried(other, FAILED, 5))
    assert sum(map(changed, both)) == 40
    assert len((await store.claim(API, 99))[0]) == 40


async def test_X12_a_cursor_of_another_kind_is_refused(store: SqliteStore) -> None:
    await submitted(store, "a", "b")
    page = await store.page([API], status=None, limit=1, cursor=None)
    for cursor in (page.cursor, "", "x", "c3Bhbjo5"):
        with pytest.raises(InvalidParameter):
            await store.selections.cancel(WAITING, NOBODY, room=2, cursor=cursor)


async def test_X13_what_has_moved_between_the_look_and_the_move_is_left_alone(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await failed(store, "a", "b", "c", "d")
    under_way = asyncio.ensure_future(store.selections.retry(FAILED, NO_LIMIT, room=9, cursor=None))
    await other.retry(API, "b", limit=None)
    await other.erase(API, "c")
    assert (await under_way).changed in {2, 3, 4}  # who was first is the machine's choice; what follows is not
    assert await ids(store, Status.IN_QUEUE) == ["a", "b", "d"]
    assert (await store.depths())[API].in_queue == 3
    assert [(await store.describe(API, name)).attempts[0].ending for name in "abd"] == ["failed"] * 3


async def test_X13_repeating_changes_nothing_more(store: SqliteStore) -> None:
    await submitted(store, "runs", "waits")
    running = await claim_one(store)
    assert changed(await canceled(store, WAITING)) == 2
    assert changed(await canceled(store, WAITING)) == 0
    await store.finish(running.held, DONE, [])
    await failed(store, "no")
    assert changed(await retried(store, FAILED)) == 1
    assert changed(await retried(store, FAILED)) == 0


async def test_X13_one_that_is_being_canceled_is_not_told_again(store: SqliteStore) -> None:
    await submitted(store, "runs")
    running = await claim_one(store)
    await store.cancel(API, "runs", [])
    assert changed(await canceled(store, WAITING)) == 0
    assert await store.finish(running.held, DONE, []) is Status.CANCELED


# ── Conditions ──────────────────────────────────────────────────────────────────────────────────


async def test_X13_every_condition_holds(backend: SqliteBackend, store: SqliteStore) -> None:
    await failed(store, "early", tenant="navy")
    backend.clock.wind(10)
    now = backend.clock.now()
    await failed(store, "late", tenant="navy")
    await failed(store, "other tenant", tenant="army")
    await failed(store, "another_error", why=Failed(type="ValueError", message="50% off"))
    await failed(store, "elsewhere", api="rose")

    async def found(**conditions: object) -> list[str]:
        chosen = replace(FAILED, **conditions)  # type: ignore[arg-type]
        before = {api: await ids(store, Status.FAILED, api) for api in (API, "rose")}
        counted = (await store.selections.count(chosen, cursor=None)).moved
        assert {api: len(names) for api, names in before.items()} == {API: 4, "rose": 1}
        await retried(store, chosen)
        names = []
        for api in (API, "rose"):
            again = sorted(set(before[api]) - set(await ids(store, Status.FAILED, api)))
            assert counted.get(api, 0) == len(again)
            for each in (await store.claim(api, 9))[0]:
                names.append(each.held.id)
                await store.finish(each.held, why_of[each.held.id], [])
        return sorted(names)

    why_of = dict.fromkeys(("early", "late", "other tenant", "elsewhere"), WHY)
    why_of["another_error"] = Failed(type="ValueError", message="50% off")
    assert await found(before=now) == ["early"]
    backend.clock.wind(10)
    later = backend.clock.now()
    assert await found(since=later) == []
    assert await found(tenant="army") == ["other tenant"]
    assert await found(since=later) == ["other tenant"]  # by when it ended, not by when it was submitted
    assert await found(words="oserror", tenant="navy") == ["early", "late"]
    assert await found(words="50%") == ["another_error"]
    assert await found(words="r_e") == ["another_error"]
    assert await found(apis=(API, "rose"), words="DISK", before=later) == ["elsewhere"]
    assert await found(statuses=(Status.CANCELED,)) == []


# ── Bounds ──────────────────────────────────────────────────────────────────────────────────────


async def test_X14_one_call_looks_at_no_more_than_it_says(store: SqliteStore) -> None:
    bounded = Selections(store._session, store._lives, most_rows=20)
    await submitted(store, *(f"w{number:02}" for number in range(50)), "wanted", api=API)
    chosen = replace(WAITING, words="wanted")
    portions = await swept(lambda cursor: bounded.cancel(chosen, NOBODY, room=9, cursor=cursor))
    assert [each.changed for each in portions] == [0, 0, 1]
    assert await ids(store, Status.CANCELED) == ["wanted"]
    counted = await swept(lambda cursor: bounded.count(WAITING, cursor=cursor))
    assert changed(counted) == 50
    assert len(counted) == 3


async def test_X15_a_full_queue_stops_it_where_it_is(store: SqliteStore) -> None:
    await failed(store, *(f"w{number}" for number in range(5)))
    first = await store.selections.retry(FAILED, {API: 2}, room=9, cursor=None)
    assert first.changed == 2
    assert first.wait_seconds is not None
    assert first.wait_seconds >= 1
    assert (await store.selections.retry(FAILED, {API: 2}, room=9, cursor=first.cursor)).changed == 0
    for each in (await store.claim(API, 9))[0]:
        await store.finish(each.held, DONE, [])
    rest = await store.selections.retry(FAILED, {API: 9}, room=9, cursor=first.cursor)
    assert (rest.changed, rest.cursor, rest.wait_seconds) == (3, None, None)


async def test_X15_a_batch_has_no_limit(store: SqliteStore) -> None:
    seq, _ = await batch_of(store, 5)
    for each in (await store.claim(API, 9))[0]:
        await store.finish(each.held, WHY, [])
    found = await store.selections.retry(replace(FAILED, batch=seq), {API: 1}, room=9, cursor=None)
    assert (found.changed, found.cursor) == (5, None)


async def test_X16_counting_moves_nothing(store: SqliteStore) -> None:
    await failed(store, "a", "b")
    await submitted(store, "c")
    assert (await store.selections.count(FAILED, cursor=None)) == Swept(moved={API: 2})
    assert (await store.selections.count(WAITING, cursor=None)) == Swept(moved={API: 1})
    assert await ids(store, Status.FAILED) == ["a", "b"]


async def test_a_sweep_reads_one_index(on_file: SqliteBackend) -> None:
    store = await on_file.open()
    for name, batch in (("selected", None), ("selected_in_batch", 1), ("reach", None), ("reach_in_batch", 1)):
        names = {"batch": batch} if batch else {"api": API}
        parameters = {"status": "failed", "after": 0, "until": 9, "room": 9, "most": 9, "since": 0, "before": 9}
        everything = {**names, **parameters, "tenant": None, "words": None}
        plan = [
            row[3]
            for row in await store._session.scan(
                lambda tables, name=name, everything=everything: tables.execute(  # type: ignore[misc]
                    f"EXPLAIN QUERY PLAN {store._session.sql[name]}", everything
                ).fetchall()
            )
        ]
        assert len(plan) == 1, plan
        assert ("workloads_of_batch" if batch else "workloads_listed") in plan[0]
    assert await rows_of(store, "SELECT count(*) FROM workloads") == [(0,)]
