"""One attempt over the network, under one deadline for everything: name, connection, TLS, request and answer."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from socket import EAI_NONAME, SOCK_STREAM, gaierror
from time import perf_counter_ns
from typing import Final

from ringback.core.delivery import AttemptClass
from ringback.core.netguard import Guard, Resolve, Trust
from ringback.deliver.answer import Answer, Exchange, NoAnswer
from ringback.deliver.connection import Connection
from ringback.deliver.request import Target

KEPT_SECONDS: Final = 60.0


class Guarded(Exception):
    """The guard lets no connection be made; the message says why."""


async def resolved(host: str, trust: Trust) -> Sequence[str]:  # noqa: ARG001 - whoever's it is
    """All addresses the system knows for a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """Where a connection may lead, and how names become addresses."""

    guard: Guard = field(default_factory=Guard)
    resolve: Resolve = resolved
    kept_seconds: float = KEPT_SECONDS
    """How long a connection is used again and again before the name is looked up once more."""


class Line:
    """A place for one connection to one target, kept alive from one attempt to the next."""

    __slots__ = (
        "_connect_us",
        "_connection",
        "_deadline",
        "_dialling",
        "_dns_us",
        "_expired",
        "_first_byte_ns",
        "_kept_until",
        "_loop",
        "_sent_ns",
        "_target",
        "_timer",
    )

    def __init__(self, target: Target, dialling: Dialling) -> None:
        self._target = target
        self._dialling = dialling
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._expired = False
        self._kept_until = 0.0
        self._deadline: float | None = None
        self._dns_us: int | None = None
        self._connect_us: int | None = None
        self._first_byte_ns = 0
        self._sent_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, request: bytes) -> Exchange:
        """Make one attempt. Never raises for what a network or a receiver can do."""
        self._sent_ns = started = perf_counter_ns()
        self._first_byte_ns = 0
        self._dns_us = self._connect_us = None
        self._expired = False
        began = self._loop.time()
        if began >= self._kept_until and self._connection is not None:
            self._connection.close()  # the name may have moved on while it was kept busy
            self._connection = None
        self._deadline = began + self._target.timeout_seconds
        if self._timer is None:
            self._watch(self._deadline)
        try:
            result = await self._attempt(request)
        finally:
            self._deadline = None
        address = self._connection.address if self._connection is not None else None
        if self._connection is not None:
            self._first_byte_ns = self._connection.first_byte_ns
            if not self._connection.is_open:
                self._connection = None
        ended = perf_counter_ns()
        first, sent = self._first_byte_ns, self._sent_ns
        return Exchange(
            result=result,
            duration_us=(ended - started) // 1_000,
            address=address,
            dns_us=self._dns_us,
            connect_us=self._connect_us,
            wait_us=(first - sent) // 1_000 if first else None,
            read_us=(ended - first) // 1_000 if first else None,
        )

    @property
    def target(self) -> Target:
        """Where its connection leads."""
        return self._target

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _attempt(self, request: bytes) -> Answer | NoAnswer:
        connection = self._connection
        if connection is not None and connection.is_open:
            result = await connection.exchange(request)
            if isinstance(result, Answer) or connection.has_heard or self._expired:
                return self._timed(result)
            # A kept connection that the receiver was just closing: once more on a fresh one.
        self._connection = None
        fresh = await self._connect()
        if isinstance(fresh, NoAnswer):
            return fresh
        self._connection = fresh
        if self._expired:
            fresh.close()
            return self._too_late()
        self._kept_until = self._loop.time() + self._dialling.kept_seconds
        self._sent_ns = perf_counter_ns()
        return self._timed(await fresh.exchange(request))

    def _watch(self, deadline: float) -> None:
        """One timer serves attempt after attempt; it is set again when it fires, not for every attempt."""
        self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._loop.time() < self._deadline:
            self._watch(self._deadline)
            return
        self._expired = True
        if self._connection is not None:
            self._connection.close()

    def _timed(self, result: Answer | NoAnswer) -> Answer | NoAnswer:
        if self._expired and isinstance(result, NoAnswer):
            seconds = self._target.timeout_seconds
            return NoAnswer(outcome=AttemptClass.READ_TIMEOUT, detail=f"gave no whole answer within {seconds:g} s")
        return result

    async def _connect(self) -> Connection | NoAnswer:
        target = self._target
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._dial(target)
        except Guarded as refused:
            return NoAnswer(outcome=AttemptClass.GUARD, detail=str(refused))
        except TimeoutError:
            return self._too_late()
        except gaierror as error:
            return NoAnswer(outcome=AttemptClass.DNS, detail=f"the name {target.host} has no address: {error.strerror}")
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            return NoAnswer(outcome=AttemptClass.TLS, detail=f"no TLS connection to {target.host}: {reason}")
        except OSError as error:
            reason = str(error) if error.errno is None else os.strerror(error.errno)
            return NoAnswer(
                outcome=AttemptClass.REFUSED, detail=f"{target.host}:{target.port} cannot be reached: {reason}"
            )

    def _too_late(self) -> NoAnswer:
        """The deadline has passed before anything was sent."""
        target = self._target
        if self._dns_us is None:
            detail = f"the name {target.host} was not looked up within {target.timeout_seconds:g} s"
            return NoAnswer(outcome=AttemptClass.DNS, detail=detail)
        detail = f"could not be connected to within {target.timeout_seconds:g} s"
        return NoAnswer(outcome=AttemptClass.CONNECT_TIMEOUT, detail=detail)

    async def _dial(self, target: Target) -> Connection:
        """Connect to the first address that answers, of those that the guard has seen and no other.

        Raises:
            Guarded: one of the name's addresses must not be dialled.
            gaierror: it has none.
        """
        began = perf_counter_ns()
        addresses = await self._dialling.resolve(target.host, target.trust)
        resolved_ns = perf_counter_ns()
        self._dns_us = (resolved_ns - began) // 1_000
        if not addresses:
            raise gaierror(EAI_NONAME, "none was found")
        refusal = self._dialling.guard.refusal(target.trust, target.host, target.port, addresses)
        if refusal is not None:
            raise Guarded(refusal)
        try:
            return await self._open_one(addresses)
        finally:
            self._connect_us = (perf_counter_ns() - resolved_ns) // 1_000

    async def _open_one(self, addresses: Sequence[str]) -> Connection:
        """Each address has its share of the time that is left: one that leads nowhere leaves some to the others."""
        for left, address in zip(range(len(addresses), 1, -1), addresses, strict=False):
            assert self._deadline is not None
            try:
                async with asyncio.timeout((self._deadline - self._loop.time()) / left):
                    return await self._open(address)
            except ssl.SSLError:
                raise
            except OSError:  # TimeoutError is one
                continue
        return await self._open(addresses[-1])

    async def _open(self, address: str) -> Connection:
        target = self._target
        _, connection = await self._loop.create_connection(
            Connection,
            address,
            target.port,
            ssl=_tls() if target.is_tls else None,
            server_hostname=target.host if target.is_tls else None,
            ssl_handshake_timeout=target.timeout_seconds if target.is_tls else None,  # not the loop's 60 s
        )
        # Once more, of the socket as it stands: a proxy in between may have led it elsewhere.
        peer = connection.peer_host
        refusal = None if peer is None else self._dialling.guard.refusal(target.trust, target.host, target.port, [peer])
        if refusal is not None:
            connection.close()
            raise Guarded(refusal)
        return connection


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
