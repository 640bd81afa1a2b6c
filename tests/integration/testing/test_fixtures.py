"""What users test with: the fixtures as a stranger's own test suite would use them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringback.core.errors import RingbackError, VerificationError
from ringback.pytest_plugin import ServerMaker
from ringback.testing import Answer, Hang, Receiver, Reset, Server
from ringback.testing.time import WoundClock
from support.served import SECRET, folder_of
from support.waiting import until

TEN = ("5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")
"""The waits of the default schedule."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return folder_of(tmp_path, webhook="http://127.0.0.1:1/", retry=TEN)


def test_a_workload_rings_and_its_signature_holds(
    file: Path, ringback_server: ServerMaker, ringback_receiver: Receiver
) -> None:
    server = ringback_server(file, webhook=ringback_receiver.url)

    workload = server.client.submit("echo", {"n": 1})
    [webhook] = ringback_receiver.wait_for(1)

    assert server.verified(webhook)["result"] == workload.wait(timeout=10).result == {"n": 1}
    assert webhook.verified(SECRET)["id"] == workload.id


def test_three_days_of_attempts_pass_in_a_moment(
    file: Path, ringback_server: ServerMaker, ringback_receiver: Receiver
) -> None:
    server = ringback_server(file, webhook=ringback_receiver.url)
    ringback_receiver.script(*[Answer(status=500)] * 9)

    server.client.submit("echo", 1)
    for count, hours in enumerate((1, 1, 1, 3, 6, 11, 16, 22, 27), start=1):
        ringback_receiver.wait_for(count)
        server.wind(hours * 3_600)
    webhooks = ringback_receiver.wait_for(10)

    assert len({each.headers["webhook-id"] for each in webhooks}) == 1
    assert int(webhooks[-1].headers["webhook-timestamp"]) - int(webhooks[0].headers["webhook-timestamp"]) > 3 * 86_400
    assert server.verified(webhooks[-1])["result"] == 1
    with pytest.raises(VerificationError, match="clock"):
        webhooks[-1].verified(SECRET)


@pytest.mark.parametrize("trouble", [Hang(), Reset()], ids=["hang", "reset"])
def test_a_receiver_in_trouble_gets_it_again(
    trouble: Hang | Reset, file: Path, ringback_server: ServerMaker, ringback_receiver: Receiver
) -> None:
    server = ringback_server(file, webhook=ringback_receiver.url)
    ringback_receiver.script(trouble)

    server.client.submit("echo", 1)
    ringback_receiver.wait_for(1)
    server.wind(16)  # the deadline of an attempt
    server.wind(6)
    first, second = ringback_receiver.wait_for(2)

    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_what_did_arrive_is_told(file: Path, ringback_server: ServerMaker, ringback_receiver: Receiver) -> None:
    server = ringback_server(file, webhook=ringback_receiver.url)
    server.client.submit("echo", 1).wait(timeout=10)
    ringback_receiver.wait_for(1)

    with pytest.raises(AssertionError, match=r"0 of 1 matching requests came within 0.01 s.*\n +1\. POST /hook msg_"):
        ringback_receiver.wait_for(1, lambda each: each.path == "/elsewhere", within=0.01)
    ringback_receiver.clear()
    with pytest.raises(AssertionError, match="nothing"):
        ringback_receiver.wait_for(1, within=0.01)


def test_a_predictor_that_cannot_load_is_told(tmp_path: Path) -> None:
    file = folder_of(tmp_path, predictor="import nothing_of_that_name\n")

    with pytest.raises(RingbackError, match="nothing_of_that_name"), Server(file, folder=tmp_path):
        pass


def test_time_runs_forward_only() -> None:
    clock = WoundClock()
    before = clock.elapsed()
    clock.wind(86_400)

    assert clock.elapsed() - before >= 86_400 * 1_000_000
    with pytest.raises(ValueError, match="forward only"):
        clock.wind(-1)


async def test_it_reads_what_other_clients_send(ringback_receiver: Receiver) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ringback_receiver.port)
    writer.write(
        b"PUT /x?y=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;a=b\r\nde\r\n0\r\nt: 1\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    nonsense_reader, nonsense = await asyncio.open_connection("127.0.0.1", ringback_receiver.port)
    nonsense.write(b"what\r\n\r\n")

    assert await nonsense_reader.read() == b""
    assert answer.startswith(b"HTTP/1.1 200 ")
    [received] = ringback_receiver.received
    assert (received.method, received.path, received.body) == ("PUT", "/x?y=1", b"abcde")
    nonsense.close()


def test_one_that_takes_too_long_to_load_is_told(tmp_path: Path) -> None:
    file = folder_of(tmp_path, predictor="import threading; threading.Event().wait()\n")

    with pytest.raises(RingbackError, match=r"echo does not start: still loading after 0\.1 s"):
        Server(file, folder=tmp_path, ready_within=0.1).__enter__()


def test_retention_takes_blobs_with_it(tmp_path: Path) -> None:
    predictor = "class PythonPredictor:\n    def predict(self, payload):\n        return payload\n"
    file = folder_of(tmp_path / "api", predictor=predictor, retention="2d")
    with Server(file, folder=tmp_path / "store") as server:
        workload = server.client.submit("echo", "x" * 2_000_000).wait(timeout=20)
        assert workload.load() == "x" * 2_000_000
        blobs = list(tmp_path.glob("store/blobs/*/??/*"))
        assert len(blobs) == 2

        server.wind(2 * 86_400 + 1)

        until(lambda: not any(blob.exists() for blob in blobs), within=20, wanted="blobs that are gone")
