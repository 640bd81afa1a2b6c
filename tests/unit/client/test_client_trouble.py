"""What the clients do when something goes wrong: errors as the server raised them, tries, and time that runs out."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from ringback.client.handles import Pace
from ringback.client.protocol import POLL_SECONDS
from ringback.core import errors
from ringback.core.errors import Erased, RingbackError, Unavailable, Unreachable
from ringback.gateway.problems import STATUS, detail_of, is_for_operators
from ringback.gateway.problems import problem as problem_of
from unit.client.conftest import Connect, Server, answer, problem, told

DONE = answer({"id": "w-1", "status": "completed", "result": 1, "timestamp": "2026-01-31T12:00:00+00:00"})
QUEUED = answer({"id": "w-1", "status": "in_queue"})


def kinds(of: type[RingbackError] = RingbackError) -> Iterator[type[RingbackError]]:
    for each in of.__subclasses__():
        yield each
        yield from kinds(each)


def example(kind: type[RingbackError]) -> RingbackError:
    if kind is errors.MethodNotAllowed:
        return errors.MethodNotAllowed("because", allowed=("GET",))
    return errors.WorkloadFailed("because", type="x") if kind is errors.WorkloadFailed else kind("because")


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
async def test_every_error_of_the_server_is_raised_again_by_the_client(
    kind: type[RingbackError], connect: Connect
) -> None:
    error = example(kind)
    status, _, body = problem_of(error)

    with pytest.raises(RingbackError) as raised:
        await told(connect(httpx2.Response(status, content=body)).get("iris", "w-1"))

    assert type(raised.value) is kind
    assert str(raised.value) == ("because" if not is_for_operators(error) else detail_of(error))


async def test_an_error_of_a_newer_server_is_still_an_error_with_its_words(connect: Connect) -> None:
    with pytest.raises(RingbackError, match=r"^because$") as raised:
        await told(connect(problem(418, "teapot")).get("iris", "w-1"))

    assert type(raised.value) is RingbackError


@pytest.mark.parametrize(("header", "seconds"), [("30", 30), ("soon", 1), ("-5", 1), ("", 1)])
async def test_when_to_ask_again_is_the_servers_word(header: str, seconds: int, connect: Connect) -> None:
    with pytest.raises(errors.QueueFull) as raised:
        await told(connect(problem(503, "queue_full", **{"retry-after": header})).submit("iris", 1))

    assert raised.value.retry_after_seconds == seconds


async def test_a_refusal_is_not_tried_again(connect: Connect, server: Server) -> None:
    with pytest.raises(Unavailable):
        await told(connect(problem(503, "queue_full")).submit("iris", 1))

    assert len(server.asked) == 1


@pytest.mark.parametrize("broken", [httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError])
async def test_a_broken_connection_is_tried_again_and_runs_once(
    broken: type[httpx2.TransportError], connect: Connect, server: Server
) -> None:
    handle = await told(connect(broken("gone"), broken("gone"), answer({"id": "w-1"})).submit("iris", {"a": 1}))

    assert handle.id == "w-1"
    assert len({request.headers["idempotency-key"] for request in server.asked}) == 1
    assert [request.content for request in server.asked] == [b'{"a": 1}'] * 3


@pytest.mark.parametrize("verb", ["add_endpoint", "rotate_endpoint"])
async def test_what_would_be_done_twice_is_not_tried_again(verb: str, connect: Connect, server: Server) -> None:
    with pytest.raises(Unreachable):
        await told(getattr(connect(httpx2.ReadError("gone")), verb)("ep_1"))

    assert len(server.asked) == 1


async def test_the_third_broken_connection_is_the_last(connect: Connect, server: Server) -> None:
    with pytest.raises(Unreachable, match=r"no Ringback answers at http://127.0.0.1:8080 \(gone\)"):
        await told(connect(httpx2.ReadError("gone")).get("iris", "w-1"))

    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        httpx2.ConnectError("refused"),
        httpx2.ConnectTimeout("slow"),
        httpx2.ReadTimeout("slow"),
        httpx2.LocalProtocolError("ours"),
        httpx2.DecodingError("gzip"),
        httpx2.UnsupportedProtocol("ftp"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_what_will_be_the_same_again_is_not_tried_again(
    trouble: Exception, connect: Connect, server: Server
) -> None:
    with pytest.raises(Unreachable, match="start one with `ringback serve`, or name its --url") as raised:
        await told(connect(trouble).get("iris", "w-1"))

    assert raised.value.__cause__ is trouble
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["http://[::1", "http://a:b/", "http://a\0/"])
def test_a_url_that_is_none_is_told_like_any_server_that_is_not_there(url: str, connect: Connect) -> None:
    with pytest.raises(Unreachable, match="no Ringback answers at"):
        connect(QUEUED, url=url)


async def test_a_wait_asks_the_server_to_hold_its_answer_until_the_end(connect: Connect, server: Server) -> None:
    client = connect(answer({"id": "w-1"}), QUEUED, DONE)
    handle = await told((await told(client.submit("iris", 1))).wait())

    assert handle.result == 1
    assert [request.url.params.get("wait") for request in server.asked] == [None, "30", "30"]


async def test_a_wait_for_what_has_ended_asks_nothing(connect: Connect, server: Server) -> None:
    handle = await told(connect(DONE).get("iris", "w-1"))

    assert (await told(handle.wait(timeout=0))).result == 1
    assert len(server.asked) == 1


async def test_a_wait_ends_in_time_and_spares_a_server_that_answers_at_once(connect: Connect, server: Server) -> None:
    handle = await told(connect(QUEUED).get("iris", "w-1"))

    with pytest.raises(TimeoutError, match=r"workload w-1 has not ended within 0\.05 s"):
        await told(handle.wait(timeout=0.05))

    waits = [float(request.url.params["wait"]) for request in server.asked[1:]]
    assert 1 <= len(waits) <= 4
    assert all(0.01 <= wait <= 0.05 for wait in waits)
    assert waits == sorted(waits, reverse=True)


@pytest.mark.parametrize(("held", "read"), [(0.0, 30.0), (POLL_SECONDS, 60.0), (300.0, 330.0)])
async def test_an_answer_that_is_held_may_take_that_much_longer(
    held: float, read: float, connect: Connect, server: Server
) -> None:
    await told(connect(QUEUED).state("iris", "w-1", held))

    assert server.asked[0].extensions["timeout"] == {"connect": 30.0, "read": read, "write": 30.0, "pool": 30.0}


AWAY = httpx2.ConnectError("nobody listens")


async def test_a_wait_goes_on_while_the_server_is_started_anew(connect: Connect) -> None:
    answers = [answer({"id": "w-1"}), AWAY, AWAY, problem(503, "shutting_down"), httpx2.Response(502), DONE]
    handle = await told(connect(*answers).submit("iris", 1))
    assert (await told(handle.wait(timeout=10))).result == 1


async def test_a_wait_does_not_go_on_for_ever_nor_over_a_refusal(connect: Connect) -> None:
    handle = await told(connect(answer({"id": "w-1"}), AWAY).submit("iris", 1))
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        await told(handle.wait(timeout=0.05))
    gone = await told(connect(answer({"id": "w-1"}), problem(410, "erased")).submit("iris", 1))
    with pytest.raises(Erased):
        await told(gone.wait(timeout=10))
    pace = Pace(None, "workload w-1", patience_seconds=0.0)
    with pytest.raises(Unreachable), pace.patient():
        raise Unreachable("away for too long")


async def test_a_broken_wait_goes_on(connect: Connect, server: Server) -> None:
    client = connect(answer({"id": "w-1"}), httpx2.ReadError("gone"), DONE)

    assert (await told((await told(client.submit("iris", 1))).wait(timeout=5))).result == 1


def test_every_status_the_gateway_knows_belongs_to_an_error_the_client_knows() -> None:
    assert set(STATUS) <= set(kinds())
