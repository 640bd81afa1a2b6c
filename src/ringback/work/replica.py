"""The parent's side of one replica: what it has in hand, what it answers, when it is too late, how it went.

Believes nothing the child sends. Decides nothing about workloads: it tells its owner.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Protocol, cast

from ringback.core.clock import SECOND
from ringback.core.errors import Unavailable
from ringback.core.spec import Api
from ringback.core.workload import Claimed, Completed, ErrorType, Failed, Outcome, Progress
from ringback.work.child import wire
from ringback.work.child.wire import Kind, WireError
from ringback.work.process import ReplicaProcess

_SHORT_SECONDS: Final = 0.010
"""Workloads shorter than this are handed over several at a time, so that the child never waits for the next."""

_AHEAD_SECONDS: Final = 0.008
_AHEAD_MOST: Final = 64
_STUCK_SECONDS: Final = 0.25
"""How long a workload may run before those handed over behind it are taken back."""

_MEMORY_OF_RUNS: Final = 0.8
_REAP_SECONDS: Final = 0.01


@dataclass(slots=True)
class InHand:
    """One workload at the child. In order of arrival, only the first has begun."""

    claimed: Claimed
    began: float


@dataclass(slots=True)
class Gone:
    """How a replica ended, and what it leaves behind."""

    how: str
    """As a clause: "was killed by SIGKILL"."""
    was_ready: bool
    broken: str | None = None
    """The child's own sentence about why it could not start."""
    timed_out: list[Claimed] = field(default_factory=list)
    lost: list[Claimed] = field(default_factory=list)
    """Running when it died."""
    untouched: list[Claimed] = field(default_factory=list)
    """Handed over, never begun."""


class Owner(Protocol):
    """Whom a replica tells."""

    def on_ready(self, replica: Replica, load_us: int) -> None: ...

    def on_began(self, claimed: Claimed) -> None:
        """The child has come to a workload that it was handed."""
        ...

    def wants_outputs(self, claimed: Claimed) -> bool:
        """Whether anybody wants to know of each value that a generator yields."""
        ...

    def on_output(self, claimed: Claimed, index: int, value: bytes) -> None: ...

    def on_outcome(self, replica: Replica, claimed: Claimed, outcome: Outcome, run_us: int) -> None: ...

    def on_progress(self, claimed: Claimed, progress: Progress) -> None: ...

    def on_metric(self, metric: dict[str, object]) -> None: ...

    def on_returned(self, claimed: list[Claimed]) -> None:
        """Workloads that wait behind a long one and could run elsewhere."""
        ...

    def on_gone(self, replica: Replica, gone: Gone) -> None: ...


class Replica(asyncio.Protocol):
    """One child process, from its start to its end."""

    def __init__(self, api: Api, owner: Owner, number: int) -> None:
        self.number = number
        self.is_ready = False
        self._api = api
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._frames = wire.Frames()
        self._in_hand: dict[int, InHand] = {}
        self._in_order = api.concurrency == 1
        self._depth = api.concurrency
        self._mean_run = _SHORT_SECONDS * 2
        self._next_number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._looks_soon = False
        self._broken: str | None = None
        self._fault: str | None = None
        self._timed_out = False
        self._began = perf_counter()
        self._transport: asyncio.Transport | None = None
        self._process: ReplicaProcess | None = None

    # ── From the owner ──────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start the process and say hello.

        Raises:
            Unavailable: there is no room for another process.
        """
        self._process = ReplicaProcess(self._api.predictor)
        try:
            await self._loop.create_unix_connection(lambda: self, sock=self._process.end)
        except OSError as error:
            self._process.kill()
            raise Unavailable(f"a replica could not be spoken to: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def room(self) -> int:
        """How many more workloads it should be given now."""
        if not self.is_ready:
            return 0
        depth = 1 if self._in_order and self._is_at_a_long_one() else self._depth
        return max(0, depth - len(self._in_hand))

    @property
    def load(self) -> int:
        """How many workloads it has in hand."""
        return len(self._in_hand)

    @property
    def is_idle(self) -> bool:
        return not self._in_hand

    def take(self, claimed: Claimed) -> None:
        """Hand over one workload."""
        assert self._transport is not None
        self._next_number = number = self._next_number + 1 & 0xFFFF_FFFF
        self._in_hand[number] = InHand(claimed, perf_counter())
        self._transport.write(
            wire.work_frame(
                wire.Work(
                    number=number,
                    attempt=claimed.held.attempt,
                    timeout=self._api.timeout_seconds,
                    id=claimed.held.id,
                    content_type=claimed.content_type,
                    headers=claimed.headers,
                    payload=claimed.payload,
                    wants_outputs=self._owner.wants_outputs(claimed),
                )
            )
        )
        if not self._in_order or len(self._in_hand) == 1:
            self._owner.on_began(claimed)
        if self._timer is None:
            self._arm(self._api.timeout_seconds)
        elif not self._looks_soon and self._in_order:
            self._timer.cancel()
            self._arm(_STUCK_SECONDS)

    def take_back(self) -> list[Claimed]:
        """Ask the child to drop what it has not begun, and hand it to the caller."""
        if not self._in_order or len(self._in_hand) < 2:
            return []
        _, *waiting = self._in_hand
        for number in waiting:
            self._tell(wire.numbered_frame(Kind.CANCEL, number))
        return [self._in_hand.pop(number).claimed for number in waiting]

    def listen(self, on: bool) -> None:
        """Stop to read what the child says, which makes it wait, or go on."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def kill(self) -> None:
        """End the process; `on_gone` follows."""
        if self._process is not None:
            self._process.kill()

    def forget_all(self) -> list[Claimed]:
        """Give up everything in hand without a word to the owner later."""
        held = [each.claimed for each in self._in_hand.values()]
        self._in_hand.clear()
        return held

    # ── From the child ──────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        predictor = self._api.predictor
        hello = {
            "api": self._api.name,
            "path": str(predictor.path),
            "python_path": None if predictor.python_path is None else str(predictor.python_path),
            "config": predictor.config,
            "log_level": predictor.log_level,
            "concurrency": self._api.concurrency,
        }
        self._transport.write(wire.object_frame(Kind.HELLO, hello))

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._frames.feed(data):
                self._on_frame(kind, body)
        except WireError as error:
            self._fault = f"sent what is no answer ({error})"
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_ready, was_ready = False, self.is_ready
        self.kill()
        self._reap(was_ready)

    def _on_frame(self, kind: Kind, body: bytes) -> None:
        match kind:
            case Kind.DONE:
                number, result = wire.read_numbered(body)
                self._on_end(number, Completed(result=result))
            case Kind.FAILED:
                number, text = wire.read_numbered(body)
                self._on_end(number, _failure(wire.read_object(text)))
            case Kind.PROGRESS:
                number, fraction, message = wire.read_progress(body)
                if number in self._in_hand:
                    told = Progress(fraction=fraction, message=message)
                    self._owner.on_progress(self._in_hand[number].claimed, told)
            case Kind.OUTPUT:
                number, index, value = wire.read_output(body)
                if number in self._in_hand:
                    self._owner.on_output(self._in_hand[number].claimed, index, value)
            case Kind.METRIC:
                self._owner.on_metric(wire.read_object(body))
            case Kind.READY:
                self.is_ready = True
                self._owner.on_ready(self, self._since(self._began))
            case Kind.BROKEN:
                self._broken = body.decode("utf-8", "replace")
            case _:
                raise WireError(f"a {kind.name} frame from a replica")

    def _on_end(self, number: int, outcome: Outcome) -> None:
        done = self._in_hand.pop(number, None)
        if done is None:
            return  # taken back, just too late
        now = perf_counter()
        run = now - done.began
        if self._in_order:
            if self._in_hand:
                following = next(iter(self._in_hand.values()))
                following.began = now
                self._owner.on_began(following.claimed)
            self._mean_run = _MEMORY_OF_RUNS * self._mean_run + (1 - _MEMORY_OF_RUNS) * run
            self._depth = self._depth_for(self._mean_run)
        self._owner.on_outcome(self, done.claimed, outcome, round(run * SECOND))

    # ── Time ────────────────────────────────────────────────────────────────────────────────────

    def _is_at_a_long_one(self) -> bool:
        """Whether what runs now has taken longer than the short ones before it, so that nothing should wait behind."""
        oldest = next(iter(self._in_hand.values()), None)
        return oldest is not None and perf_counter() - oldest.began > _SHORT_SECONDS

    def _depth_for(self, seconds: float) -> int:
        if seconds > _SHORT_SECONDS:
            return 1
        return max(2, min(_AHEAD_MOST, int(_AHEAD_SECONDS / max(seconds, 1e-6))))

    def _look(self) -> None:
        self._timer = None
        if not self._in_hand:
            return
        now = perf_counter()
        oldest = next(iter(self._in_hand.values()))
        if now - oldest.began >= self._api.timeout_seconds:
            self._timed_out = True
            self.kill()
            return
        if now - oldest.began >= _STUCK_SECONDS and (returned := self.take_back()):
            self._owner.on_returned(returned)
        self._arm(oldest.began + self._api.timeout_seconds - now)

    def _arm(self, remaining: float) -> None:
        """One timer watches whatever runs; it is set again when it fires, not for every workload."""
        self._looks_soon = len(self._in_hand) > 1 and self._in_order
        if self._looks_soon:
            remaining = min(remaining, _STUCK_SECONDS)
        self._timer = self._loop.call_later(max(remaining, 0.001), self._look)

    def _since(self, moment: float) -> int:
        return round((perf_counter() - moment) * SECOND)

    def _tell(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # ── The end ─────────────────────────────────────────────────────────────────────────────────

    def _reap(self, was_ready: bool) -> None:
        assert self._process is not None
        how = self._process.ended()
        if how is None:  # SIGKILL is on its way
            self._loop.call_later(_REAP_SECONDS, self._reap, was_ready)
            return
        self._owner.on_gone(self, self._legacy(self._fault or how, was_ready))

    def _legacy(self, how: str, was_ready: bool) -> Gone:
        now = perf_counter()
        gone = Gone(how, was_ready, self._broken)
        for place, each in enumerate(self._in_hand.values()):
            begun = place == 0 or not self._in_order
            if not begun:
                gone.untouched.append(each.claimed)
            elif self._timed_out:
                late = now - each.began >= self._api.timeout_seconds
                (gone.timed_out if late else gone.untouched).append(each.claimed)
            else:
                gone.lost.append(each.claimed)
        self._in_hand.clear()
        return gone


def _failure(told: dict[str, object]) -> Failed:
    kind, message = told.get("type"), told.get("message")
    if not isinstance(kind, str) or not isinstance(message, str):
        raise WireError("a failure without type and message")
    return Failed(type=kind, message=message)


def timeout_failure(seconds: float) -> Failed:
    """What a workload fails with whose predict took too long."""
    return Failed(type=ErrorType.TIMEOUT.value, message=f"predict ran longer than its time-out of {seconds:g} s")
