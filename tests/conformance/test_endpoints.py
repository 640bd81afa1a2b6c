"""Z, N2 and N3: endpoints registered with a running server, told like those of the file, by every member."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ringback.core.delivery import TRIAL_API, AttemptClass, DeliveryState, Pause, PauseKind, TryAgain
from ringback.core.errors import Conflict, UnknownEndpoint
from ringback.core.netguard import Trust
from ringback.core.registration import MOST_REGISTERED, Registration, Undelivered, rekeyed
from ringback.core.rotation import OVERLAP_SECONDS, EndpointKey
from ringback.core.spec import BodyFormat, Endpoint, Event, Order
from ringback.core.workload import Failed, Progress, Started
from ringback.store.contract import NOTICE_SECONDS
from ringback.store.sqlite import SqliteStore
from support.signed import OTHER, SECRET
from support.stores import API, DONE, HOOK, SqliteBackend, attempt, claim_one, submission, take_one

KEY = "ep_1"
ENDED = frozenset({Event.COMPLETED})
DAY = 86_400.0


def registration(store: SqliteStore, key: str = KEY, *, apis: frozenset[str] | None = None) -> Registration:
    endpoint = Endpoint(
        key=key,
        url="https://hooks.example/a?b=c",
        trust=Trust.GUEST,
        secret=SECRET,
        events=frozenset({Event.STARTED, Event.PROGRESS, Event.COMPLETED}),
        format=BodyFormat.STANDARD,
        headers={"X-Tenant": "ü"},
        timeout_seconds=2.5,
        retry_seconds=(1, 2.5),
        concurrency=3,
        rate_per_second=0.5,
        inline_limit_bytes=10,
        order=Order.FIFO,
    )
    return Registration(endpoint=endpoint, apis=apis, created_at=store.clock.now())


async def registered(store: SqliteStore, key: str = KEY, *, apis: frozenset[str] | None = None) -> Registration:
    made = registration(store, key, apis=apis)
    await store.register(made)
    return made


async def told(store: SqliteStore, workload_id: str, api: str = API) -> list[tuple[str, Event]]:
    return [(each.endpoint, each.event) for each in await store.deliveries(api, workload_id)]


async def finished(store: SqliteStore, workload_id: str, api: str = API) -> None:
    await store.finish((await claim_one(store, workload_id, api)).held, DONE, [])


async def noticed(member: SqliteStore, look: Callable[[], object]) -> None:
    """Return once `look` is true, within the time that the contract gives a member to notice what others do."""
    news = asyncio.Event()
    member.on_endpoints(lambda _: news.set())
    async with asyncio.timeout(2 * NOTICE_SECONDS):
        while not look():
            news.clear()
            await news.wait()


# ── Z1 ──────────────────────────────────────────────────────────────────────────────────────────


async def test_Z1_it_is_told_beside_the_files_own_of_what_it_asked_for_whenever_it_happens(store: SqliteStore) -> None:
    held = (await claim_one(store, "w1")).held
    await store.announce(held, Started(), [])
    await registered(store)
    assert store.asked(API) == {Event.STARTED, Event.PROGRESS, Event.COMPLETED}
    await store.announce(held, Started(), [HOOK])
    await store.progress(held, Progress(fraction=0.5), tell=[])
    await store.progress(held, Progress(fraction=0.6))
    await store.finish(held, DONE, [HOOK])
    assert await told(store, "w1") == [
        (KEY, Event.STARTED),
        (KEY, Event.PROGRESS),
        (HOOK.key, Event.COMPLETED),
        (KEY, Event.COMPLETED),
    ]
    await store.finish((await claim_one(store, "w2")).held, Failed(type="E", message="m"), [])
    assert await told(store, "w2") == []
    body = json.loads((await take_one(store, KEY)).body)
    assert body["type"] == "workload.started"


async def test_Z1_of_its_apis_or_of_all_but_never_of_trials(store: SqliteStore) -> None:
    await registered(store, "ep_all")
    await registered(store, "ep_iris", apis=frozenset({API}))
    await registered(store, "ep_others", apis=frozenset({"other", "third"}))
    for api in (API, "other", TRIAL_API):
        await finished(store, "w", api)
    ends = {api: [key for key, _ in await told(store, "w", api)] for api in (API, "other", TRIAL_API)}
    assert ends == {API: ["ep_all", "ep_iris"], "other": ["ep_all", "ep_others"], TRIAL_API: []}
    assert store.asked(TRIAL_API) == frozenset()


async def test_Z1_other_members_know_it_soon_and_after_reopening(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    made = await registered(store, apis=frozenset({API, "other"}))
    assert store.registered(KEY) == made
    await noticed(other, lambda: other.registered(KEY))
    assert other.registrations() == (made,)
    await finished(other, "w1")
    assert await told(store, "w1") == [(KEY, Event.COMPLETED)]
    backend.crash(store)
    backend.crash(other)
    again = await backend.open()
    assert again.registrations() == (made,)
    await finished(again, "w2")
    assert await told(again, "w2") == [(KEY, Event.COMPLETED)]


async def test_Z1_its_webhook_and_the_outcome_are_one_transaction(backend: SqliteBackend, store: SqliteStore) -> None:
    await registered(store)
    held = (await claim_one(store, "w1")).held
    said = asyncio.ensure_future(store.finish(held, DONE, []))
    backend.crash(store)
    said.cancel()
    again = await backend.open()
    assert not (await again.get(API, "w1")).status.is_terminal
    assert await told(again, "w1") == []


async def test_Z1_no_more_than_may_be(store: SqliteStore) -> None:
    many = [replace(registration(store), endpoint=replace(HOOK, key=f"ep_{n}")) for n in range(MOST_REGISTERED)]
    await asyncio.gather(*map(store.register, many))
    with pytest.raises(Conflict, match="remove one before"):
        await registered(store, "ep_more")
    await store.remove("ep_7", Undelivered.PARK)
    await registered(store, "ep_more")


# ── Z2 ──────────────────────────────────────────────────────────────────────────────────────────


async def test_Z2_a_change_counts_here_at_once_and_elsewhere_soon(store: SqliteStore, other: SqliteStore) -> None:
    made = await registered(store)
    moved = replace(made, endpoint=replace(made.endpoint, url="https://new.example/", events=ENDED), apis=None)
    assert await store.amend(KEY, lambda _: moved) == moved
    assert store.registered(KEY) == moved
    assert store.asked(API) == ENDED
    await noticed(other, lambda: other.registered(KEY) == moved)


async def test_Z2_of_two_at_once_neither_is_lost(store: SqliteStore, other: SqliteStore) -> None:
    made = await registered(store)
    await noticed(other, lambda: other.registered(KEY))

    def faster(each: Registration) -> Registration:
        return replace(each, endpoint=replace(each.endpoint, concurrency=9))

    def longer(each: Registration) -> Registration:
        return replace(each, endpoint=replace(each.endpoint, timeout_seconds=9.0))

    await asyncio.gather(store.amend(KEY, faster), other.amend(KEY, longer))
    both = faster(longer(made))
    for member in (store, other):
        await noticed(member, lambda: member.registered(KEY) == both)  # noqa: B023 - looked at before the next turn


async def test_Z2_what_the_change_raises_has_changed_nothing(store: SqliteStore) -> None:
    made = await registered(store)

    def refused(_: Registration) -> Registration:
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.amend(KEY, refused)
    assert store.registered(KEY) == made
    with pytest.raises(UnknownEndpoint):
        await store.amend("ep_2", lambda each: each)


# ── Z3 to Z5 ────────────────────────────────────────────────────────────────────────────────────


async def test_Z3_a_removed_one_is_told_of_nothing_more(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    await registered(store)
    await noticed(other, lambda: other.registered(KEY))
    await store.remove(KEY, Undelivered.PARK)
    assert store.registered(KEY) is None
    assert store.asked(API) == frozenset()
    await finished(store, "w1")
    await noticed(other, lambda: other.registered(KEY) is None)
    await finished(other, "w2")
    assert await told(store, "w1") == await told(store, "w2") == []
    assert (await backend.open()).registrations() == ()


async def test_Z3_what_is_under_way_still_ends_as_it_ends(store: SqliteStore) -> None:
    await registered(store)
    await finished(store, "w1")
    delivery = await take_one(store, KEY)
    await store.remove(KEY, Undelivered.PARK)
    assert await store.tidy_endpoints(10) == 0
    await store.record(delivery, attempt(1, store, AttemptClass.STATUS), TryAgain(wait_seconds=60))
    assert await store.tidy_endpoints(10) == 1
    record = await store.delivery(delivery.seq)
    assert (record.state, record.tries, len(record.attempts)) == (DeliveryState.PARKED, 1, 1)


async def test_Z4_removing_again_is_accepted_and_may_say_otherwise(store: SqliteStore) -> None:
    await registered(store)
    await finished(store, "w1")
    await store.remove(KEY, Undelivered.PARK)
    await store.tidy_endpoints(10)
    [before] = await store.removed()
    await store.remove(KEY, Undelivered.ERASE)
    assert await store.removed() == (replace(before, undelivered=Undelivered.ERASE),)
    assert await store.tidy_endpoints(10) == 1
    assert await told(store, "w1") == []
    with pytest.raises(UnknownEndpoint):
        await store.remove("ep_2", Undelivered.PARK)
    with pytest.raises(UnknownEndpoint, match="was removed"):
        await store.amend(KEY, lambda each: each)


async def test_Z5_what_has_not_arrived_is_parked_with_the_reason_in_portions(
    backend: SqliteBackend, store: SqliteStore
) -> None:
    await registered(store)
    await store.pause(KEY, Pause(kind=PauseKind.DISABLED, reason="by hand", since=store.clock.now()))
    for name in ("w1", "w2", "w3"):
        await finished(store, name)
    await store.remove(KEY, Undelivered.PARK)
    assert store.paused(KEY) is None
    assert [await store.tidy_endpoints(2) for _ in range(3)] == [2, 1, 0]
    for name in ("w1", "w2", "w3"):
        [record] = await store.deliveries(API, name)
        assert (record.state, record.reason) == (
            DeliveryState.PARKED,
            "the endpoint was removed before this arrived",
        )
    backend.clock.wind(30 * DAY)
    assert await store.erase_expired({API: DAY}, 10) == 0, "parked ones keep what they tell of"
    assert await store.tidy_endpoints(10) == 0
    assert [each.key for each in await store.removed()] == [KEY]


async def test_Z5_or_is_erased_and_then_nothing_is_left_a_day_after(backend: SqliteBackend, store: SqliteStore) -> None:
    await registered(store)
    for name in ("w1", "w2", "w3"):
        await finished(store, name)
    delivery = await take_one(store, KEY)
    await store.record(delivery, attempt(1, store, AttemptClass.STATUS), TryAgain(wait_seconds=60))
    await store.remove(KEY, Undelivered.ERASE)
    assert [await store.tidy_endpoints(2) for _ in range(3)] == [2, 1, 0]
    assert [await told(store, name) for name in ("w1", "w2", "w3")] == [[], [], []]
    backend.clock.wind(DAY - 1)
    await store.tidy_endpoints(10)
    assert [each.key for each in await store.removed()] == [KEY]
    backend.clock.wind(1)
    await store.tidy_endpoints(10)
    assert await store.removed() == ()
    assert await store.erase_expired({API: DAY}, 10) == 3


# ── Z6 ──────────────────────────────────────────────────────────────────────────────────────────


async def test_Z6_keys_that_have_ended_are_erased_and_no_sooner(backend: SqliteBackend, store: SqliteStore) -> None:
    await registered(store)
    now = store.clock.now()
    await store.amend(KEY, lambda each: rekeyed(each, OTHER, now=now, overlap_seconds=OVERLAP_SECONDS))
    backend.clock.set(2 * DAY)
    await store.tidy_endpoints(10)
    backend.clock.set(-2 * DAY)
    backend.clock.wind(DAY - 1)
    await store.tidy_endpoints(10)
    kept = store.registered(KEY)
    assert kept is not None
    assert kept.endpoint.former == (EndpointKey(secret=SECRET, signs_until=kept.endpoint.former[0].signs_until),)
    backend.clock.wind(1)
    await store.tidy_endpoints(10)
    renewed = store.registered(KEY)
    assert renewed is not None
    assert (renewed.endpoint.secret, renewed.endpoint.former) == (OTHER, ())


# ── N2, N3 ──────────────────────────────────────────────────────────────────────────────────────


async def test_N2_what_others_leave_to_anyone_is_noticed_whosever_it_is(store: SqliteStore, other: SqliteStore) -> None:
    woken = asyncio.Event()
    other.on_strangers(woken.set)
    await store.submit(submission(workload_id="w1"))
    await store.finish((await claim_one(store)).held, DONE, [HOOK, replace(HOOK, key="guest:http://a/")])
    async with asyncio.timeout(2 * NOTICE_SECONDS):
        await woken.wait()
    assert await other.waiting() == {HOOK.key, "guest:http://a/"}
    await take_one(other)
    assert await other.waiting() == {"guest:http://a/"}


async def test_N2_also_what_a_dead_member_held(backend: SqliteBackend, store: SqliteStore, other: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, DONE, [HOOK])
    await take_one(store)
    woken = asyncio.Event()
    other.on_strangers(woken.set)
    backend.crash(store)
    await other.take_over([API], 10)
    async with asyncio.timeout(2 * NOTICE_SECONDS):
        await woken.wait()
    assert await other.waiting() == {HOOK.key}


async def test_N3_every_change_is_told_to_whoever_acts_on_it(store: SqliteStore, other: SqliteStore) -> None:
    here: list[tuple[str, bool]] = []
    there: list[tuple[str, bool]] = []
    store.on_endpoints(lambda key: here.append((key, store.registered(key) is not None)))
    other.on_endpoints(lambda key: there.append((key, other.registered(key) is not None)))
    await registered(store)
    await store.amend(KEY, lambda each: each)
    await store.remove(KEY, Undelivered.PARK)
    assert here == [(KEY, True), (KEY, True), (KEY, False)]
    await noticed(other, lambda: there and there[-1] == (KEY, False))
