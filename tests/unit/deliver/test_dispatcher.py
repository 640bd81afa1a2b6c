"""Deliveries through the dispatcher: kept connections, schedules wound by hand, isolation, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.core.delivery import (
    Attempt,
    AttemptClass,
    DeliveryState,
    Pause,
    PauseKind,
    TryAgain,
)
from ringback.core.spec import BodyFormat, Endpoint
from ringback.deliver import Dialling, Dispatcher
from ringback.deliver.flow import TRIP_AFTER, Stance
from support.dispatching import World, world_in
from support.receiver import answering, hanging, receiving
from support.waiting import eventually


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as made:
        yield made


async def test_a_finished_workload_rings_with_the_exact_body(world: World) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url)
        async with world.dispatching(hook):
            await world.finish("w1", hook)
            await world.finish("w2", hook, failed=True)
            await receiver.wait_for(2)
            await world.facts.wait_for("delivery.settled", 2)

    completed, failed = (request.body for request in receiver.requests)
    assert completed == (b'{"id":"w1","status":"completed","result":1,"timestamp":"2023-11-14T22:13:20.000000+00:00"}')
    assert failed == b'{"id":"w2","status":"failed","error":{"type": "E","message": "m"}}'.replace(b": ", b":")
    record = await world.only_delivery("w1")
    assert record.state is DeliveryState.DELIVERED
    assert [attempt.outcome for attempt in record.attempts] == [AttemptClass.OK]
    assert record.message_id == receiver.requests[0].headers["webhook-id"]


async def test_many_share_a_few_kept_connections(world: World) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url, concurrency=3)
        async with world.dispatching(hook):
            for number in range(60):
                await world.finish(f"w{number}", hook)
            await receiver.wait_for(60)
            await world.facts.wait_for("delivery.settled", 60)

    assert receiver.connections <= 3
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 60


async def test_a_failure_is_tried_again_at_its_time_under_the_same_id(world: World) -> None:
    async with receiving(answering(500), answering(503)) as receiver:
        hook = Endpoint(key="hook", url=receiver.url, retry_seconds=(60, 600))
        async with world.dispatching(hook) as dispatcher:
            await world.finish("w1", hook)
            for wait in (60, 600):
                await world.facts.wait_for("delivery.attempted", len(receiver.requests) or 1)
                record = await world.only_delivery("w1")
                while record.tries < len(receiver.requests):
                    record = await world.only_delivery("w1")
                assert (record.state, record.due_at) == (DeliveryState.PENDING, world.clock.now() + wait * 1_000_000)
                world.clock.wind(wait)
                dispatcher._lanes["hook"].on_due()
                await receiver.wait_for(len(receiver.requests) + 1)
            await world.facts.wait_for("delivery.settled", 1)

    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert [later - stamps[0] for later in stamps] == [0, 60, 660]
    assert [request.headers["ringback-attempt"] for request in receiver.requests] == ["1", "2", "3"]
    assert [each["waited_us"] for each in world.facts.of("delivery.attempted")] == [0, None, None]
    record = await world.only_delivery("w1")
    assert [attempt.status for attempt in record.attempts] == [500, 503, 200]


@pytest.mark.parametrize("form", BodyFormat)
async def test_each_endpoint_is_told_in_its_own_format(form: BodyFormat, world: World) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url, format=form)
        plain = Endpoint(key="plain", url=receiver.url)
        async with world.dispatching(hook, plain):
            await world.finish("w1", hook, plain)
            await world.facts.wait_for("delivery.settled", 2)
    kinds = {request.headers["content-type"]: request for request in receiver.requests}
    assert "application/json" in kinds
    if form is BodyFormat.CLOUDEVENTS:
        request = kinds["application/cloudevents+json"]
        assert request.json["id"] == request.headers["webhook-id"]
    if form is BodyFormat.CLOUDEVENTS_BINARY:
        [request] = [each for each in receiver.requests if "ce-id" in each.headers]
        assert request.headers["ce-id"] == request.headers["webhook-id"]
        assert (request.headers["ce-type"], request.headers["ce-subject"]) == ("ringback.workload.completed", "w1")
        assert request.headers["ce-time"] == request.json["timestamp"]


async def test_what_went_over_the_wire_is_kept_without_secrets(world: World) -> None:
    async with receiving(answering(500, "X-Trace: 7", "Set-Cookie: id=s3ss10n", body=b"oh no")) as receiver:
        headers = {"Authorization": "Bearer secret", "X-Api-Key": "secret", "X-Team": "flowers"}
        hook = Endpoint(key="hook", url=f"{receiver.url}?token=t0ken", headers=headers)
        async with world.dispatching(hook):
            await world.finish("w1", hook)
            await world.facts.wait_for("delivery.attempted", 1)
            while not (record := await world.only_delivery("w1")).attempts:
                pass
    trace = record.attempts[0].trace
    assert None not in (trace.dns_us, trace.connect_us, trace.wait_us, trace.read_us)
    assert b"X-Team: flowers" in trace.request_head
    assert b"X-Trace: 7" in trace.response_head
    assert trace.excerpt == b"oh no"
    assert b"secret" not in trace.request_head
    assert b"Set-Cookie: (left out)" in trace.response_head
    assert receiver.requests[0].line == "POST /hook?token=t0ken HTTP/1.1"
    assert trace.request_head.startswith(b"POST /hook?token=(left out) HTTP/1.1")
    assert record.url == f"{receiver.url}?token=…"


async def test_the_end_of_the_schedule_parks(world: World) -> None:
    async with receiving() as receiver:
        receiver.otherwise = answering(500)
        hook = Endpoint(key="hook", url=receiver.url, retry_seconds=(0,))
        async with world.dispatching(hook):
            await world.finish("w1", hook)
            await world.facts.wait_for("delivery.settled", 1)

    record = await world.only_delivery("w1")
    assert (record.state, record.tries) == (DeliveryState.PARKED, 2)
    assert record.reason == "all 2 attempts failed; the last one: answered 500"
    assert world.facts.of("delivery.settled") == [{"endpoint": "hook", "state": "parked", "age_us": 0}]


async def test_a_hanging_endpoint_holds_up_nobody_else(world: World) -> None:
    async with receiving() as good, receiving() as bad:
        bad.otherwise = hanging
        hanging_hook = Endpoint(key="bad", url=bad.url, concurrency=2)
        hook = Endpoint(key="good", url=good.url)
        async with world.dispatching(hook, hanging_hook) as dispatcher:
            for number in range(30):
                await world.finish(f"w{number}", hanging_hook, hook)
            await good.wait_for(30)
            await bad.wait_for(2)
            assert len(bad.requests) == 2
            await dispatcher.stop(0.0)

    assert (await world.store.backlogs())["bad"].pending == 30


async def test_what_was_left_over_is_taken_up_at_the_start(world: World) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url)
        for number in range(5):
            await world.finish(f"w{number}", hook)
        async with world.dispatching(hook):
            await receiver.wait_for(5)
            await world.facts.wait_for("delivery.settled", 5)
    assert await world.store.backlogs() == {}


async def test_more_than_the_lane_holds_is_left_in_the_store_and_sent_all_the_same(world: World) -> None:
    gate = asyncio.Event()

    async def gated(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await answering(200)(writer)

    async with receiving() as receiver:
        receiver.otherwise = gated
        hook = Endpoint(key="hook", url=receiver.url, concurrency=1)
        async with world.dispatching(hook):
            await world.finish_many(600, hook)
            gate.set()
            await receiver.wait_for(600, within=20)
            await world.facts.wait_for("delivery.settled", 600)
    assert len({request.body for request in receiver.requests}) == 600


async def test_stopping_gives_back_what_was_not_tried(world: World) -> None:
    async with receiving() as receiver:
        receiver.otherwise = hanging
        hook = Endpoint(key="hook", url=receiver.url, concurrency=1)
        async with world.dispatching(hook) as dispatcher:
            for number in range(4):
                await world.finish(f"w{number}", hook)
            await receiver.wait_for(1)
            await dispatcher.stop(0.0)
        taken, _ = await world.store.take_due("hook", 10, again=False)

    assert [delivery.workload_id for delivery in taken] == ["w1", "w2", "w3"]
    assert all(delivery.tries == 0 for delivery in taken)


async def test_stopping_lets_an_attempt_under_way_end(world: World) -> None:
    gate = asyncio.Event()

    async def gated(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await answering(200)(writer)

    async with receiving(gated) as receiver:
        hook = Endpoint(key="hook", url=receiver.url)
        async with world.dispatching(hook) as dispatcher:
            await world.finish("w1", hook)
            await receiver.wait_for(1)
            stopping = asyncio.create_task(dispatcher.stop(10.0))
            await asyncio.sleep(0)
            gate.set()
            await stopping
    assert (await world.only_delivery("w1")).state is DeliveryState.DELIVERED


async def test_an_abandoned_dispatcher_tells_the_store_nothing(world: World) -> None:
    async with receiving() as receiver:
        receiver.otherwise = hanging
        hook = Endpoint(key="hook", url=receiver.url)
        dispatcher = Dispatcher(world.store, {"hook": hook}, world.facts, chance=lambda: 0.0, dialling=Dialling())
        await dispatcher.start()
        await world.finish("w1", hook)
        await receiver.wait_for(1)
        dispatcher.abandon()
    record = await world.only_delivery("w1")
    assert (record.state, record.tries, record.attempts) == (DeliveryState.PENDING, 0, ())


async def test_gone_puts_the_endpoint_to_rest_and_keeps_its_events(world: World) -> None:
    async with receiving(answering(410)) as receiver:
        hook = Endpoint(key="hook", url=receiver.url)
        async with world.dispatching(hook):
            await world.finish("w1", hook)
            await world.facts.wait_for("endpoint.paused", 1)
            await world.finish("w2", hook)
            assert world.store.paused("hook") is not None
            assert len(receiver.requests) == 1
            assert [(await world.only_delivery(each)).state for each in ("w1", "w2")] == [DeliveryState.PENDING] * 2

            await world.store.resume("hook")
            await world.facts.wait_for("delivery.settled", 2)
    assert sorted(request.json["id"] for request in receiver.requests) == ["w1", "w1", "w2"]
    assert [attempt.status for attempt in (await world.only_delivery("w1")).attempts] == [410, 200]


async def test_an_endpoint_at_rest_is_sent_nothing_after_a_restart_either(world: World) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url)
        by_hand = Pause(kind=PauseKind.DISABLED, reason="by hand", since=world.clock.now())
        await world.store.pause("hook", by_hand)
        await world.finish("w1", hook)
        async with world.dispatching(hook) as dispatcher:
            assert not dispatcher.has_room("hook")
            await world.finish("w2", hook)
            await world.store.resume("hook")
            await world.facts.wait_for("delivery.settled", 2)


async def test_one_that_does_not_work_is_left_alone_and_probed_and_then_has_everything_oldest_first(
    world: World,
) -> None:
    async with receiving() as receiver:
        receiver.otherwise = answering(500)
        hook = Endpoint(key="hook", url=receiver.url, concurrency=1, retry_seconds=(0,) * 9)
        async with world.dispatching(hook) as dispatcher:
            for number in range(TRIP_AFTER):
                await world.finish(f"bad{number}", hook)
            await world.facts.wait_for("endpoint.tripped", 1)
            assert not dispatcher.has_room("hook")
            tried = len(receiver.requests)
            await world.finish_many(50, hook)
            assert len(receiver.requests) <= tried + 1  # a probe
            receiver.otherwise = answering(200)
            await world.facts.wait_for("endpoint.mended", 1)
            await world.facts.wait_for("delivery.settled", 50 + TRIP_AFTER)
    assert (await world.store.backlogs()) == {}
    new = [request.json["id"] for request in receiver.requests if not request.json["id"].startswith("bad")]
    assert list(dict.fromkeys(new)) == sorted(set(new))


async def test_when_the_flow_comes_to_allow_more_what_waits_goes_out_on_more_lines(world: World) -> None:
    begun = asyncio.Event()
    together = asyncio.Barrier(8)

    async def ever_more(writer: asyncio.StreamWriter) -> None:
        """Answer the first few, in which the limit doubles; from then on only eight at once."""
        await begun.wait()
        if len(receiver.requests) > 4:
            await together.wait()
        await answering(200)(writer)

    async with receiving() as receiver:
        receiver.otherwise = ever_more
        hook = Endpoint(key="hook", url=receiver.url, concurrency=8)
        async with world.dispatching(hook) as dispatcher:
            lane = dispatcher._lanes["hook"]
            await eventually(lambda: lane._tenure.is_held)
            world.store.off_due("hook")  # no wake from elsewhere does it
            lane._flow._take_up_again()  # as after a breaker: one line, for a start
            await world.finish_many(4 + 16, hook)
            begun.set()
            await receiver.wait_for(4 + 16)
            await world.facts.wait_for("delivery.settled", 4 + 16)


@pytest.mark.parametrize(
    ("status", "asks_for_time"), [(429, True), (502, True), (503, True), (504, True), (500, False)]
)
async def test_one_that_asks_for_time_is_given_it_as_a_whole(status: int, asks_for_time: bool, world: World) -> None:
    async with receiving(answering(status, "Retry-After: 600")) as receiver:
        hook = Endpoint(key="hook", url=receiver.url, concurrency=1)
        async with world.dispatching(hook) as dispatcher:
            await world.finish("w1", hook)
            await world.facts.wait_for("delivery.attempted", 1)
            await world.finish("w2", hook)
            lane = dispatcher._lanes["hook"]
            wait = lane._flow.next_room_in(asyncio.get_running_loop().time())
            assert (lane.stance is Stance.PAUSED, (wait or 0) > 500) == (asks_for_time, asks_for_time)
            if not asks_for_time:
                await world.facts.wait_for("delivery.settled", 1)
    assert len(receiver.requests) == (1 if asks_for_time else 2)
    due_at = (await world.only_delivery("w1")).due_at
    assert due_at == world.clock.now() + 600_000_000, "its own delivery waits as long as was asked, whatever the status"


async def test_what_waits_for_one_that_does_not_work_is_left_to_the_store_but_for_a_probe(world: World) -> None:
    async with receiving() as receiver:
        receiver.otherwise = answering(500)
        hook = Endpoint(key="hook", url=receiver.url, concurrency=1, retry_seconds=(3_600,))
        async with world.dispatching(hook):
            await world.finish_many(TRIP_AFTER + 40, hook)
            await world.facts.wait_for("endpoint.tripped", 1)
            tried = len(receiver.requests)
            await receiver.wait_for(tried + 2)  # two probes later nothing more has been taken than these
            taken, _ = await world.store.take_due("hook", 100, again=False)
            assert len(taken) >= 40 - 5
            await world.store.release(taken)


async def test_retries_that_hang_leave_most_lines_to_what_is_new(world: World) -> None:
    async with receiving() as receiver:
        begun = 0

        async def hanging_when_tried_before(writer: asyncio.StreamWriter) -> None:
            nonlocal begun
            begun += 1
            is_retry = receiver.requests[-1].headers["ringback-attempt"] != "1"
            await (hanging if is_retry and begun > 8 else answering(200))(writer)

        receiver.otherwise = hanging_when_tried_before
        hook = Endpoint(key="hook", url=receiver.url, concurrency=8)
        await world.finish_many(60, hook)
        taken, _ = await world.store.take_due("hook", 60, again=False)
        failed = Attempt(number=1, started_at=world.clock.now(), duration_us=1, outcome=AttemptClass.RESET)
        await asyncio.gather(*(world.store.record(each, failed, TryAgain(wait_seconds=0)) for each in taken))
        await world.finish_many(100, hook)
        async with world.dispatching(hook) as dispatcher:
            await world.facts.wait_for("delivery.settled", 100)
            await dispatcher.stop(0.0)


async def test_a_heap_of_retries_does_not_hold_up_what_is_new(world: World) -> None:
    async with receiving() as receiver:
        hook = Endpoint(key="hook", url=receiver.url, concurrency=1)
        await world.finish_many(300, hook)
        taken, _ = await world.store.take_due("hook", 300, again=False)
        failed = Attempt(number=1, started_at=world.clock.now(), duration_us=1, outcome=AttemptClass.RESET)
        await asyncio.gather(*(world.store.record(each, failed, TryAgain(wait_seconds=0)) for each in taken))
        await world.finish_many(20, hook)
        fresh, _ = await world.store.take_due("hook", 20, again=False)
        await world.store.release(fresh)
        new = {each.workload_id for each in fresh}
        async with world.dispatching(hook):
            await receiver.wait_for(320, within=20)
            await world.facts.wait_for("delivery.settled", 320)
    order = [request.json["id"] for request in receiver.requests]
    assert new <= set(order[:45])
