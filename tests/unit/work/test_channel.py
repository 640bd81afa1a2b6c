"""The child's end of the wire: what is wanted of whom, and for how long that is known."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ringback.work.child import wire
from ringback.work.child.channel import Channel
from ringback.work.child.wire import Kind


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    """The parent's end, and the child's."""
    parent, child = socket.socketpair()
    with parent, child:
        yield parent, Channel(child)


def test_a_cancel_is_known_until_its_workload_is_over(ends: tuple[socket.socket, Channel]) -> None:
    parent, channel = ends
    parent.sendall(wire.numbered_frame(Kind.CANCEL, 7) + wire.numbered_frame(Kind.RETURN, 8))
    assert channel.is_dropped(7)
    assert channel.cancelled(7)
    assert (channel.is_dropped(8), channel.is_wanted_back(8), channel.is_wanted_back(7)) == (False, True, False)
    channel.forget(7)
    channel.forget(8)
    assert not channel.cancelled(7)
    assert not channel.is_wanted_back(8)


def test_who_heeds_a_cancel_is_called_once_whenever_it_comes(ends: tuple[socket.socket, Channel]) -> None:
    parent, channel = ends
    called: list[str] = []
    parent.sendall(wire.numbered_frame(Kind.CANCEL, 7))
    assert channel.look()
    with channel.heeding(7, lambda: called.append("known before")):
        pass
    with channel.heeding(8, lambda: called.append("comes meanwhile")):
        parent.sendall(wire.numbered_frame(Kind.CANCEL, 8))
        assert channel.look()
    parent.sendall(wire.numbered_frame(Kind.CANCEL, 8))
    assert channel.look()
    assert called == ["known before", "comes meanwhile"]


def test_what_comes_besides_cancels_waits_in_its_order(ends: tuple[socket.socket, Channel]) -> None:
    parent, channel = ends
    parent.sendall(wire.object_frame(Kind.HELLO, {}) + wire.numbered_frame(Kind.CANCEL, 7))
    parent.sendall(wire.object_frame(Kind.FILE, {}))
    assert channel.is_dropped(7)
    assert [channel.receive(), channel.receive()] == [(Kind.HELLO, b"{}"), (Kind.FILE, b"{}")]


def test_a_parent_that_has_gone_is_noticed(ends: tuple[socket.socket, Channel]) -> None:
    parent, channel = ends
    assert channel.look()
    parent.close()
    assert not channel.look()
    assert channel.receive() is None
