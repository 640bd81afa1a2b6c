"""The receivers that tests listen with: what happens in them reaches the test that uses them, and no other."""

from __future__ import annotations

import socket
import threading

import pytest

from support.canned import Canned, canned
from support.waiting import until

_LARGE = b"x" * 32_000_000
"""More than two sockets hold between them."""


def test_a_client_that_leaves_in_the_middle_of_an_answer_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with canned() as server:
        server.will_send(_LARGE, "text/plain")
        with _asking(server) as connection:
            assert connection.recv(1) == b"H"
    assert set(threading.enumerate()) <= before
    assert capsys.readouterr().err == ""


def test_a_client_that_asks_nothing_holds_nobody_up() -> None:
    with canned() as server:
        before = set(threading.enumerate())
        connection = _connected(server)
        until(lambda: set(threading.enumerate()) - before, within=10, wanted="somebody who waits for its request")
    with connection:
        assert set(threading.enumerate()) <= before


def test_an_answer_that_cannot_be_written_is_a_fault_of_the_test(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        _ask_for_the_impossible()
    assert capsys.readouterr().err == ""


def _ask_for_the_impossible() -> None:
    with canned() as server:
        server.will_say(object())
        with _asking(server) as connection:
            assert connection.recv(1) == b""


def _connected(server: Canned) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10)


def _asking(server: Canned) -> socket.socket:
    connection = _connected(server)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    return connection
