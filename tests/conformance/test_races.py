"""Members in threads of their own, each with its own loop and connection, after the same things at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from ringback.core.clock import HandWound
from ringback.core.delivery import Delivered
from ringback.core.errors import AlreadyEnded, IdTaken, LeaseLost, QueueFull
from ringback.core.spec import Event
from ringback.core.workload import Completed, Failed, Status
from ringback.store.contract import Store
from support.stores import API, BACKENDS, DONE, HOOK, Backend, attempt, claim_one, submission

T = TypeVar("T")

MANY = 300


@pytest.fixture(params=sorted(BACKENDS))
def folder_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Backend]]:
    """Makes one more way in to the same place; each thread needs its own."""
    yield lambda: BACKENDS[request.param](tmp_path)
    BACKENDS[request.param](tmp_path).remove()


def at_once(backend: Callable[[], Backend], *doings: Callable[[Store], Awaitable[T]]) -> list[T]:
    """Run each on a member of its own, in a thread of its own, from the same starting shot."""
    ready = threading.Barrier(len(doings))

    def run(doing: Callable[[Store], Awaitable[T]]) -> T:
        async def member() -> T:
            here = backend()
            store = await here.open()
            ready.wait(10)
            try:
                return await doing(store)
            finally:
                await asyncio.to_thread(ready.wait, 20)  # nobody leaves while another is still at it
                await here.close()

        return asyncio.run(member())

    with ThreadPoolExecutor(len(doings)) as threads:
        return [each.result(30) for each in [threads.submit(run, doing) for doing in doings]]


def alone(backend: Callable[[], Backend], doing: Callable[[Store], Awaitable[T]]) -> T:
    return at_once(backend, doing)[0]


async def submit_many(store: Store) -> None:
    await asyncio.gather(*(store.submit(submission(workload_id=f"w{number}")) for number in range(MANY)))


async def claim_until_dry(store: Store) -> list[tuple[str, int]]:
    mine: list[tuple[str, int]] = []
    while claimed := (await store.claim(API, 7))[0]:
        mine += [(each.held.id, each.held.attempt) for each in claimed]
    return mine


def test_C1_every_workload_has_one_holder(folder_backend: Callable[[], Backend]) -> None:
    async def fill_then_claim(store: Store) -> list[tuple[str, int]]:
        await submit_many(store)
        return await claim_until_dry(store)

    shares = at_once(folder_backend, fill_then_claim, fill_then_claim, claim_until_dry)
    assert sorted(each for share in shares for each in share) == sorted((f"w{number}", 1) for number in range(MANY))


def test_W2_the_same_id_from_everywhere_is_one_workload(folder_backend: Callable[[], Backend]) -> None:
    async def submit_each(store: Store) -> Counter[bool]:
        return Counter([(await store.submit(submission(workload_id=f"w{n}", key=f"k{n}"))).created for n in range(50)])

    told = at_once(folder_backend, *[submit_each] * 3)
    assert sum(told, Counter()) == {True: 50, False: 100}


def test_W3_of_two_payloads_under_one_id_one_is_taken(folder_backend: Callable[[], Backend]) -> None:
    def submitting(payload: bytes) -> Callable[[Store], Awaitable[set[str]]]:
        async def submit_each(store: Store) -> set[str]:
            mine = set()
            for number in range(50):
                try:
                    await store.submit(submission(workload_id=f"w{number}", payload=payload))
                except IdTaken:
                    continue
                mine.add(f"w{number}")
            return mine

        return submit_each

    first, second = at_once(folder_backend, submitting(b"1"), submitting(b"2"))
    assert not first & second
    assert len(first | second) == 50


def test_W4_all_together_never_take_in_more_than_the_limit(folder_backend: Callable[[], Backend]) -> None:
    async def submit_all(store: Store) -> int:
        taken = 0
        for _ in range(30):
            try:
                taken += (await store.submit(submission(), limit=40)).created
            except QueueFull:
                continue
        return taken

    assert sum(at_once(folder_backend, *[submit_all] * 3)) == 40


def test_D1_every_delivery_is_taken_once(folder_backend: Callable[[], Backend]) -> None:
    async def ring_many(store: Store) -> None:
        await asyncio.gather(*(store.submit(submission()) for _ in range(100)))
        for claimed in (await store.claim(API, 100))[0]:
            await store.finish(claimed.held, DONE, [HOOK])

    async def deliver_until_dry(store: Store) -> list[str]:
        mine: list[str] = []
        while taken := (await store.take_due(HOOK.key, 3, again=False))[0]:
            for delivery in taken:
                mine.append(delivery.message_id)
                await store.record(delivery, attempt(1, store), Delivered())
        return mine

    alone(folder_backend, ring_many)
    shares = at_once(folder_backend, *[deliver_until_dry] * 3)
    messages = [each for share in shares for each in share]
    assert (len(messages), len(set(messages))) == (100, 100)


def test_F4_of_a_finish_and_a_take_over_one_wins(folder_backend: Callable[[], Backend]) -> None:
    """A member finishes what it holds while another, by whose clock its lease has ended, takes it over."""
    late = HandWound()
    late.wind(1_000)

    async def finish_all(store: Store) -> set[str]:
        held = [(await claim_one(store, f"w{number}")).held for number in range(40)]
        claimed.set()
        done = set()
        for each in held:
            try:
                await store.finish(each, Completed(result=b'"finished"'), [HOOK])
            except LeaseLost:
                continue
            done.add(each.id)
        return done

    async def take_all(_: Store) -> set[str]:
        await asyncio.to_thread(claimed.wait, 10)
        here = folder_backend()
        thief = await here.open(clock=late)
        taken: set[str] = set()
        while portion := await thief.take_over([API], 5):
            for each in portion:
                taken.add(each.held.id)
                await thief.finish(each.held, Completed(result=b'"taken"'), [HOOK])
        await here.close()
        return taken

    claimed = threading.Event()
    finished, taken = at_once(folder_backend, finish_all, take_all)

    async def look(store: Store) -> None:
        for number in range(40):
            workload = await store.get(API, f"w{number}")
            assert workload.status is Status.COMPLETED
            assert workload.result == (b'"finished"' if workload.id in finished else b'"taken"')
            assert len(await store.deliveries(API, workload.id)) == 1

    assert not finished & taken
    assert len(finished | taken) == 40
    alone(folder_backend, look)


def test_X4_of_a_finish_and_a_cancel_one_wins(folder_backend: Callable[[], Backend]) -> None:
    """What the canceler was promised is what came about, and each workload has told of one end."""
    names = [f"w{number}" for number in range(60)]
    told = replace(HOOK, events=frozenset({Event.COMPLETED, Event.CANCELED}))
    claimed = threading.Event()

    async def finish_all(store: Store) -> dict[str, Status]:
        held = [(await claim_one(store, name)).held for name in names]
        claimed.set()
        return {each.id: await store.finish(each, DONE, [told]) for each in held}

    async def cancel_all(store: Store) -> dict[str, Status | None]:
        await asyncio.to_thread(claimed.wait, 10)
        answers: dict[str, Status | None] = {}
        for name in reversed(names):
            try:
                answers[name] = (await store.cancel(API, name, [told])).status
            except AlreadyEnded:
                answers[name] = None
        return answers

    ended, answers = at_once(folder_backend, finish_all, cancel_all)

    async def look(store: Store) -> None:
        for name in names:
            status = (await store.get(API, name)).status
            assert status is ended[name]
            assert (status is Status.CANCELED) is (answers[name] is not None)
            assert [each.event.value for each in await store.deliveries(API, name)] == [status.value]

    alone(folder_backend, look)
    assert set(ended.values()) <= {Status.CANCELED, Status.COMPLETED}


def test_X9_retried_from_everywhere_it_runs_once_more(folder_backend: Callable[[], Backend]) -> None:
    names = [f"w{number}" for number in range(30)]

    async def fail_all(store: Store) -> None:
        for name in names:
            await store.finish((await claim_one(store, name)).held, Failed(type="E", message=""), [])

    async def retry_all(store: Store) -> None:
        for name in names:
            assert (await store.retry(API, name)).status is Status.IN_QUEUE

    async def look(store: Store) -> None:
        assert sorted(await claim_until_dry(store)) == sorted((name, 2) for name in names)
        for name in names:
            assert len((await store.describe(API, name)).attempts) == 2

    alone(folder_backend, fail_all)
    at_once(folder_backend, *[retry_all] * 3)
    alone(folder_backend, look)


def test_G6_a_fresh_place_may_be_opened_from_everywhere_at_once(folder_backend: Callable[[], Backend]) -> None:
    async def submit_one(store: Store) -> str:
        return (await store.submit(submission())).id

    assert len(set(at_once(folder_backend, *[submit_one] * 6))) == 6
