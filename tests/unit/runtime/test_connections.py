"""An answer's head goes out with its body, and never waits for one."""

from __future__ import annotations

import asyncio
from typing import cast

from ringback.runtime.connections import WholeAnswers

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Socket:
    """Remembers what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def transport_on(socket: Socket) -> WholeAnswers:
    return WholeAnswers(cast("asyncio.Transport", socket))


async def test_head_and_body_are_one_write() -> None:
    socket = Socket()
    transport = transport_on(socket)
    for _ in range(2):
        transport.write(HEAD)
        transport.write(b"{}")
    await asyncio.sleep(0)
    assert socket.written == [HEAD + b"{}", HEAD + b"{}"]


async def test_a_head_whose_body_lets_wait_goes_at_the_next_turn() -> None:
    socket = Socket()
    transport = transport_on(socket)
    transport.write(HEAD)
    assert socket.written == []
    await asyncio.sleep(0)
    transport.write(b"data: 1\n\n")
    assert socket.written == [HEAD, b"data: 1\n\n"]


async def test_a_large_body_is_not_copied() -> None:
    socket, body = Socket(), bytes(1 << 20)
    transport = transport_on(socket)
    transport.write(HEAD)
    transport.write(body)
    assert socket.written[0] == HEAD
    assert socket.written[1] is body


async def test_closing_leaves_nothing_unwritten() -> None:
    socket = Socket()
    transport = transport_on(socket)
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert socket.written == [HEAD]
    assert transport.is_closing()
