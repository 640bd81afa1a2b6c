"""The contract, section by section: inboxes and what is captured in them."""

from __future__ import annotations

import asyncio

import pytest

from ringback.core.clock import after
from ringback.core.delivery import Delivered
from ringback.core.errors import Conflict, UnknownCapture, UnknownInbox
from ringback.core.inbox import (
    DEFAULTS,
    MOST_INBOXES,
    PREVIEW_BYTES,
    Answered,
    Arrival,
    Capture,
    Forwarded,
    InboxSettings,
    Search,
)
from ringback.core.script import Act, Step
from ringback.store.sqlite import SqliteStore
from support.stores import API, DONE, HOOK, OTHER_HOOK, SqliteBackend, attempt, claim_one, take_one

BOX = "box-of-this-test"
SEARCH_ALL = Search()
FAIL_TWICE = InboxSettings(script=(Step(status=500, times=2),))


def arrival(store: SqliteStore, body: bytes = b"{}", *, message_id: str | None = None, **more: object) -> Arrival:
    values: dict[str, object] = {
        "received_at": store.clock.now(),
        "read_us": 7,
        "method": "POST",
        "target": "/a/b?c=d",
        "http_version": "1.1",
        "peer": "127.0.0.1:5",
        "head": b"Host: x\r\nX-Two: 1\r\nx-two: 2\r\n",
        "body": body,
        "size_bytes": len(body),
        "message_id": message_id,
    }
    return Arrival(**values | more)  # type: ignore[arg-type]


@pytest.fixture
async def box(store: SqliteStore) -> SqliteStore:
    await store.inboxes.make(BOX, "a box", DEFAULTS)
    return store


async def filled(store: SqliteStore, count: int) -> list[int]:
    captured = [store.inboxes.capture(BOX, arrival(store, b"%d" % number)) for number in range(count)]
    return [(await each).number for each in captured]


async def kept(store: SqliteStore) -> list[int]:
    page = await store.inboxes.find(BOX, SEARCH_ALL, limit=1_000, cursor=None)
    return [each.number for each in page.captures]


# ── Inboxes ─────────────────────────────────────────────────────────────────────────────────────


async def test_IC1_a_name_or_an_id_that_is_taken_answers_with_who_has_it(store: SqliteStore) -> None:
    made = await store.inboxes.make("one", "first", FAIL_TWICE)
    assert await store.inboxes.make("two", "first", DEFAULTS) == made
    assert await store.inboxes.make("one", "second", DEFAULTS) == made
    assert await store.inboxes.all() == [made]
    assert made.settings == FAIL_TWICE


async def test_IC2_there_is_a_most_and_none_is_dropped_for_another(store: SqliteStore) -> None:
    made = [store.inboxes.make(f"i{number}", f"n{number}", DEFAULTS) for number in range(MOST_INBOXES)]
    for each in made:
        await each
    with pytest.raises(Conflict, match="delete one"):
        await store.inboxes.make("more", "more", DEFAULTS)
    assert len(await store.inboxes.all()) == MOST_INBOXES


async def test_IC3_settings_hold_from_the_next_request_on_whoever_takes_it(
    box: SqliteStore, other: SqliteStore
) -> None:
    await other.inboxes.change(BOX, FAIL_TWICE)
    assert (await box.inboxes.capture(BOX, arrival(box))).step.status == 500
    with pytest.raises(UnknownInbox):
        await box.inboxes.change("none", DEFAULTS)


async def test_IC3_another_script_begins_anew_and_the_same_one_goes_on(box: SqliteStore) -> None:
    for settings, statuses in (
        (FAIL_TWICE, [500, 500, 200]),
        (InboxSettings(script=FAIL_TWICE.script, keep=77), [200]),
        (InboxSettings(script=(Step(status=503, times=1),)), [503, 200]),
    ):
        await box.inboxes.change(BOX, settings)
        for status in statuses:
            assert (await box.inboxes.capture(BOX, arrival(box, message_id="m"))).step.status == status


async def test_IC3_fewer_to_keep_drop_the_oldest_at_once(box: SqliteStore) -> None:
    await filled(box, 5)
    await box.inboxes.change(BOX, InboxSettings(keep=2))
    assert await kept(box) == [5, 4]
    found = await box.inboxes.get(BOX)
    assert (found.captured, found.dropped, found.settings.keep) == (5, 3, 2)


async def test_IC4_a_dropped_inbox_is_gone_with_all_it_held(box: SqliteStore, other: SqliteStore) -> None:
    await box.inboxes.capture(BOX, arrival(box, message_id="m"))
    await other.inboxes.drop(BOX)
    await other.inboxes.drop(BOX)
    assert await box.inboxes.of_message("m", 10) == []
    for look in (box.inboxes.find(BOX, SEARCH_ALL, limit=1, cursor=None), box.inboxes.since(BOX, 0, 1)):
        with pytest.raises(UnknownInbox):
            await look
    with pytest.raises(UnknownInbox):
        await box.inboxes.get(BOX)
    with pytest.raises(UnknownInbox):
        await box.inboxes.capture(BOX, arrival(box))


async def test_IC5_a_cleared_inbox_counts_on(box: SqliteStore) -> None:
    await filled(box, 3)
    await box.inboxes.clear(BOX)
    assert (await kept(box), (await box.inboxes.get(BOX)).kept_bytes) == ([], 0)
    assert await filled(box, 1) == [4]
    assert await kept(box) == [4]
    with pytest.raises(UnknownInbox):
        await box.inboxes.clear("none")


# ── Captures ────────────────────────────────────────────────────────────────────────────────────


async def test_IC6_a_request_comes_back_as_it_came(box: SqliteStore) -> None:
    came = arrival(
        box,
        bytes(range(256)) * 20,
        message_id="m.1",
        method="BREW",
        head=b"X-B: \xff\xfe\r\nx-a: 1\r\nX-A: 2\r\n",
        target="/%00?q=%ff",
    )
    taken = await box.inboxes.capture(BOX, came)
    found = await box.inboxes.one(BOX, taken.number)
    assert found == Capture(
        inbox_id=BOX, number=1, change=1, arrival=came, answered=Answered(act=Act.ANSWER, status=200)
    )
    assert (taken.step, taken.settings) == (Step(), DEFAULTS)
    with pytest.raises(UnknownCapture):
        await box.inboxes.one(BOX, 2)


async def test_IC17_of_a_body_over_the_limit_as_it_stands_the_beginning_is_kept(box: SqliteStore) -> None:
    came = arrival(box, b"0123456789", message_id="m")
    await box.inboxes.change(BOX, InboxSettings(body_limit_bytes=4))
    taken = await box.inboxes.capture(BOX, came)
    found = await box.inboxes.one(BOX, taken.number)
    assert (found.arrival.body, found.arrival.size_bytes, found.arrival.is_cut) == (b"0123", 10, True)
    assert found.arrival == came.within(taken.settings.body_limit_bytes)
    assert (await box.inboxes.get(BOX)).kept_bytes == len(came.head) + 4
    await box.inboxes.change(BOX, InboxSettings(body_limit_bytes=10))
    assert (await box.inboxes.one(BOX, (await box.inboxes.capture(BOX, came)).number)).arrival == came


async def test_IC6_a_body_of_which_only_the_beginning_is_kept_says_so(box: SqliteStore) -> None:
    await box.inboxes.capture(BOX, arrival(box, b"begin", size_bytes=9_000, is_cut=True))
    [listed] = (await box.inboxes.find(BOX, SEARCH_ALL, limit=9, cursor=None)).captures
    assert (listed.arrival.is_cut, listed.arrival.size_bytes, listed.arrival.body) == (True, 9_000, b"begin")


async def test_IC6_listings_bring_the_beginning_of_a_body(box: SqliteStore) -> None:
    await box.inboxes.capture(BOX, arrival(box, b"x" * (PREVIEW_BYTES + 1), message_id="m"))
    page = await box.inboxes.find(BOX, SEARCH_ALL, limit=9, cursor=None)
    for [listed] in (page.captures, await box.inboxes.since(BOX, 0, 9), await box.inboxes.of_message("m", 9)):
        assert (listed.arrival.is_cut, listed.arrival.body) == (False, b"x" * PREVIEW_BYTES)


async def test_IC6_no_body_is_an_empty_one_in_listings_too(box: SqliteStore) -> None:
    await box.inboxes.capture(BOX, arrival(box, b""))
    [listed] = (await box.inboxes.find(BOX, SEARCH_ALL, limit=9, cursor=None)).captures
    assert listed.arrival.body == (await box.inboxes.one(BOX, 1)).arrival.body == b""


async def test_IC7_numbers_count_without_a_gap_by_whatever_members(box: SqliteStore, other: SqliteStore) -> None:
    captured = [member.inboxes.capture(BOX, arrival(box)) for _ in range(20) for member in (box, other)]
    assert sorted([(await each).number for each in captured]) == list(range(1, 41))


async def test_IC8_a_full_inbox_drops_its_oldest_by_number(box: SqliteStore) -> None:
    await box.inboxes.change(BOX, InboxSettings(keep=3))
    assert await filled(box, 250) == list(range(1, 251))
    assert await kept(box) == [250, 249, 248]


async def test_IC8_a_full_inbox_drops_its_oldest_by_bytes_and_keeps_the_newest(box: SqliteStore) -> None:
    head = arrival(box).head
    await box.inboxes.change(BOX, InboxSettings(keep_bytes=3 * (len(head) + 100)))
    for size in (100, 100, 100, 101):
        await box.inboxes.capture(BOX, arrival(box, b"x" * size))
    assert await kept(box) == [4, 3]
    assert (await box.inboxes.get(BOX)).kept_bytes == 2 * len(head) + 201
    await box.inboxes.capture(BOX, arrival(box, b"x" * 100_000))
    assert await kept(box) == [5]
    assert (await box.inboxes.get(BOX)).kept_bytes == len(head) + 100_000


async def test_IC9_the_script_is_played_for_each_message_by_itself(box: SqliteStore, other: SqliteStore) -> None:
    await box.inboxes.change(BOX, FAIL_TWICE)
    captured = [
        (message, member.inboxes.capture(BOX, arrival(box, message_id=message)))
        for message in ("a", "b", None)
        for member in (box, other, box)
    ]
    answers: dict[str | None, list[int]] = {}
    for message, each in captured:
        answers.setdefault(message, []).append((await each).step.status)
    assert [sorted(each) for each in (answers["a"], answers["b"])] == [[200, 500, 500]] * 2
    assert answers[None] == [200, 200, 200]  # the inbox had taken six before them


async def test_IC9_a_message_keeps_its_turn_in_an_inbox_that_keeps_one_capture(box: SqliteStore) -> None:
    await box.inboxes.change(BOX, InboxSettings(script=FAIL_TWICE.script, keep=1))
    statuses = [(await box.inboxes.capture(BOX, arrival(box, message_id="m"))).step.status for _ in range(4)]
    assert statuses == [500, 500, 200, 200]


async def test_IC10_what_became_of_the_sender_is_added(box: SqliteStore) -> None:
    await box.inboxes.change(BOX, InboxSettings(script=(Step(act=Act.HANG),)))
    taken = await box.inboxes.capture(BOX, arrival(box))
    number = taken.number
    assert (taken.step.act, (await box.inboxes.one(BOX, number)).answered) == (Act.HANG, Answered(act=Act.HANG))
    answered = Answered(act=Act.HANG, duration_us=15_000_000, detail="the sender left \ud800")
    await box.inboxes.note_answer(BOX, number, answered)
    found = await box.inboxes.one(BOX, number)
    assert found.answered == Answered(act=Act.HANG, duration_us=15_000_000, detail="the sender left ?")
    assert found.change == (await box.inboxes.get(BOX)).change
    await box.inboxes.note_answer(BOX, 99, answered)
    await box.inboxes.note_answer("none", 1, answered)


async def test_IC10_what_came_of_sending_it_on_is_added_and_the_latest_are_kept(box: SqliteStore) -> None:
    number = (await box.inboxes.capture(BOX, arrival(box))).number
    sent = [
        Forwarded(
            url=f"http://127.0.0.1/{each}",
            started_at=box.clock.now(),
            duration_us=each,
            is_replay=each > 0,
            status=200,
            head=b"A: \xff\r\n",
            body=b"\x00\xff",
        )
        for each in range(12)
    ]
    for each in sent:
        await box.inboxes.note_forward(BOX, number, each)
    assert (await box.inboxes.one(BOX, number)).forwards == tuple(sent[2:])
    await box.inboxes.note_forward("none", 1, sent[0])


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        (Search(), [4, 3, 2, 1]),
        (Search(number=3), [3]),
        (Search(number=3, method="PUT"), []),
        (Search(number=3, header="HOST: A", body=b"body 3"), [3]),
        (Search(number=9), []),
        (Search(message_id="m1"), [3, 1]),
        (Search(method="PUT"), [2]),
        (Search(status=500), [1]),
        (Search(header="host: a"), [4, 3, 2, 1]),
        (Search(header="X-NUMBER: 2"), [2]),
        (Search(body=b"\x00body 4"), [4]),
        (Search(body=b"BODY 4"), []),
        (Search(message_id="m1", body=b"body 3"), [3]),
    ],
)
async def test_IC11_what_fits_the_search_is_found_and_no_other(
    box: SqliteStore, search: Search, numbers: list[int]
) -> None:
    await box.inboxes.change(BOX, InboxSettings(script=(Step(status=500, times=1),)))
    for number in range(1, 5):
        await box.inboxes.capture(
            BOX,
            arrival(
                box,
                b"\x00body %d" % number,
                message_id="m1" if number % 2 else f"m{number}",
                method="PUT" if number == 2 else "POST",
                head=b"Host: A\r\nX-Number: %d\r\n" % number,
            ),
        )
        if number == 1:
            await box.inboxes.change(BOX, DEFAULTS)
    page = await box.inboxes.find(BOX, search, limit=10, cursor=None)
    assert ([each.number for each in page.captures], page.cursor) == (numbers, None)


async def test_IC11_a_cursor_neither_skips_nor_repeats_while_others_come(box: SqliteStore) -> None:
    await filled(box, 7)
    seen: list[int] = []
    cursor = None
    for _ in range(4):
        page = await box.inboxes.find(BOX, SEARCH_ALL, limit=2, cursor=cursor)
        seen += [each.number for each in page.captures]
        cursor = page.cursor
        await filled(box, 1)
    assert (seen, cursor) == ([7, 6, 5, 4, 3, 2, 1], None)


async def test_IC12_changes_are_told_once_each_in_their_order(box: SqliteStore) -> None:
    await filled(box, 3)
    first = await box.inboxes.since(BOX, 0, 2)
    assert [each.number for each in first] == [1, 2]
    await box.inboxes.note_answer(BOX, 1, Answered(act=Act.ANSWER, status=418))
    rest = await box.inboxes.since(BOX, first[-1].change, 10)
    assert [(each.number, each.answered.status) for each in rest] == [(3, 200), (1, 418)]
    assert await box.inboxes.since(BOX, rest[-1].change, 10) == []


async def test_IC12_what_was_dropped_meanwhile_is_left_out(box: SqliteStore) -> None:
    await box.inboxes.change(BOX, InboxSettings(keep=2))
    await filled(box, 5)
    assert [each.number for each in await box.inboxes.since(BOX, 0, 10)] == [4, 5]


async def test_IC13_the_captures_of_a_message_are_found_in_every_inbox(box: SqliteStore) -> None:
    await box.inboxes.make("second", "second", DEFAULTS)
    for inbox, message in ((BOX, "m"), ("second", "m"), (BOX, "n"), (BOX, "m")):
        await box.inboxes.capture(inbox, arrival(box, message_id=message))
    found = await box.inboxes.of_message("m", 10)
    assert [(each.inbox_id, each.number) for each in found] == [(BOX, 1), ("second", 1), (BOX, 3)]
    assert [each.number for each in await box.inboxes.of_message("m", 1)] == [3]


async def test_IC14_the_deliveries_of_a_message_are_found_among_many(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    for number in range(40):
        member = (store, other)[number % 2]
        await member.finish((await claim_one(member, f"w{number}")).held, DONE, [HOOK, OTHER_HOOK])
        backend.clock.wind((0, 0, 0.5, 60)[number % 4])
    for number in (0, 1, 17, 38, 39):
        wanted = await store.deliveries(API, f"w{number}")
        found = await store.inboxes.sent(wanted[0].message_id)
        assert [record for record, _ in found] == list(wanted)
        assert {body for _, body in found} == {(await store.inboxes.sent(wanted[0].message_id))[0][1]}
        assert b'"w%d"' % number in found[0][1]
    for unknown in ("msg_018bcfe5-6800-7000-8000-000000000000", "msg_1", "evt_1"):
        assert list(await store.inboxes.sent(unknown)) == []


async def test_IC14_an_empty_store_has_sent_nothing_and_attempts_come_with_it(store: SqliteStore) -> None:
    assert list(await store.inboxes.sent("msg_018bcfe5-6800-7000-8000-000000000000")) == []
    await store.finish((await claim_one(store, "w")).held, DONE, [HOOK])
    delivery = await take_one(store)
    await store.record(delivery, attempt(1, store), Delivered())
    [(record, body)] = await store.inboxes.sent(delivery.message_id)
    assert (record.attempts, body) == ((attempt(1, store),), delivery.body)


async def test_IC15_whoever_listens_is_woken_after_each_commit(box: SqliteStore, other: SqliteStore) -> None:
    here, there, off = asyncio.Event(), asyncio.Event(), asyncio.Event()
    box.inboxes.on_change(BOX, here.set)
    box.inboxes.on_change(BOX, off.set)
    box.inboxes.off_change(BOX, off.set)
    other.inboxes.on_change(BOX, there.set)
    await box.inboxes.capture(BOX, arrival(box))
    for event in (here, there):
        await asyncio.wait_for(event.wait(), 5)
    assert not off.is_set()
    box.inboxes.off_change(BOX, here.set)
    box.inboxes.off_change(BOX, here.set)


async def test_IC16_only_what_is_old_enough_is_erased(backend: SqliteBackend, box: SqliteStore) -> None:
    await filled(box, 3)
    backend.clock.wind(10)
    await filled(box, 2)
    backend.clock.set(1_000)
    assert await box.inboxes.erase_expired(10.000_001, 100) == 0
    assert await box.inboxes.erase_expired(10, 2) == 2
    assert await box.inboxes.erase_expired(10, 100) == 1
    found = await box.inboxes.get(BOX)
    assert (await kept(box), found.captured, found.dropped) == ([5, 4], 5, 3)
    assert found.kept_bytes == 2 * (len(arrival(box).head) + 1)
    assert found.last_at == after(box.clock.now(), -1_000)
