"""Names looked up in threads: each once at a time, and a name server that is silent harms nobody else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from ringback.core.netguard import Trust
from ringback.runtime.names import MOST_AT_ONCE, Names, is_own, look_up
from support.waiting import until


@dataclass(slots=True)
class Servers:
    """Answer for every name, but for those that begin with `silent` only when told to."""

    asked: list[str] = field(default_factory=list)
    spoken: threading.Event = field(default_factory=threading.Event)

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("silent"):
            assert self.spoken.wait(10)
        if host.startswith("nowhere"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ["192.0.2.1", "2001:db8::1"]


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.spoken.set()


async def asked(servers: Servers, count: int) -> None:
    await asyncio.to_thread(until, lambda: len(servers.asked) >= count, within=10, wanted=f"{count} look-ups")


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("2001:DB8::0001", "2001:db8::1"), ("::1", "::1")]
)
async def test_an_address_is_itself_and_nobody_is_asked(host: str, address: str, servers: Servers) -> None:
    assert await Names(servers)(host, Trust.GUEST) == [address]
    assert servers.asked == []


async def test_without_room_for_a_thread_a_name_is_not_found_for_now(servers: Servers) -> None:
    names = Names(servers)
    before = threading.stack_size(1 << 47)  # more than there are addresses
    try:
        with pytest.raises(socket.gaierror, match="can't start new thread"):
            await names("a.example", Trust.OPERATOR)
    finally:
        threading.stack_size(before)
    assert await names("a.example", Trust.OPERATOR) == ["192.0.2.1", "2001:db8::1"]


def test_what_is_no_name_has_no_address() -> None:
    with pytest.raises(socket.gaierror, match="it is no host name"):
        look_up(f"{'a' * 64}.example")


async def test_a_name_has_all_its_addresses_or_none(servers: Servers) -> None:
    names = Names(servers)
    assert await names("a.example", Trust.OPERATOR) == ["192.0.2.1", "2001:db8::1"]
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await names("nowhere.example", Trust.OPERATOR)
    assert servers.asked == ["a.example", "nowhere.example", "nowhere.example"]


async def test_whoever_asks_for_a_name_that_is_being_looked_up_waits_for_that(servers: Servers) -> None:
    names = Names(servers)
    waiting = [asyncio.create_task(names("silent.example", Trust.GUEST)) for _ in range(5)]
    await asked(servers, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await names("silent.example", Trust.GUEST)
    servers.spoken.set()
    assert await asyncio.gather(*waiting) == [["192.0.2.1", "2001:db8::1"]] * 5
    assert servers.asked == ["silent.example"]


async def test_silent_servers_of_guests_hold_up_guests_alone(servers: Servers) -> None:
    names = Names(servers)
    silent = [asyncio.create_task(names(f"silent{number}.example", Trust.GUEST)) for number in range(MOST_AT_ONCE)]
    await asked(servers, MOST_AT_ONCE)
    async with asyncio.timeout(5):
        assert await names("a.example", Trust.OPERATOR)
    late = asyncio.create_task(names("b.example", Trust.GUEST))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(late)
    assert len(servers.asked) == MOST_AT_ONCE + 1, "there is no thread for one more"
    servers.spoken.set()
    assert await late
    await asyncio.gather(*silent)


async def test_everybody_may_give_up(servers: Servers) -> None:
    names = Names(servers)
    waiting = asyncio.create_task(names("silent.example", Trust.GUEST))
    await asked(servers, 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    servers.spoken.set()
    assert await names("silent.example", Trust.GUEST)


def test_the_systems_own_answer_for_this_machine() -> None:
    assert "127.0.0.1" in look_up("localhost")
    with pytest.raises(socket.gaierror):
        look_up("nowhere.invalid")


def test_what_is_this_machine_itself() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.77")
    assert not is_own("999.1.1.1")
