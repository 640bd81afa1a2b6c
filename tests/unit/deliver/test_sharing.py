"""Several dispatchers on one store: each endpoint is one's alone, and what it is given holds over all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.clock import HandWound
from ringback.core.roles import Role
from ringback.core.spec import Endpoint, guest_endpoint
from ringback.deliver.flow import TRIP_AFTER
from ringback.deliver.sharing import chosen
from ringback.store.contract import Part
from ringback.store.sqlite import open_sqlite
from support.dispatching import LEASE_SECONDS, World, world_in
from support.facts import Facts
from support.receiver import OK, Script, answering, receiving
from support.stores import API
from support.waiting import eventually

DISPATCHER = Part(roles=frozenset({Role.DISPATCHER}))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as made:
        yield made


# ── Whose an endpoint is ────────────────────────────────────────────────────────────────────────


def test_everybody_agrees_and_little_moves() -> None:
    members = [f"member-{number}" for number in range(5)]
    keys = [f"endpoint-{number}" for number in range(1_000)]
    before = {key: chosen(key, members) for key in keys}
    assert before == {key: chosen(key, members[::-1]) for key in keys}
    shares = Counter(before.values())
    assert len(shares) == 5
    assert max(shares.values()) < 1.4 * min(shares.values())
    after = {key: chosen(key, members[1:]) for key in keys}
    assert all(after[key] == before[key] for key in keys if before[key] != members[0])


@asynccontextmanager
async def another(world: World, folder: Path) -> AsyncIterator[World]:
    """One more member, which sends and does nothing else."""
    store = await open_sqlite(folder / "ringback.db", clock=world.clock, lease_seconds=LEASE_SECONDS, part=DISPATCHER)
    await world.store.heartbeat()  # and so it hears of the new one now
    yield World(store, world.clock, Facts())
    await store.close()
    await world.store.heartbeat()


@asynccontextmanager
async def successor(world: World, folder: Path) -> AsyncIterator[World]:
    """One member after the other."""
    await world.store.close()
    store = await open_sqlite(folder / "ringback.db", clock=world.clock, lease_seconds=LEASE_SECONDS, part=DISPATCHER)
    yield World(store, world.clock, Facts())
    await store.close()


@dataclass(slots=True)
class Crowd:
    """Answers once it is let, and counts who waits at once at each endpoint."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    open: Counter[str] = field(default_factory=Counter)
    most: int = 0

    def at(self, key: str) -> Script:
        async def run(writer: asyncio.StreamWriter) -> None:
            self.open[key] += 1
            self.most = max(self.most, self.open[key])
            await self.let.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            self.open[key] -= 1
            writer.write(OK)

        return run


# ── Limits ──────────────────────────────────────────────────────────────────────────────────────


async def test_concurrency_holds_while_dispatchers_come_and_go(world: World, tmp_path: Path) -> None:
    crowd = Crowd()
    async with AsyncExitStack() as stack:
        hooks = []
        for number in range(8):
            receiver = await stack.enter_async_context(receiving())
            receiver.otherwise = crowd.at(f"hook-{number}")
            hooks.append(Endpoint(key=f"hook-{number}", url=receiver.url, concurrency=1))
        async with world.dispatching(*hooks):
            for number in range(6):
                await world.finish(f"w{number}", *hooks)
            await eventually(lambda: sum(crowd.open.values()) == 8)
            async with another(world, tmp_path) as second, second.dispatching(*hooks):
                assert len(world.store.roster(Role.DISPATCHER)) == 2
                await eventually(lambda: second.store.take_lane("turn"))  # so it has had its turn with the store
                assert sum(crowd.open.values()) == 8, "what is under way at one is in the way of the other"
                crowd.let.set()
                await eventually(lambda: len(world.facts.of("delivery.settled")) + len(sent_by(second)) == 48)
                assert sent_by(second)
                assert {each["endpoint"] for each in sent_by(second)} == {
                    hook.key for hook in hooks if meant_for(hook.key, world, second) is second
                }
            await world.finish("w6", *hooks)
            await eventually(lambda: len(world.facts.of("delivery.settled")) + len(sent_by(second)) == 56)
    assert crowd.most == 1


def meant_for(key: str, *worlds: World) -> World:
    one = chosen(key, [each.store.member for each in worlds])
    return next(each for each in worlds if each.store.member == one)


def sent_by(world: World) -> list[dict[str, object]]:
    return world.facts.of("delivery.settled")


async def test_the_next_one_takes_the_rate_for_used_up(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url, rate_per_second=5.0)
        await world.finish_many(6, hook)
        async with world.dispatching(hook):
            await receiver.wait_for(5)
        at = asyncio.get_running_loop().time()
        async with successor(world, tmp_path) as second, second.dispatching(hook):
            await receiver.wait_for(6)
            assert asyncio.get_running_loop().time() - at >= 0.15
            await second.facts.wait_for("delivery.settled", 1)


async def test_the_next_one_goes_on_probing_what_does_not_work(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.otherwise = answering(500)
        hook = Endpoint(key="hook", url=receiver.url, concurrency=2, retry_seconds=(3_600,))
        async with world.dispatching(hook):
            await world.finish_many(TRIP_AFTER + 20, hook)
            await world.facts.wait_for("endpoint.tripped", 1)
        async with successor(world, tmp_path) as second:
            assert second.store.tripped == {"hook"}
            before = len(receiver.requests)
            crowd = Crowd()
            receiver.otherwise = crowd.at("hook")
            async with second.dispatching(hook):
                await receiver.wait_for(before + 1)
                assert (sum(crowd.open.values()), second.store.tripped) == (1, {"hook"})
                crowd.let.set()
                await second.facts.wait_for("endpoint.mended", 1)
                await eventually(lambda: second.store.tripped == frozenset())
                await eventually(lambda: len(sent_by(second)) >= 10)


# ── When something is lost ──────────────────────────────────────────────────────────────────────


async def test_who_cannot_be_believed_to_live_begins_nothing(tmp_path: Path) -> None:
    clock = HandWound()
    store = await open_sqlite(tmp_path / "ringback.db", clock=clock, lease_seconds=30.0)
    world = World(store, clock, Facts())
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url)
        async with world.dispatching(hook) as dispatcher:
            await world.finish("w1", hook)
            await world.facts.wait_for("delivery.settled", 1)
            clock.wind(30)
            await world.finish("w2", hook)
            assert dispatcher._lanes["hook"]._sending == set()
            await store.get(API, "w2")
            assert len(receiver.requests) == 1
            await store.heartbeat()
            await world.facts.wait_for("delivery.settled", 2)
    await store.close()


async def test_what_one_does_not_know_another_sends(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver, another(world, tmp_path) as second:
        names = (f"hook-{number}" for number in range(100))
        key = next(name for name in names if meant_for(name, world, second) is second)
        hook = Endpoint(key=key, url=receiver.url)
        async with second.dispatching(), world.dispatching(hook) as dispatcher:
            await world.finish("w1", hook)
            await dispatcher._look_for_orphans()
            assert dispatcher._lanes[key]._tenure.is_idle, "whom it is meant for may be about to"
            await dispatcher._look_for_orphans()
            await world.facts.wait_for("delivery.settled", 1)


async def test_guests_are_shared_out_too(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver, another(world, tmp_path) as second:
        guests = [guest_endpoint(f"{receiver.url}/{number}") for number in range(12)]
        async with world.dispatching(), second.dispatching():
            await world.finish("w1", *guests)
            await receiver.wait_for(12)
            await eventually(lambda: len(sent_by(world)) + len(sent_by(second)) == 12)
    for which in (world, second):
        told = {each["endpoint"] for each in sent_by(which)}
        assert told == {guest.key for guest in guests if meant_for(guest.key, world, second) is which}


async def test_a_swept_lane_may_come_again(world: World) -> None:
    async with receiving() as receiver, world.dispatching() as dispatcher:
        for number in range(3):
            await world.finish(f"w{number}", guest_endpoint(receiver.url))
            await world.facts.wait_for("delivery.settled", number + 1)
            dispatcher._sweep()
    assert len(receiver.requests) == 3


async def test_the_files_lanes_are_never_swept_and_go_with_the_file(world: World) -> None:
    first, second = (Endpoint(key=key, url="http://127.0.0.1:1/") for key in ("first", "second"))
    async with world.dispatching(first) as dispatcher:
        await eventually(lambda: dispatcher._lanes["first"].is_quiet)
        dispatcher._sweep()
        assert set(dispatcher._lanes) == {"first"}
        dispatcher.serve({"second": second})
        assert set(dispatcher._lanes) == {"second"}
        await eventually(lambda: dispatcher._lanes["second"].is_quiet)
        dispatcher._sweep()
        assert set(dispatcher._lanes) == {"second"}
        dispatcher.serve({})
        assert dispatcher._lanes == {}
