"""Lanes that come and go: endpoints that came with a submit, and those registered while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ringback import verify
from ringback.core.delivery import DeliveryState
from ringback.core.errors import VerificationError
from ringback.core.netguard import Trust
from ringback.core.registration import Registration, Undelivered, rekeyed
from ringback.core.roles import Role
from ringback.core.rotation import OVERLAP_SECONDS
from ringback.core.spec import Endpoint, guest_endpoint
from ringback.deliver.flow import TRIP_AFTER, Stance
from ringback.store.contract import NOTICE_SECONDS, Part
from ringback.store.sqlite import open_sqlite
from support.dispatching import World, world_in
from support.receiver import Received, Receiver, answering, hanging, receiving
from support.signed import OTHER, SECRET
from support.stores import API, DONE, claim_one

KEY = "ep_1"
NO_DISPATCHER = Part(roles=frozenset({Role.GATEWAY, Role.WORKER}))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as made:
        yield made


async def registered(world: World, receiver: Receiver, key: str = KEY) -> Registration:
    endpoint = Endpoint(key=key, url=receiver.url, trust=Trust.GUEST, secret=SECRET)
    registration = Registration(endpoint=endpoint, created_at=world.clock.now())
    await world.store.register(registration)
    return registration


def at(registration: Registration, receiver: Receiver) -> Registration:
    return replace(registration, endpoint=replace(registration.endpoint, url=receiver.url))


# ── Endpoints that came with a submit ───────────────────────────────────────────────────────────


async def test_a_guest_is_rung_like_anyone_else_and_its_lane_goes_when_it_is_done_with(world: World) -> None:
    async with receiving() as receiver, world.dispatching() as dispatcher:
        for number in range(3):
            await world.finish(f"w{number}", guest_endpoint(f"{receiver.url}{number}"))
        await world.facts.wait_for("delivery.settled", 3)
        assert len(dispatcher._lanes) == 3
        dispatcher._sweep()
        assert dispatcher._lanes == {}
        assert len(world.facts.of("endpoint.closed")) == 3
        await world.finish("later", guest_endpoint(f"{receiver.url}0"))
        await world.facts.wait_for("delivery.settled", 4)
    assert [request.json["id"] for request in receiver.requests][3] == "later"


async def test_a_guest_that_is_still_to_be_tried_again_is_not_forgotten(world: World) -> None:
    async with receiving(answering(500)) as receiver, world.dispatching() as dispatcher:
        await world.finish("w1", guest_endpoint(receiver.url))
        await world.facts.wait_for("delivery.attempted", 1)
        dispatcher._sweep()
        assert len(dispatcher._lanes) == 1


async def test_many_that_are_all_needed_still_are_not_looked_over_for_each_one_that_comes(world: World) -> None:
    many = 260
    async with receiving() as receiver, world.dispatching() as dispatcher:
        receiver.otherwise = answering(500)
        for number in range(many):
            await world.finish(f"w{number}", guest_endpoint(f"{receiver.url}{number}"))
        await world.facts.wait_for("delivery.attempted", many)
        assert len(dispatcher._lanes) == many
        assert dispatcher._before_sweep >= 2 * 256, "the next look is at twice as many, not at one more"


async def test_guests_that_were_left_over_are_taken_up_at_the_start(world: World) -> None:
    async with receiving() as receiver:
        await world.finish("w1", guest_endpoint(receiver.url))
        async with world.dispatching():
            await world.facts.wait_for("delivery.settled", 1)
    assert len(receiver.requests) == 1


async def test_those_that_another_member_has_left_are_taken_up_without_a_restart(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver, world.dispatching():
        other = await open_sqlite(tmp_path / "ringback.db", clock=world.clock, part=NO_DISPATCHER)
        await other.finish((await claim_one(other, "w1")).held, DONE, [guest_endpoint(receiver.url)])
        await receiver.wait_for(1, within=4 * NOTICE_SECONDS)
        await world.facts.wait_for("delivery.settled", 1)
        await other.close()


async def test_a_delivery_handed_over_while_its_lane_is_swept_away_is_sent_all_the_same(world: World) -> None:
    async with receiving() as receiver, world.dispatching() as dispatcher:
        world.store.hand_on(dispatcher)
        said = world.store.finish((await claim_one(world.store, "w1")).held, DONE, [guest_endpoint(receiver.url)])
        dispatcher._sweep()
        await said
        await world.facts.wait_for("delivery.settled", 1)


# ── Registered ones ─────────────────────────────────────────────────────────────────────────────


async def test_one_that_is_registered_is_rung_at_once_and_signed(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        await world.finish("before")
        await registered(world, receiver)
        await world.finish("w1")
        [request] = await receiver.wait_for(1)
        await world.facts.wait_for("delivery.settled", 1)
    assert verify(request.body, request.headers, SECRET, clock=world.clock)["id"] == "w1"


async def test_one_registered_and_told_by_another_member_is_rung_too(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver, world.dispatching():
        other = await open_sqlite(tmp_path / "ringback.db", clock=world.clock, part=NO_DISPATCHER)
        endpoint = Endpoint(key=KEY, url=receiver.url, trust=Trust.GUEST)
        await other.register(Registration(endpoint=endpoint, created_at=world.clock.now()))
        await other.finish((await claim_one(other, "w1")).held, DONE, [])
        await receiver.wait_for(1, within=4 * NOTICE_SECONDS)
        await world.facts.wait_for("delivery.settled", 1)
        await other.close()


async def test_what_was_left_over_for_one_is_taken_up_at_the_start(world: World) -> None:
    async with receiving() as receiver:
        await registered(world, receiver)
        await world.finish("w1")
        async with world.dispatching():
            await world.facts.wait_for("delivery.settled", 1)
    assert len(receiver.requests) == 1


async def rotate(world: World, overlap_seconds: float) -> None:
    now = world.clock.now()
    await world.store.amend(KEY, lambda each: rekeyed(each, OTHER, now=now, overlap_seconds=overlap_seconds))


def holds(request: Received, secret: str, world: World) -> bool:
    try:
        verify(request.body, request.headers, secret, clock=world.clock)
    except VerificationError:
        return False
    return True


async def test_through_a_rotation_both_keys_sign_for_a_day_and_then_the_new_one_alone(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        await registered(world, receiver)
        seen = []
        for number, hours in enumerate((0, 0, 23.99, 0.02)):
            world.clock.wind(hours * 3_600)
            if number == 1:
                await rotate(world, OVERLAP_SECONDS)
            await world.finish(f"w{number}")
            requests = await receiver.wait_for(number + 1)
            seen.append([holds(requests[number], secret, world) for secret in (SECRET, OTHER)])
        await world.facts.wait_for("delivery.settled", 4)
    assert seen == [[True, False], [True, True], [True, True], [False, True]]


async def test_a_retry_made_after_the_overlap_is_signed_with_the_new_key_alone(world: World) -> None:
    async with receiving(answering(500)) as receiver, world.dispatching() as dispatcher:
        await registered(world, receiver)
        await world.finish("w1")
        await world.facts.wait_for("delivery.attempted", 1)
        while not (await world.only_delivery("w1")).tries:
            pass
        await rotate(world, 2)
        world.clock.wind(60)
        dispatcher._lanes[KEY].on_due()
        await world.facts.wait_for("delivery.settled", 1)
        first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (holds(second, SECRET, world), holds(second, OTHER, world)) == (False, True)


async def test_one_that_moves_takes_what_waits_along_and_begins_afresh(world: World) -> None:
    async with receiving() as old, receiving() as new, world.dispatching():
        old.otherwise = answering(500)
        await registered(world, old)
        registration = await world.store.amend(
            KEY, lambda each: replace(each, endpoint=replace(each.endpoint, retry_seconds=(0,) * 30, concurrency=1))
        )
        for number in range(TRIP_AFTER):
            await world.finish(f"w{number}")
        await world.facts.wait_for("endpoint.tripped", 1)
        await world.store.amend(KEY, lambda _: at(registration, new))
        await world.facts.wait_for("endpoint.mended", 1)
        await world.facts.wait_for("delivery.settled", TRIP_AFTER)
    assert {request.json["id"] for request in new.requests} == {f"w{number}" for number in range(TRIP_AFTER)}


async def test_what_the_old_place_says_after_the_move_is_not_held_against_the_new_one(world: World) -> None:
    gate = asyncio.Event()

    async def gone(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await answering(410)(writer)

    async with receiving(gone) as old, receiving() as new, world.dispatching():
        registration = await registered(world, old)
        await world.finish("w1")
        await old.wait_for(1)
        await world.store.amend(KEY, lambda _: at(registration, new))
        gate.set()
        await world.facts.wait_for("delivery.settled", 1)
        assert world.store.paused(KEY) is None
    assert [request.json["id"] for request in new.requests] == ["w1"]


async def test_nor_does_what_arrives_at_the_old_place_vouch_for_the_new_one(world: World) -> None:
    gate = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await answering(200)(writer)

    async with receiving(late) as old, receiving() as new, world.dispatching() as dispatcher:
        new.otherwise = answering(500)
        registration = await registered(world, old)
        await world.finish("late")
        await old.wait_for(1)
        await world.store.amend(KEY, lambda _: at(registration, new))
        for number in range(TRIP_AFTER):
            await world.finish(f"w{number}")
        await world.facts.wait_for("endpoint.tripped", 1)
        gate.set()
        await world.facts.wait_for("delivery.settled", 1)
        assert dispatcher._lanes[KEY].stance is Stance.OPEN
    assert world.facts.of("endpoint.mended") == []


async def test_one_that_is_removed_is_sent_nothing_more_and_what_waited_is_parked(world: World) -> None:
    gate = asyncio.Event()

    async def gated(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await answering(200)(writer)

    async with receiving(gated) as receiver, world.dispatching() as dispatcher:
        registration = await registered(world, receiver)
        await world.store.amend(
            KEY, lambda _: replace(registration, endpoint=replace(registration.endpoint, concurrency=1))
        )
        for name in ("under way", "waiting", "waiting too"):
            await world.finish(name)
        await receiver.wait_for(1)
        await world.store.remove(KEY, Undelivered.PARK)
        assert dispatcher._lanes == {}
        gate.set()
        await world.facts.wait_for("delivery.settled", 1)
        parked = 0
        while parked < 2:
            parked += await world.store.tidy_endpoints(10)
    states = {name: (await world.only_delivery(name)).state for name in ("under way", "waiting", "waiting too")}
    assert states == {
        "under way": DeliveryState.DELIVERED,
        "waiting": DeliveryState.PARKED,
        "waiting too": DeliveryState.PARKED,
    }
    assert len(receiver.requests) == 1


async def test_one_told_and_removed_in_one_breath_loses_nothing(world: World) -> None:
    async with receiving() as receiver, world.dispatching() as dispatcher:
        await registered(world, receiver)
        claimed = await claim_one(world.store, "w1")
        removed = world.store.remove(KEY, Undelivered.PARK)
        told = world.store.finish(claimed.held, DONE, [])
        await asyncio.gather(removed, told)
        while not await world.store.tidy_endpoints(10):
            pass
        assert dispatcher._lanes == {}
    [record] = await world.store.deliveries(API, "w1")
    assert (record.state, record.reason) == (DeliveryState.PARKED, "the endpoint was removed before this arrived")


async def test_stopping_does_not_wait_longer_for_one_that_is_leaving(world: World) -> None:
    async with receiving() as receiver, world.dispatching() as dispatcher:
        receiver.otherwise = hanging
        await registered(world, receiver)
        await world.finish("w1")
        await receiver.wait_for(1)
        await world.store.remove(KEY, Undelivered.PARK)
        async with asyncio.timeout(5):
            await dispatcher.stop(0.0)
    assert (await world.only_delivery("w1")).tries == 0


async def test_many_come_and_go_without_a_trace(world: World) -> None:
    async with receiving() as receiver, world.dispatching() as dispatcher:
        for number in range(50):
            await registered(world, receiver, f"ep_{number}")
        assert dispatcher._lanes == {}, "a lane is made when there is something to send"
        await world.finish("w1")
        await world.facts.wait_for("delivery.settled", 50)
        assert len(dispatcher._lanes) == 50
        dispatcher._sweep()
        assert dispatcher._lanes == {}
        await world.finish("w2")
        await world.facts.wait_for("delivery.settled", 100)
