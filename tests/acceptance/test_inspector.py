"""The inspector of a real server: what goes over the wire, byte by byte, and a webhook seen from both its ends."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from support.catcher import Catcher
from support.processes import Server, free_port, serving
from support.served import SECRET, folder_of
from support.waiting import until

BOX: Final = "the-box-of-this-test"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests that are about an inbox alone."""
    folder = tmp_path_factory.mktemp("house")
    with serving(folder_of(folder), folder / "store" / "ringback.db") as started:
        yield started


@pytest.fixture
def box(house: Server) -> str:
    """A new inbox in the house."""
    return str(call(house, "POST", "", json={})["id"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, whose one webhook leads to an inbox of it."""
    port = free_port()
    file = folder_of(tmp_path, webhook=f"http://127.0.0.1:{port}/-/inspector/in/{BOX}")
    with serving(file, tmp_path / "store" / "ringback.db", port=port) as started:
        yield started


def call(server: Server, method: str, path: str, **wanted: Any) -> Any:
    answer = requests.request(method, f"{server.url}/-/inspector{path}", timeout=30, **wanted)
    assert answer.status_code < 300, answer.text
    return answer.json()


def connect(server: Server, *, timeout: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=timeout)


def request_of(path: str, *lines: str, body: bytes = b"", method: str = "POST", host: str = "whoever.example") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def heard(connected: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    pieces = []
    while piece := connected.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def test_a_request_is_kept_as_it_was_written(house: Server, box: str) -> None:
    path = f"/-/inspector/in/{box}"
    body = bytes(range(256))
    with connect(house) as connected:
        wire = request_of(f"{path}/%41?q=%ff", "X-MiXed: one", "x-mixed: two", "X-Odd: \xe4\xff", body=body)
        for byte in wire[:40]:  # a head that comes in pieces
            connected.sendall(bytes([byte]))
        connected.sendall(wire[40:])
        until(lambda: call(house, "GET", f"/{box}")["captures"], within=10, wanted="the capture")
        # A second request on the same connection, that is no inbox's, and a third that is again.
        connected.sendall(request_of("/healthz", "X-Health: 1", method="GET", host="localhost"))
        connected.sendall(request_of(path, "SHOUT: yes", "Connection: close"))
        assert heard(connected).count(b"HTTP/1.1 200") == 3

    first, second = (call(house, "GET", f"/{box}/{number}") for number in (1, 2))
    assert first["headers"] == [
        ["Host", "whoever.example"],
        ["X-MiXed", "one"],
        ["x-mixed", "two"],
        ["X-Odd", "\xe4\xff"],
        ["Content-Length", "256"],
    ]
    assert first["target"] == "/%41?q=%ff"
    assert requests.get(f"{house.url}/-/inspector/{box}/1/body", timeout=10).content == body
    assert ["SHOUT", "yes"] in second["headers"]


@pytest.mark.parametrize("method", ["DELETE", "PROPFIND", "TRACE", "MKCOL", "HEAD"])
def test_unusual_methods_are_taken(house: Server, box: str, method: str) -> None:
    with connect(house) as connected:
        connected.sendall(request_of(f"/-/inspector/in/{box}", "Connection: close", method=method))
        assert heard(connected).startswith(b"HTTP/1.1 200")
    assert call(house, "GET", f"/{box}")["captures"][0]["method"] == method


def captured(server: Server, count: int) -> list[Any]:
    """The inbox's captures, once there are so many."""
    found: list[Any] = call(server, "GET", f"/{BOX}")["captures"]
    return found if len(found) >= count else []


def set_script(server: Server, box: str, *steps: dict[str, Any]) -> None:
    call(server, "PATCH", f"/{box}", json={"script": list(steps)})


def answer_of(server: Server, box: str, number: int = 1) -> dict[str, Any]:
    """What became of a sender, once that is written down."""
    return until(
        lambda: [
            each["answer"]
            for each in call(server, "GET", f"/{box}?search=number:{number}")["captures"]
            if each["answer"]["duration_ms"] is not None
        ],
        within=10,
        wanted="the end of it",
    )[0]


@pytest.mark.parametrize(("act", "begins"), [("reset", b""), ("reset-after-headers", b"HTTP/1.1 200")])
def test_a_reset_is_one(house: Server, box: str, act: str, begins: bytes) -> None:
    set_script(house, box, {"do": act})
    with connect(house) as connected:
        connected.sendall(request_of(f"/-/inspector/in/{box}", body=b"x"))
        if begins:
            assert connected.recv(4_096).startswith(begins)
        with pytest.raises(ConnectionResetError):
            heard(connected)
    assert answer_of(house, box)["act"] == act


@pytest.mark.parametrize(("act", "begins"), [("hang", b""), ("hang-after-headers", b"HTTP/1.1 200")])
def test_a_hang_says_nothing_until_the_sender_leaves(house: Server, box: str, act: str, begins: bytes) -> None:
    set_script(house, box, {"do": act})
    with connect(house, timeout=0.5) as connected:
        connected.sendall(request_of(f"/-/inspector/in/{box}", body=b"x"))
        if begins:
            assert connected.recv(4_096).startswith(begins)
        with pytest.raises(TimeoutError):
            connected.recv(1)
    answer = answer_of(house, box)
    assert answer["detail"] == "the sender left"
    assert answer["duration_ms"] >= 400


def test_a_drip_is_bytes_with_pauses_between(house: Server, box: str) -> None:
    set_script(house, box, {"do": "drip", "body": "drip drop", "bytes_per_second": 12})
    with connect(house) as connected:
        connected.sendall(request_of(f"/-/inspector/in/{box}", "Connection: close", body=b"x"))
        pieces = []
        while piece := connected.recv(4_096):
            pieces.append(piece)
    assert b"".join(pieces).endswith(b"\r\n\r\ndrip drop")
    assert len(pieces) >= 3


def test_an_endless_body_ends_with_its_listener(house: Server, box: str) -> None:
    set_script(house, box, {"do": "endless"})
    with connect(house) as connected:
        connected.sendall(request_of(f"/-/inspector/in/{box}", body=b"x"))
        listened = 0
        while listened < 20_000:
            listened += len(connected.recv(4_096))
    assert answer_of(house, box)["detail"].startswith("the sender left after")


def test_a_sender_that_breaks_off_is_kept_with_what_came(house: Server, box: str) -> None:
    connected = connect(house)
    connected.sendall(request_of(f"/-/inspector/in/{box}", body=b"x" * 100)[:-50])
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()
    [found] = until(lambda: call(house, "GET", f"/{box}")["captures"], within=10, wanted="the capture")
    whole = call(house, "GET", f"/{box}/1")
    assert (found["size"], found["is_cut"], len(whole["body"])) == (100, True, 50)


def test_a_server_that_is_told_to_stop_does_not_wait_for_those_it_keeps_waiting(server: Server) -> None:
    set_script(server, BOX, {"do": "hang"})
    with connect(server) as hanging, connect(server) as reading:
        hanging.sendall(request_of(f"/-/inspector/in/{BOX}", body=b"x"))
        reading.sendall(request_of(f"/-/inspector/{BOX}/events", method="GET", host="localhost"))
        assert reading.recv(100).startswith(b"HTTP/1.1 200")
        until(lambda: call(server, "GET", f"/{BOX}")["captures"], within=10, wanted="the capture")
        began = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - began < 10
        assert heard(hanging) == b""
    assert "error" not in server.log()


def test_failures_and_then_success_are_one_timeline_of_both_ends(server: Server) -> None:
    set_script(server, BOX, {"status": 503, "times": 1})
    answer = requests.post(f"{server.url}/echo", json={"n": 1}, timeout=10).json()
    captures = until(lambda: captured(server, 2), within=15, wanted="both attempts")
    told = call(server, "GET", f"/messages/{captures[0]['webhook_id']}")

    [delivery] = told["deliveries"]
    assert (delivery["workload"], delivery["endpoint"]) == (answer["id"], "echo")
    line = [
        (each["attempt"]["number"], each["attempt"]["status"], [capture["number"] for capture in each["captures"]])
        for each in told["requests"]
    ]
    assert line == [(1, 503, [1]), (2, 200, [2])]
    assert {each["verdict"]["reason"] for each in captures} == {"good"}


def test_each_bad_verdict_names_its_cause_when_the_store_knows_what_was_sent(server: Server) -> None:
    requests.post(f"{server.url}/echo", json={"n": 1}, timeout=10)
    until(lambda: call(server, "GET", f"/{BOX}")["captures"], within=10, wanted="the webhook")
    sent = call(server, "GET", f"/{BOX}/1")
    headers = {name: value for name, value in sent["headers"] if name.lower().startswith("webhook-")}
    altered = sent["body"].replace('"n":1', '"n":2').replace('"n": 1', '"n": 2')
    assert altered != sent["body"]
    requests.post(f"{server.url}/-/inspector/in/{BOX}", data=altered, headers=headers, timeout=10)
    assert call(server, "GET", f"/{BOX}/2")["verdict"]["reason"] == "body_altered"
    call(server, "PATCH", f"/{BOX}", json={"secret": "whsec_" + "A" * 43 + "="})
    assert call(server, "GET", f"/{BOX}/1")["verdict"]["reason"] == "wrong_key"
    call(server, "PATCH", f"/{BOX}", json={"secret": SECRET})
    assert call(server, "GET", f"/{BOX}/1")["verdict"]["reason"] == "good"


def test_a_replay_to_its_own_inbox_is_captured_and_marked(house: Server, box: str) -> None:
    requests.post(f"{house.url}/-/inspector/in/{box}/path?q=1", data=b"again", timeout=10)
    told = call(house, "POST", f"/{box}/1/replay")
    second = call(house, "GET", f"/{box}/2")

    assert (told["status"], second["body"], second["target"]) == (200, "again", "/path?q=1")
    assert ["Ringback-Inspector-Hops", "1"] in second["headers"]


def test_captures_are_sent_on_to_this_machine(server: Server) -> None:
    with Catcher() as catcher:
        call(server, "PATCH", f"/{BOX}", json={"forward": catcher.url})
        answer = requests.post(f"{server.url}/echo", json={"n": 1}, timeout=10).json()
        caught = catcher.wait_for(answer["id"])
    assert caught.headers["ringback-inspector-hops"] == "1"
    [found] = until(
        lambda: [each for each in call(server, "GET", f"/{BOX}")["captures"] if each["forward"]],
        within=10,
        wanted="what came of it",
    )
    assert found["forward"]["status"] == 200


def test_captures_survive_a_kill_and_the_stream_goes_on_after_it(server: Server) -> None:
    url = f"{server.url}/-/inspector/in/{BOX}"
    for number in range(3):
        requests.post(url, data=str(number), timeout=10)
    seen, last = first_events(server, 2)
    server.kill()
    server.start_and_wait()
    requests.post(url, data="3", timeout=10)
    more, _ = first_events(server, 2, last_event_id=last)

    assert seen + more == ["0", "1", "2", "3"]


def first_events(server: Server, count: int, *, last_event_id: str = "") -> tuple[list[str], str]:
    """The bodies of the first captures of a stream, and the id of the last of them."""
    path = f"{server.url}/-/inspector/{BOX}/events?after=0"
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    found: list[str] = []
    with requests.get(path, headers=headers, stream=True, timeout=10) as stream:
        for line in stream.iter_lines(decode_unicode=True):
            if line.startswith("id: "):
                last_event_id = line.removeprefix("id: ")
            elif line.startswith("data: ") and "begins" in (told := json.loads(line.removeprefix("data: "))):
                found.append(told["begins"])
                if len(found) == count:
                    return found, last_event_id
    pytest.fail(f"the stream ended after {found}")


def test_without_it_nothing_answers_there(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path), tmp_path / "r.db", options=["--no-inspector"]) as server:
        assert requests.get(f"{server.url}/-/inspector", timeout=10).status_code == 404
        assert requests.post(f"{server.url}/-/inspector/in/x", timeout=10).status_code == 404
