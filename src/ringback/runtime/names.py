"""From names to addresses, by the system's own resolver, in threads: a name server that does not answer holds one up.

Names of the file and names that guests brought have rooms of their own, so that guests hold up guests alone. While one
look-up of a name is under way, whoever asks for that name waits for it: no name holds two threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

from ringback.core.netguard import Trust

MOST_AT_ONCE: Final = 32
"""Look-ups under way for names of one trust."""

LookUp = Callable[[str], Sequence[str]]


def look_up(host: str) -> Sequence[str]:
    """All addresses the system knows for a name; blocks.

    Raises:
        gaierror: it knows none, or this is no name at all.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"it is no host name ({error})") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Names:
    """A `core.netguard.Resolve`."""

    def __init__(self, look_up: LookUp = look_up) -> None:
        self._look_up = look_up
        self._room = {trust: asyncio.Semaphore(MOST_AT_ONCE) for trust in Trust}
        self._under_way: dict[tuple[str, Trust], asyncio.Task[Sequence[str]]] = {}

    async def __call__(self, host: str, trust: Trust) -> Sequence[str]:
        """All addresses of a name; one that is an address already is itself.

        Raises:
            gaierror: it has none, or nobody can be asked now.
        """
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        key = host, trust
        asked = self._under_way.get(key)
        if asked is None:
            asked = self._under_way[key] = asyncio.create_task(self._ask(host, trust))
            asked.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asked)  # whoever gives up leaves the others waiting

    async def _ask(self, host: str, trust: Trust) -> Sequence[str]:
        async with self._room[trust]:
            return await _in_a_thread(lambda: self._look_up(host))

    def _answered(self, key: tuple[str, Trust], done: asyncio.Task[Sequence[str]]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # looked at, also when everybody has given up


def _in_a_thread(ask: Callable[[], Sequence[str]]) -> asyncio.Future[Sequence[str]]:
    """What `ask` returns or raises. The thread is nobody's to wait for: it holds up no end of the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def run() -> None:
        try:
            found = ask()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever asked
            _tell(loop, answer, None, error)
        else:
            _tell(loop, answer, found, None)

    try:
        threading.Thread(target=run, daemon=True, name="ringback-name").start()
    except RuntimeError as error:  # the machine has no room for another thread
        answer.set_exception(socket.gaierror(socket.EAI_AGAIN, str(error)))
    return answer


def _tell(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[Sequence[str]],
    found: Sequence[str] | None,
    error: Exception | None,
) -> None:
    def set_it() -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or ())

    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(set_it)


def is_own(address: str) -> bool:
    """Whether an address is one of this machine's: it would talk to itself. Nothing is sent to find that out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # of a datagram socket: it only looks at the routes
            return str(probe.getsockname()[0]) == address
    except OSError:
        return False  # there is no way to it at all, which the connection will say better
