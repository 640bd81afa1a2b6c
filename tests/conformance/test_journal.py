"""J: what predict says is kept in order, fenced, and told to whoever listens, in one stream with what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from ringback.core.errors import Erased, LeaseLost, UnknownWorkload
from ringback.core.journal import Entry, Happening, LeftOut, Moved, Said, Story
from ringback.core.workload import Failed, Output, Progress, Spent, Status
from ringback.store.contract import NOTICE_SECONDS
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, SqliteBackend, claim_one, rows_of, submission

ROOM = 100
HELLO = Said(line=1, text="hello\n")
WORLD = Said(line=2, text="wörld 🌸 \x00 half a li")
RAISED = Failed(type="ValueError", message="not yet")
LOST = Failed(type="replica_lost", message="it was killed")
HALF = Progress(fraction=0.5, message="halfway")


async def told(
    store: SqliteStore, workload_id: str = "w1", *, after: int = 0, room: int = ROOM, timeout_seconds: float = 0
) -> Story:
    return await store.happenings(API, workload_id, after=after, room=room, timeout_seconds=timeout_seconds)


async def entries_of(store: SqliteStore, workload_id: str = "w1") -> list[tuple[int, Entry]]:
    """All entries with their attempts."""
    found = (await told(store, workload_id)).happenings
    return [(each.attempt, each.what) for each in found if not isinstance(each.what, Moved)]


def statuses(happenings: Iterable[Happening]) -> list[tuple[int, Status]]:
    return [(each.attempt, each.what.status) for each in happenings if isinstance(each.what, Moved)]


# ── Writing ─────────────────────────────────────────────────────────────────────────────────────


async def test_J1_entries_come_back_as_they_were_in_their_order(backend: SqliteBackend, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    said: list[Entry] = [
        HELLO,
        Output(index=0, value=b'{"a":12345678901234567890}'),
        WORLD,
        LeftOut(index=1, output_bytes=1 << 30),
        Progress(fraction=0.25),
    ]
    await store.enter(held, said[:2])
    backend.clock.wind(1)
    await store.enter(held, said[2:4])
    await store.progress(held, Progress(fraction=0.25))

    assert await entries_of(store) == [(1, each) for each in said]
    moments = [each.at for each in (await told(store)).happenings if not isinstance(each.what, Moved)]
    assert moments == [backend.clock.now() - 1_000_000] * 2 + [backend.clock.now()] * 3


async def test_J1_what_earlier_attempts_said_stays_before_it(store: SqliteStore) -> None:
    for _ in range(2):
        held = (await claim_one(store, None if await known(store) else "w1")).held
        await store.enter(held, [HELLO])
        await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    third = (await claim_one(store)).held
    await store.enter(third, [WORLD])
    assert await entries_of(store) == [(1, HELLO), (2, HELLO), (3, WORLD)]


async def known(store: SqliteStore) -> bool:
    return bool((await store.page([API], status=None, limit=1, cursor=None)).workloads)


async def test_J1_each_workload_has_its_own(store: SqliteStore) -> None:
    for name, said in (("w1", HELLO), ("w2", WORLD)):
        await store.enter((await claim_one(store, name)).held, [said])
    assert await entries_of(store, "w1") == [(1, HELLO)]
    assert await entries_of(store, "w2") == [(1, WORLD)]


async def test_J2_nothing_lands_after_the_end_nor_from_an_attempt_that_is_over(store: SqliteStore) -> None:
    first = (await claim_one(store, "w1")).held
    await store.requeue(first, spent=Spent.LOSS, why=LOST)
    with pytest.raises(LeaseLost):
        await store.enter(first, [HELLO])
    second = (await claim_one(store)).held
    with pytest.raises(LeaseLost):
        await store.enter(first, [HELLO])
    await store.finish(second, DONE, [HOOK])
    with pytest.raises(LeaseLost):
        await store.enter(second, [HELLO])
    assert await entries_of(store) == []


async def test_J2_a_member_that_lost_it_enters_nothing(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    held = (await claim_one(store, "w1")).held
    backend.clock.wind(60)
    await other.heartbeat()
    [taken] = await other.take_over([API], 10)
    with pytest.raises(LeaseLost):
        await store.enter(held, [HELLO])
    await other.enter(taken.held, [WORLD])
    assert await entries_of(store) == [(2, WORLD)]


async def test_J3_lines_that_are_dropped_are_gone_and_no_others(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    said = [Said(line=line, text="text\n") for line in (1, 10, 20, 30)]
    await store.enter(held, [*said[:3], Output(index=15, value=b"1")])
    await store.enter(held, said[3:], drop=range(10, 20))
    assert [each for _, each in await entries_of(store)] == [said[0], said[2], Output(index=15, value=b"1"), said[3]]

    await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    await store.enter((await claim_one(store)).held, [Said(line=1, text="again\n")], drop=range(100))
    assert [attempt for attempt, _ in await entries_of(store)] == [1, 1, 1, 1]


async def test_F9_last_words_come_with_the_terminal_status_or_not_at_all(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.enter(held, [HELLO])
    listening = asyncio.create_task(told(store, after=(await told(store)).happenings[-1].id, timeout_seconds=5))
    await asyncio.sleep(0)
    for _ in range(2):  # a repeated finish repeats nothing
        await store.finish(held, DONE, [HOOK], entries=[WORLD])
    assert [type(each.what) for each in (await listening).happenings] == [Said, Moved]
    assert await entries_of(store) == [(1, HELLO), (1, WORLD)]

    late = (await claim_one(store, "w2")).held
    await store.requeue(late, spent=Spent.NOTHING)
    with pytest.raises(LeaseLost):
        await store.finish(late, DONE, [HOOK], entries=[WORLD])
    assert await entries_of(store, "w2") == []


async def test_R5_last_words_come_with_the_requeue_or_not_at_all(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.requeue(held, spent=Spent.LOSS, why=LOST, entries=[WORLD])
    with pytest.raises(LeaseLost):
        await store.requeue(held, spent=Spent.LOSS, why=LOST, entries=[WORLD])
    assert await entries_of(store) == [(1, WORLD)]


async def test_P4_each_word_is_kept_but_for_those_another_stands_in_for(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    words = [Progress(fraction=number / 10, message=f"step {number}") for number in range(5)]
    await store.progress(held, words[0])
    await store.progress(held, words[1])
    await store.enter(held, [HELLO])
    known_id = (await told(store)).happenings[-2].id
    await store.progress(held, words[2], instead=True)
    await store.progress(held, words[3], instead=True)
    assert [each for _, each in await entries_of(store)] == [words[0], HELLO, words[3]]
    # Whoever knew the word that is gone is told the one that came for it.
    assert [each.what for each in (await told(store, after=known_id)).happenings] == [HELLO, words[3]]

    await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    await store.progress((await claim_one(store)).held, words[4], instead=True)
    assert [each for _, each in await entries_of(store)] == [words[0], HELLO, words[3], words[4]]


async def test_P4_what_stands_in_for_the_last_entry_has_a_higher_id(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.progress(held, HALF)
    before = (await told(store)).happenings[-1].id
    await store.progress(held, HALF, instead=True)
    [after] = (await told(store, after=before)).happenings
    assert after.id > before


# ── Listening ───────────────────────────────────────────────────────────────────────────────────


async def test_J4_whoever_listens_is_told_as_soon_as_it_is_committed(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    place = (await told(store)).happenings[-1].id
    seen: list[object] = []

    async def listen() -> None:
        at = place
        while True:
            found = await told(store, after=at, timeout_seconds=5)
            seen.extend(
                each.what if not isinstance(each.what, Moved) else each.what.status for each in found.happenings
            )
            if found.is_over:
                return
            at = found.happenings[-1].id

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    held = (await claim_one(store)).held
    await store.enter(held, [HELLO])
    await store.progress(held, HALF)
    await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    held = (await claim_one(store)).held
    await store.finish(held, DONE, [])
    await asyncio.wait_for(listening, NOTICE_SECONDS / 2)
    running, queued = Status.IN_PROGRESS, Status.IN_QUEUE
    assert seen == [running, HELLO, HALF, queued, running, Status.COMPLETED]


async def test_J4_what_is_on_its_way_to_the_disk_when_the_listener_comes_is_not_missed(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    place = (await told(store)).happenings[-1].id
    entering = asyncio.ensure_future(store.enter(held, [HELLO]))  # written, not committed
    found = await asyncio.wait_for(told(store, after=place, timeout_seconds=60), NOTICE_SECONDS / 2)
    assert [each.what for each in found.happenings] == [HELLO]
    await entering


async def test_J4_another_members_entries_are_noticed(store: SqliteStore, other: SqliteStore) -> None:
    held = (await claim_one(other, "w1")).held
    place = (await told(store)).happenings[-1].id
    listening = asyncio.create_task(told(store, after=place, timeout_seconds=30))
    await asyncio.sleep(0)
    await other.enter(held, [HELLO])
    assert [each.what for each in (await asyncio.wait_for(listening, 5)).happenings] == [HELLO]


async def test_when_nothing_happens_nothing_is_told(store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    place = (await told(store)).happenings[-1].id
    found = await told(store, after=place, timeout_seconds=0.001)
    assert found == Story(happenings=(), is_over=False)


async def test_J5_every_change_of_status_has_its_place(backend: SqliteBackend, store: SqliteStore) -> None:
    started = backend.clock.now()
    first = (await claim_one(store, "w1")).held
    await store.enter(first, [HELLO])
    await store.requeue(first, spent=Spent.ATTEMPT, why=RAISED)
    backend.clock.wind(5)
    second = (await claim_one(store)).held
    await store.enter(second, [WORLD])
    failed = Failed(type="ValueError", message="no flower")
    await store.finish(second, failed, [])

    found = await told(store)
    assert found.is_over
    assert [each.what for each in found.happenings] == [
        Moved(status=Status.IN_QUEUE),
        Moved(status=Status.IN_PROGRESS),
        HELLO,
        Moved(status=Status.IN_QUEUE, error=RAISED),
        Moved(status=Status.IN_PROGRESS),
        WORLD,
        Moved(status=Status.FAILED, error=failed),
    ]
    assert [each.attempt for each in found.happenings] == [0, 1, 1, 1, 2, 2, 2]
    ids = [each.id for each in found.happenings]
    assert ids == sorted(set(ids))
    assert {each.at for each in found.happenings[:4]} == {started}
    assert found.happenings[4].at == found.happenings[-1].at == backend.clock.now()


async def test_J5_one_that_was_handed_over_and_given_back_was_not_begun(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    seen = (await told(store)).happenings
    assert statuses(seen) == [(0, Status.IN_QUEUE), (1, Status.IN_PROGRESS)]
    await store.requeue(held, spent=Spent.NOTHING)
    assert statuses((await told(store)).happenings) == [(0, Status.IN_QUEUE)]
    # Whoever has heard of it hears that it is back.
    assert statuses((await told(store, after=seen[-1].id)).happenings) == [(1, Status.IN_QUEUE)]
    await claim_one(store)
    assert statuses((await told(store)).happenings) == [(0, Status.IN_QUEUE), (2, Status.IN_PROGRESS)]
    assert statuses((await told(store, after=seen[-1].id)).happenings) == [
        (1, Status.IN_QUEUE),
        (2, Status.IN_PROGRESS),
    ]


async def test_J5_what_went_down_with_its_server_is_told(backend: SqliteBackend, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.enter(held, [HELLO])
    backend.crash(store)
    other = await backend.open()
    [taken] = await other.take_over([API], 10)
    assert statuses((await told(other)).happenings) == [(0, Status.IN_QUEUE), (1, Status.IN_PROGRESS)]
    await other.requeue(taken.held, spent=Spent.LOSS)
    held = (await claim_one(other)).held
    await other.finish(held, DONE, [])
    found = (await told(other)).happenings
    assert statuses(found) == [
        (0, Status.IN_QUEUE),
        (1, Status.IN_PROGRESS),
        (1, Status.IN_QUEUE),
        (3, Status.IN_PROGRESS),
        (3, Status.COMPLETED),
    ]
    back = found[3].what
    assert isinstance(back, Moved)
    assert back.error is not None
    assert back.error.type == "replica_lost"


async def test_J5_ids_are_the_same_at_any_time_and_for_any_member(backend: SqliteBackend, store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.enter(held, [HELLO])
    await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    live = (await told(store)).happenings
    held = (await claim_one(store)).held
    await store.enter(held, [WORLD])
    await store.finish(held, DONE, [])
    other = await backend.open()
    later = (await told(other)).happenings
    assert [each.id for each in later[: len(live)]] == [each.id for each in live]
    await backend.leave(store)
    assert (await told(await backend.open())).happenings == later


async def test_J6_going_on_after_any_id_brings_the_rest_once(store: SqliteStore) -> None:
    for attempt in range(3):
        held = (await claim_one(store, "w1" if attempt == 0 else None)).held
        if attempt != 1:  # the second says nothing
            await store.enter(held, [Said(line=1, text=f"attempt {attempt}\n"), Output(index=0, value=b"1")])
            await store.progress(held, HALF)
        if attempt < 2:
            await store.requeue(held, spent=Spent.ATTEMPT, why=RAISED)
    await store.finish(held, DONE, [])
    whole = (await told(store)).happenings
    assert len(whole) == 13

    for place, each in enumerate(whole):
        assert (await told(store, after=each.id)).happenings == whole[place + 1 :]
    assert await told(store, after=whole[-1].id) == Story(happenings=(), is_over=True)
    for room in (1, 2, 3):
        seen: list[Happening] = []
        is_over = False
        while not is_over:
            found = await told(store, after=seen[-1].id if seen else 0, room=room)
            assert len([each for each in found.happenings if not isinstance(each.what, Moved)]) <= room
            seen += found.happenings
            is_over = found.is_over
        assert tuple(seen) == whole


async def test_J6_nothing_is_skipped_or_repeated_while_entries_arrive(store: SqliteStore, other: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    said: list[Entry] = [Said(line=number + 1, text=f"{number}\n") for number in range(200)]

    async def write() -> None:
        for number in range(0, 200, 4):
            await store.enter(held, said[number : number + 4])
        await store.finish(held, DONE, [])

    async def read(reader: SqliteStore) -> list[Entry]:
        seen: list[Happening] = []
        is_over = False
        while not is_over:
            found = await told(reader, after=seen[-1].id if seen else 0, room=7, timeout_seconds=10)
            seen += found.happenings
            is_over = found.is_over
        ids = [each.id for each in seen]
        assert ids == sorted(set(ids))
        return [each.what for each in seen if not isinstance(each.what, Moved)]

    _, here, there = await asyncio.gather(write(), read(store), read(other))
    assert here == there == said


# ── What is not there ───────────────────────────────────────────────────────────────────────────


async def test_E1_the_journal_goes_with_the_workload(backend: SqliteBackend, store: SqliteStore) -> None:
    for name in ("w1", "w2"):
        held = (await claim_one(store, name)).held
        await store.enter(held, [HELLO])
        await store.finish(held, DONE, [], entries=[WORLD])
        backend.clock.wind(60)
    assert await store.erase_expired({API: 61}, 10) == 1
    with pytest.raises(Erased):
        await told(store, "w1")
    assert await entries_of(store, "w2") == [(1, HELLO), (1, WORLD)]
    assert await rows_of(store, "SELECT count(*) FROM journal") == [(2,)]


async def test_listening_for_nothing_known_raises(store: SqliteStore) -> None:
    with pytest.raises(UnknownWorkload, match="nope"):
        await told(store, "nope", timeout_seconds=5)


async def test_a_plain_workload_leaves_no_entry(store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    assert statuses((await told(store)).happenings) == [
        (0, Status.IN_QUEUE),
        (1, Status.IN_PROGRESS),
        (1, Status.COMPLETED),
    ]
    assert await rows_of(store, "SELECT count(*) FROM journal") == [(0,)]
