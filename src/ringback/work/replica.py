"""The parent's side of one replica: it hands over, listens, watches the time, and says how it went.

Believes nothing the child sends. Decides nothing about workloads: it tells its owner.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Final, cast

from ringback.core.clock import SECOND
from ringback.core.errors import Unavailable
from ringback.core.workload import Canceled, Claimed, Completed, Held, Outcome, Progress
from ringback.work.cause import Cause
from ringback.work.child import wire
from ringback.work.child.wire import Kind, WireError
from ringback.work.engine import Engine
from ringback.work.failures import broken_in, failure_in
from ringback.work.files import Lent, Stored, stored_in
from ringback.work.hand import STUCK_SECONDS, Hand
from ringback.work.limits import run_limit
from ringback.work.owner import Owner, Version
from ringback.work.printed import Hearing
from ringback.work.process import Process

_REAP_SECONDS: Final = 0.01


class Replica(asyncio.Protocol):
    """One child process, from its start to its end."""

    def __init__(self, version: Version, owner: Owner[Replica], number: int, *, engine: Engine) -> None:
        """Begin with no process.

        Args:
            version: what it runs, how, and with which interpreter; a later one replaces it.
            owner: is told.
            number: its own among its crew's, for people.
            engine: starts it, and knows whom the kernel has killed.
        """
        self.number = number
        self.version = version.number
        self.api = api = version.api
        self._python = version.python
        self.is_ready = False
        self.waits_for: str | None = None
        self._owner = owner
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._frames = wire.Frames()
        self._hand = Hand(api.concurrency, most=api.recycle_after)
        self._waning_at = 0 if api.recycle_after is None else api.recycle_after // 10
        self._timer: asyncio.TimerHandle | None = None
        self._looks_soon = False
        self._cause = Cause()
        self._began = perf_counter()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._process: Process | None = None
        self._folder: Path | None = None
        self._overhearing: Hearing | None = None

    # ── From the owner ──────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start the process and say hello.

        Raises:
            Unavailable: there is no room for another process or its folder, or it has been killed already.
        """
        if self._cause.is_killed:
            raise Unavailable("it was let go before it had begun")
        try:
            self._folder = self._owner.files.new_folder()
        except OSError as error:
            raise Unavailable(f"a replica could not be given a folder: {error}") from error
        self._process = self._engine.start(self.api, self._python, self._folder, self._on_waiting)
        self._overhearing = self._process.overhear(is_busy=lambda: bool(self._hand), heard=self._on_overheard)
        try:
            await self._loop.create_unix_connection(lambda: self, sock=self._process.end)
        except OSError as error:
            self._process.kill()
            self._overhearing.last()
            raise Unavailable(f"a replica could not be spoken to: {error}") from error

    def _on_waiting(self, what: str | None) -> None:
        self.waits_for = what
        self._owner.on_waiting(self)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def room(self) -> int:
        """How many more workloads it should be given now."""
        return self._hand.room(perf_counter()) if self.is_ready else 0

    @property
    def load(self) -> int:
        """How many workloads it has in hand."""
        return len(self._hand)

    @property
    def is_idle(self) -> bool:
        return not self._hand

    @property
    def left(self) -> int:
        """How many more workloads it may ever be given."""
        return self._hand.left

    @property
    def is_waning(self) -> bool:
        """Whether it has nearly had its share, so that another should be made ready."""
        return self._hand.left <= self._waning_at

    @property
    def folder(self) -> Path | None:
        """Where it puts results that are files."""
        return self._folder

    def take(self, claimed: Claimed, lent: Lent | None = None) -> None:
        """Hand over one workload, with the file that its payload is in if it is a blob."""
        assert self._transport is not None
        limit = run_limit(self.api, claimed)
        number = self._hand.put(claimed, perf_counter(), limit)
        if lent is not None:
            self._tell(wire.file_frame(lent.path, in_memory=lent.in_memory))
        self._tell(
            wire.work_frame(
                wire.Work(
                    number=number,
                    attempt=claimed.held.attempt,
                    timeout=limit,
                    id=claimed.held.id,
                    content_type=claimed.content_type,
                    headers=claimed.headers,
                    payload=claimed.payload,
                    wants_outputs=self._owner.wants_outputs(claimed),
                )
            )
        )
        if not self._hand.in_order or len(self._hand) == 1:
            self._owner.on_began(claimed)
        if self._overhearing is not None:
            self._overhearing.watch()
        if self._timer is None:
            self._arm(limit)
        elif self._hand.in_order:
            if not self._looks_soon:
                self._timer.cancel()
                self._arm(STUCK_SECONDS)
        elif self._loop.time() + limit < self._timer.when():  # a shorter time-out than of those beside it
            self._timer.cancel()
            self._arm(limit)

    def cancel(self, held: Held) -> bool:
        """Have a workload end: one not begun at once, another when predict heeds it, or by force after the grace.

        Returns:
            Whether it is in hand here; its outcome follows.
        """
        found = self._hand.cancel(held, perf_counter() + self.api.cancel_grace_seconds)
        if found is None:
            return False
        number, not_begun = found
        self._tell(wire.numbered_frame(Kind.CANCEL, number))
        if not_begun is not None:
            self._owner.on_outcome(self, not_begun, Canceled(), None)
        elif self._timer is not None:
            self._timer.cancel()
            self._arm_next()
        return True

    def take_back(self) -> list[Claimed]:
        """Ask the child to drop what it has not begun, and hand it to the caller."""
        waiting = self._hand.take_back()
        for number, _ in waiting:
            self._tell(wire.numbered_frame(Kind.CANCEL, number))
        return [claimed for _, claimed in waiting]

    def listen(self, on: bool) -> None:
        """Stop to read what the child says, which makes it wait, or go on."""
        if self._overhearing is not None:
            self._overhearing.is_deaf = not on
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def kill(self) -> None:
        """End the process, or never start it; `on_gone` follows."""
        self._cause.is_killed = True
        if self._process is not None:
            self._process.kill()

    def end_for_memory(self, used_bytes: int) -> None:
        """End the process because it uses more memory than it may; `on_gone` follows."""
        if not self._cause.is_killed:
            self._cause.exceeds(used_bytes, self.api.compute.mem_bytes or 0)
            self.kill()

    def forget_all(self) -> tuple[list[Claimed], list[Claimed]]:
        """Give up everything in hand, begun and not begun, without a word to the owner later."""
        return self._hand.empty()

    # ── From the child ──────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        predictor = self.api.predictor
        hello = {
            "api": self.api.name,
            "replica": self.number,
            "path": str(predictor.path),
            "python_path": None if predictor.python_path is None else str(predictor.python_path),
            "config": predictor.config,
            "log_level": predictor.log_level,
            "log_form": self._engine.log_form,
            "concurrency": self.api.concurrency,
            "spool": self._owner.files.hello(self._folder, self.api),
        }
        self._transport.write(wire.object_frame(Kind.HELLO, hello))

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._frames.feed(data):
                self._on_frame(kind, body)
        except WireError as error:
            self._cause.fault = f"sent what is no answer ({error})"
            self.kill()
            return
        # Only now: what ended together with a long one would be asked for in vain.
        for number in self._hand.ask_back():
            self._tell(wire.numbered_frame(Kind.RETURN, number))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_ready, was_ready = False, self.is_ready
        assert self._process is not None
        self._process.kill()  # not `self.kill`: it may have ended by itself
        self._reap(was_ready)

    def _on_frame(self, kind: Kind, body: bytes) -> None:
        match kind:
            case Kind.DONE:
                number, result = wire.read_numbered(body)
                self._on_end(number, Completed(result=result))
            case Kind.STORED | Kind.FAILED:
                number, text = wire.read_numbered(body)
                told = wire.read_told(text)
                self._on_end(number, failure_in(told) if kind is Kind.FAILED else stored_in(self._folder, told))
            case Kind.RETURNED:
                self._on_returned(wire.number_of(body))
            case Kind.PROGRESS | Kind.OUTPUT | Kind.LOG:
                self._on_word(kind, body)
            case Kind.CHECKPOINT | Kind.RESUME:
                self._on_question(kind, *wire.read_numbered(body))
            case Kind.METRIC:
                self._owner.on_metric(wire.read_told(body))
            case Kind.READY:
                self.is_ready = True
                self._owner.on_ready(self, round((perf_counter() - self._began) * SECOND))
            case Kind.BROKEN:
                self._cause.broken = broken_in(wire.read_told(body))
            case _:
                raise WireError(f"a {kind.name} frame from a replica")

    def _on_word(self, kind: Kind, body: bytes) -> None:
        """Something that a workload says on its way; one that has been taken back is not heard."""
        claimed = self._hand.get(wire.number_of(body))
        if kind is Kind.LOG and self._overhearing is not None:
            self._overhearing.said()
        if claimed is None:
            return
        if kind is Kind.LOG:
            _, left_out, text = wire.read_log(body)
            self._owner.on_said(claimed, left_out, text)
        elif kind is Kind.OUTPUT:
            _, index, value = wire.read_output(body)
            self._owner.on_output(claimed, index, value)
        else:
            _, fraction, message = wire.read_progress(body)
            self._owner.on_progress(claimed, Progress(fraction=fraction, message=message))

    def _on_question(self, kind: Kind, number: int, data: bytes) -> None:
        if len(data) > wire.MOST_CHECKPOINT_BYTES:
            raise WireError(f"a checkpoint of {len(data)} bytes")
        if (claimed := self._hand.get(number)) is None:
            self.refuse(number, "this workload is not this replica's any more")
        elif kind is Kind.CHECKPOINT:
            self._owner.on_checkpoint(self, number, claimed, data)
        else:
            self._owner.on_resume(self, number, claimed)

    def answer(self, number: int, data: bytes | None) -> None:
        """Answer a workload's question."""
        said = wire.Answer.NOTHING if data is None else wire.Answer.DATA
        self._tell(wire.answer_frame(number, said, data or b""))

    def refuse(self, number: int, reason: str) -> None:
        """Answer a workload's question with why there is no answer."""
        self._tell(wire.answer_frame(number, wire.Answer.REFUSAL, reason.encode("utf-8", "replace")))

    def _on_overheard(self, said: bytes) -> None:
        oldest = self._hand.oldest() if self._hand.in_order else None
        self._owner.on_overheard(self, oldest.claimed if oldest else None, said.decode("utf-8", "replace"))

    def _on_returned(self, number: int) -> None:
        returned = self._hand.returned(number, perf_counter())
        if returned is not None:
            claimed, following = returned
            if following is not None:
                self._owner.on_began(following)
            self._owner.on_returned(self, [claimed])

    def _on_end(self, number: int, outcome: Outcome | Stored) -> None:
        if self._hand.was_asked_back(number) and (late := self._hand.get(number)) is not None:
            self._owner.on_began(late)
        ended = self._hand.end(number, perf_counter())
        if ended is None:  # taken back, just too late
            if isinstance(outcome, Stored):
                outcome.file.unlink(missing_ok=True)
            return
        done, run, following = ended
        if following is not None:
            self._owner.on_began(following)
        if done.stop_at is not None:
            if isinstance(outcome, Stored):
                outcome.file.unlink(missing_ok=True)
            outcome = Canceled()  # whatever predict has made of it
        self._owner.on_outcome(self, done.claimed, outcome, round(run * SECOND))

    # ── Time ────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        self._timer = None
        oldest = self._hand.oldest()
        if oldest is None:
            return
        now, deadline = perf_counter(), self._hand.deadline()
        if deadline is not None and now >= deadline:
            self._cause.is_by_force = True
            self.kill()
            return
        if now - oldest.began >= STUCK_SECONDS and (returned := self.take_back()):
            self._owner.on_returned(self, returned)
        self._arm_next()

    def _arm_next(self) -> None:
        deadline = self._hand.deadline()
        if deadline is not None:
            self._arm(deadline - perf_counter())

    def _arm(self, remaining: float) -> None:
        """One timer watches whatever runs; it is set again when it fires, not for every workload."""
        self._looks_soon = len(self._hand) > 1 and self._hand.in_order
        if self._looks_soon:
            remaining = min(remaining, STUCK_SECONDS)
        self._timer = self._loop.call_later(max(remaining, 0.001), self._look)

    def _tell(self, data: bytes) -> None:
        """Send it with whatever else is said in this turn of the loop: workloads come by the dozen."""
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(data)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(unsent)

    # ── The end ─────────────────────────────────────────────────────────────────────────────────

    def _reap(self, was_ready: bool) -> None:
        assert self._process is not None
        end = self._process.ended()
        if end is None:  # SIGKILL is on its way
            self._loop.call_later(_REAP_SECONDS, self._reap, was_ready)
            return
        if self._overhearing is not None:
            self._overhearing.last()
        gone = self._cause.gone(end, self._engine.reaper, was_ready=was_ready)
        self._hand.leave(gone, by_force=gone.by_force, now=perf_counter())
        self._owner.on_gone(self, gone)
