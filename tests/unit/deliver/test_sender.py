"""One attempt against receivers that behave, fail, and misbehave; every end has its class and its sentence."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from ringback.core.clock import SystemClock
from ringback.core.delivery import AttemptClass
from ringback.core.netguard import Guard, Trust
from ringback.core.spec import Endpoint
from ringback.deliver.answer import Answer, Exchange, NoAnswer
from ringback.deliver.request import Target
from ringback.deliver.sender import Dialling, Line
from support.forbidden import LOOPBACK_SPELLINGS, METADATA_SPELLINGS
from support.receiver import (
    OK,
    Receiver,
    Script,
    answering,
    endless,
    hanging,
    receiving,
    resetting,
    saying,
)
from support.waiting import eventually
from unit.deliver.test_request import delivery

SHORT = 0.3

ANSWERED_IN_PART = b"HTTP/1.1 503 Busy\r\nX: "
"""The beginning of an answer, which what follows would pass for the rest of."""


async def one(url: str, *, timeout_seconds: float = 5.0) -> Exchange:
    target = Target(Endpoint(key="iris", url=url, timeout_seconds=timeout_seconds))
    line = Line(target, Dialling())
    try:
        return await line.send(target.request(delivery(), SystemClock().now()))
    finally:
        line.close()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (answering(204), 204),
        (answering(500, body=b"broken"), 500),
        (answering(302, "Location: http://elsewhere.test/"), 302),
        (saying(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nother words"), 101),
        (saying(b"HTTP/1.1 200 OK\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok"), 200),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), 200),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), 200),
        (saying(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", then_close=True), 200),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ncut off", then_close=True), 200),
        (endless, 200),
    ],
    ids=[
        "204",
        "500",
        "302",
        "101",
        "upgrade",
        "100 first",
        "chunked",
        "http/1.0",
        "cut body",
        "endless body",
    ],
)
async def test_an_answer_is_an_answer_however_it_comes(script: Script, status: int) -> None:
    async with receiving(script) as receiver:
        exchange = await one(receiver.url)

    assert isinstance(exchange.result, Answer)
    assert exchange.result.status == status
    assert exchange.address == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("script", "outcome", "words"),
    [
        (resetting, AttemptClass.RESET, "broke before an answer"),
        (saying(b"", then_close=True), AttemptClass.RESET, "broke before an answer"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), AttemptClass.RESET, "not HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000), AttemptClass.CAP, "more than 65536 bytes of headers"),
        (hanging, AttemptClass.READ_TIMEOUT, "no whole answer within 0.3 s"),
        (saying(b"HTTP/1.1 200 OK\r\nX-Slow:"), AttemptClass.READ_TIMEOUT, "no whole answer within 0.3 s"),
    ],
    ids=["reset", "closed", "not http", "endless head", "hangs", "hangs in head"],
)
async def test_no_answer_is_said_how(script: Script, outcome: AttemptClass, words: str) -> None:
    async with receiving(script) as receiver:
        exchange = await one(receiver.url, timeout_seconds=SHORT if outcome is AttemptClass.READ_TIMEOUT else 5.0)

    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is outcome
    assert words in exchange.result.detail


async def test_a_body_that_hangs_after_its_status_is_that_status() -> None:
    async with receiving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")) as receiver:
        exchange = await one(receiver.url, timeout_seconds=SHORT)
    assert isinstance(exchange.result, Answer)


async def test_a_name_with_no_address_at_all_is_dns() -> None:
    async def none(host: str, trust: Trust) -> list[str]:
        return []

    target = Target(Endpoint(key="iris", url="http://hooks.example/", timeout_seconds=5.0))
    line = Line(target, Dialling(resolve=none))
    exchange = await line.send(target.request(delivery(), SystemClock().now()))
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.DNS
    assert exchange.result.detail == "the name hooks.example has no address: none was found"


async def test_what_cannot_be_decompressed_is_read_no_further_than_anything_else() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
    async with receiving(saying(head + b"x" * 20_000)) as receiver:
        exchange = await one(receiver.url, timeout_seconds=5)
    assert isinstance(exchange.result, Answer)
    assert exchange.duration_us < 4_000_000, "it does not wait for the rest"


async def test_nobody_listening_is_refused() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        exchange = await one(f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.REFUSED
    assert "Connection refused" in exchange.result.detail
    assert exchange.address is None


async def to_two_addresses(scheme: str, port: int) -> Exchange:
    async def resolve(host: str, trust: Trust) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    target = Target(Endpoint(key="iris", url=f"{scheme}://two.test:{port}/", timeout_seconds=2.0))
    line = Line(target, Dialling(resolve=resolve))
    try:
        return await line.send(target.request(delivery(), SystemClock().now()))
    finally:
        line.close()


async def test_an_address_that_leads_nowhere_leaves_time_for_the_next() -> None:
    async with receiving() as receiver:
        with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
            deaf.bind(("127.0.0.2", receiver.port))
            deaf.listen(0)
            for filling in (first, second):  # what waits to be accepted is all that it takes
                filling.setblocking(False)
                filling.connect_ex(("127.0.0.2", receiver.port))
            exchange = await to_two_addresses("http", receiver.port)
    assert isinstance(exchange.result, Answer)
    assert exchange.address == f"127.0.0.1:{receiver.port}"


async def test_an_address_that_refuses_leaves_the_next_and_one_that_fails_at_tls_does_not() -> None:
    connections = 0

    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with receiving() as receiver:
        assert isinstance((await to_two_addresses("http", receiver.port)).result, Answer)
    server = await asyncio.start_server(plain, "0.0.0.0", 0)
    async with server:
        exchange = await to_two_addresses("https", server.sockets[0].getsockname()[1])
    assert isinstance(exchange.result, NoAnswer)
    assert (exchange.result.outcome, connections) == (AttemptClass.TLS, 1)


async def test_a_name_without_an_address_is_dns() -> None:
    exchange = await one("http://nowhere.invalid/")
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.DNS
    assert "nowhere.invalid" in exchange.result.detail


async def test_a_receiver_without_tls_is_no_tls() -> None:
    async def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak_plainly, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        exchange = await one(f"https://127.0.0.1:{port}/")
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.TLS
    assert "no TLS connection to 127.0.0.1" in exchange.result.detail


async def test_a_name_server_that_does_not_answer_is_dns_and_costs_no_more_than_the_deadline() -> None:
    async def silent(host: str, trust: Trust) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    target = Target(Endpoint(key="iris", url="http://silent.test/", timeout_seconds=SHORT))
    line = Line(target, Dialling(resolve=silent))
    exchange = await line.send(b"")
    line.close()
    assert exchange.result == NoAnswer(
        outcome=AttemptClass.DNS, detail="the name silent.test was not looked up within 0.3 s"
    )


async def test_a_handshake_that_hangs_is_a_connect_timeout() -> None:
    async with receiving() as receiver:
        exchange = await one(receiver.url.replace("http:", "https:"), timeout_seconds=SHORT)
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.CONNECT_TIMEOUT


# ── Kept connections ────────────────────────────────────────────────────────────────────────────


async def send_twice(url: str) -> list[Exchange]:
    target = Target(Endpoint(key="iris", url=url, timeout_seconds=5.0))
    line = Line(target, Dialling())
    try:
        return [await line.send(target.request(delivery(), SystemClock().now())) for _ in range(2)]
    finally:
        line.close()


async def test_a_connection_is_kept_for_the_next_attempt() -> None:
    async with receiving() as receiver:
        await send_twice(receiver.url)
    assert [request.connection for request in receiver.requests] == [1, 1]


@pytest.mark.parametrize(
    "first",
    [
        answering(200, "Connection: close"),
        saying(OK, then_close=True),
        saying(OK + b"and more, unasked"),
        saying(OK + ANSWERED_IN_PART),
        saying(OK + OK),
        endless,
    ],
    ids=["says close", "closes after", "babbles", "begins another answer", "answers twice", "endless"],
)
async def test_a_connection_that_cannot_be_kept_is_replaced_without_a_failure(first: Script) -> None:
    async with receiving(first) as receiver:
        exchanges = await send_twice(receiver.url)

    assert [isinstance(each.result, Answer) and each.result.status for each in exchanges] == [200, 200]
    assert receiver.connections == 2


async def test_a_kept_connection_on_which_something_is_said_unasked_is_of_no_more_use() -> None:
    answered = asyncio.Event()

    async def and_later_a_time_out(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await answered.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    async with receiving(and_later_a_time_out) as receiver:
        target = Target(Endpoint(key="iris", url=receiver.url, timeout_seconds=5.0))
        line = Line(target, Dialling())
        await line.send(target.request(delivery(), SystemClock().now()))
        kept = line._connection
        assert kept is not None
        answered.set()
        await eventually(lambda: not kept.is_open)
        exchange = await line.send(target.request(delivery(), SystemClock().now()))
        line.close()
    assert isinstance(exchange.result, Answer)
    assert (exchange.result.status, receiver.connections) == (200, 2)


async def test_a_kept_connection_that_breaks_unheard_is_tried_once_more_on_a_fresh_one() -> None:
    async with receiving(saying(OK), resetting) as receiver:
        exchanges = await send_twice(receiver.url)

    assert isinstance(exchanges[1].result, Answer)
    assert [request.connection for request in receiver.requests] == [1, 1, 2]


async def test_one_that_breaks_after_the_answer_has_begun_is_not_sent_again_unasked() -> None:
    async with receiving(saying(OK), saying(b"HTTP/1.1 200 OK\r\nX: ", then_close=True)) as receiver:
        exchanges = await send_twice(receiver.url)

    assert isinstance(exchanges[1].result, NoAnswer)
    assert exchanges[1].result.outcome.is_unknown
    assert len(receiver.requests) == 2


async def test_an_answer_that_came_before_the_request_was_read_leaves_the_connection_of_no_use() -> None:
    over, connections = asyncio.Event(), []

    async def answer_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(answer_unread, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = Target(Endpoint(key="iris", url=f"http://127.0.0.1:{port}/", timeout_seconds=2.0))
    line = Line(target, Dialling())
    for body in (b"x" * 16_000_000, b"{}"):
        exchange = await line.send(target.request(replace(delivery(), body=body), SystemClock().now()))
        assert isinstance(exchange.result, Answer)
    line.close()
    over.set()
    server.close()
    await asyncio.gather(*filter(None, connections))
    assert len(connections) == 2


async def test_what_is_said_before_the_answer_is_not_taken_for_it() -> None:
    long = b"Link: " + b"x" * 3_000 + b"\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\nLocation: http://a.test/\r\nRetry-After: 500\r\n" + long + b"\r\n"
    async with receiving(saying(hints + b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) as receiver:
        exchange = await one(receiver.url)
    assert exchange.result == Answer(status=503, head=b"Content-Length: 0")


async def test_one_deadline_covers_both_tries() -> None:
    async with receiving(saying(OK), resetting, hanging) as receiver:
        target = Target(Endpoint(key="iris", url=receiver.url, timeout_seconds=0.1))
        line = Line(target, Dialling())
        await line.send(target.request(delivery(), SystemClock().now()))
        async with asyncio.timeout(2):
            exchange = await line.send(target.request(delivery(), SystemClock().now()))
        line.close()

    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.READ_TIMEOUT


# ── The guard ───────────────────────────────────────────────────────────────────────────────────


async def guests(url: str, *answers: list[str], allow: tuple[str, ...] = ()) -> list[Exchange]:
    """Attempts for a guest's URL, one after the other, each time with another answer of the name server."""
    target = Target(Endpoint(key="guest", url=url, trust=Trust.GUEST, timeout_seconds=2))
    told = iter(answers)

    async def resolve(host: str, trust: Trust) -> list[str]:
        assert trust is Trust.GUEST
        return next(told)

    line = Line(target, Dialling(guard=Guard(allow), resolve=resolve))
    exchanges = []
    for _ in answers:
        exchanges.append(await line.send(target.request(delivery(), SystemClock().now())))
        line.close()
    return exchanges


async def test_a_guests_url_reaches_no_private_address_and_says_why() -> None:
    async with receiving() as receiver:
        [exchange] = await guests(f"http://hooks.example:{receiver.port}/", ["127.0.0.1"])

    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.GUARD
    assert exchange.result.detail.startswith("hooks.example is at 127.0.0.1, which is loopback")
    assert (receiver.connections, receiver.requests) == (0, [])


async def test_a_name_that_changes_its_address_is_judged_at_every_connection() -> None:
    async with receiving() as receiver:
        url = f"http://hooks.example:{receiver.port}/"
        first, second, third = await guests(
            url, ["127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1"], allow=("127.0.0.1",)
        )

    assert [exchange.address for exchange in (first, third)] == [f"127.0.0.1:{receiver.port}"] * 2
    assert isinstance(second.result, NoAnswer)
    assert second.result.outcome is AttemptClass.GUARD
    assert len(receiver.requests) == 2
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_the_operators_own_word_reaches_loopback_but_no_metadata_service() -> None:
    async with receiving() as receiver:
        assert isinstance((await one(receiver.url)).result, Answer)
    exchange = await one("http://169.254.169.254/latest/meta-data")
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.GUARD


async def test_where_a_connection_has_come_out_is_judged_once_more() -> None:
    """Linux leads what is dialled as 0.0.0.0 to 127.0.0.1: allowed is the one, and not the other."""
    async with receiving() as receiver:
        [exchange] = await guests(f"http://hooks.example:{receiver.port}/", ["0.0.0.0"], allow=("0.0.0.0",))

        assert isinstance(exchange.result, NoAnswer)
        assert exchange.result.outcome is AttemptClass.GUARD
        assert exchange.result.detail.startswith("hooks.example is at 127.0.0.1, which is loopback")
        assert receiver.requests == []


@pytest.mark.parametrize(("kept_seconds", "second"), [(60.0, "127.0.0.1"), (0.0, "127.0.0.2")])
async def test_a_kept_connection_stays_where_it_is_and_after_a_while_the_name_is_looked_up_again(
    kept_seconds: float, second: str
) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])

    async def resolve(host: str, trust: Trust) -> list[str]:
        return next(answers)

    server = await asyncio.start_server(Receiver().serve, "0.0.0.0", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        target = Target(Endpoint(key="iris", url=f"http://moves.test:{port}/", timeout_seconds=5))
        line = Line(target, Dialling(resolve=resolve, kept_seconds=kept_seconds))
        addresses = [(await line.send(target.request(delivery(), SystemClock().now()))).address for _ in range(2)]
        line.close()
    assert addresses == [f"127.0.0.1:{port}", f"{second}:{port}"]


async def test_a_connection_that_was_kept_for_long_enough_is_closed() -> None:
    async with receiving() as receiver:
        target = Target(Endpoint(key="iris", url=receiver.url, timeout_seconds=5))
        line = Line(target, Dialling(kept_seconds=0))
        await line.send(target.request(delivery(), SystemClock().now()))
        first = line._connection
        assert first is not None
        await line.send(target.request(delivery(), SystemClock().now()))
        assert (first.is_open, line._connection is first, receiver.connections) == (False, False, 2)
        line.close()


async def test_a_deadline_that_passes_just_as_the_connection_is_made_leaves_the_request_unsent() -> None:
    async def resolve(host: str, trust: Trust) -> list[str]:
        line._expired = True  # as the timer would have it, between the connection and the request
        return ["127.0.0.1"]

    async with receiving() as receiver:
        target = Target(Endpoint(key="iris", url=receiver.url, timeout_seconds=5))
        line = Line(target, Dialling(resolve=resolve))
        exchange = await line.send(target.request(delivery(), SystemClock().now()))
        line.close()
    assert isinstance(exchange.result, NoAnswer)
    assert exchange.result.outcome is AttemptClass.CONNECT_TIMEOUT
    assert receiver.requests == []


@pytest.mark.parametrize("host", [*LOOPBACK_SPELLINGS, *METADATA_SPELLINGS])
async def test_spellings_that_only_the_resolver_understands_are_judged_by_where_they_lead(host: str) -> None:
    target = Target(Endpoint(key="guest", url=f"http://{host}:8080/", trust=Trust.GUEST, timeout_seconds=2))
    line = Line(target, Dialling())
    result = (await line.send(b"")).result
    line.close()
    assert isinstance(result, NoAnswer)
    assert result.outcome is AttemptClass.GUARD
