"""What runs in a Ray actor: it starts a replica there, and carries its wire, its words and its files to the server.

The replica is a process of its own, as on the server's machine: what user code does to its process, it does to that one
alone. When the line to the server is down, the replica is killed: the server counts it as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ringback
from ringback.core.errors import Unavailable
from ringback.core.quantities import about_size
from ringback.core.spec import Predictor
from ringback.work.child import wire
from ringback.work.child.wire import Kind, WireError
from ringback.work.cluster.link import Incoming, Line, Passing, Piece, Sifter, WholeLines, read_piece
from ringback.work.memory import MemoryWatch, Reaper
from ringback.work.printed import Hearing
from ringback.work.process import End, LocalProcess

_CONNECT_SECONDS: Final = 30.0
_REAP_SECONDS: Final = 0.01
_LAST_WORDS_SECONDS: Final = 2.0
_READ_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a host is to do, and for whom."""

    host: str
    port: int
    """Where the server listens for its hosts."""
    token: str
    """Which of them this is; nobody else knows it."""
    predictor: Predictor
    mem_bytes: int | None
    """What the replica and its children may use; past it they are killed."""


class Host:
    """The actor."""

    def serve(self, order: Order) -> None:
        """Run one replica until it has ended or the server lets go of it.

        Raises:
            Unavailable: the server cannot be reached from here.
        """
        asyncio.run(_serve(order))


async def _serve(order: Order) -> None:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            line = Line(*await asyncio.open_connection(order.host, order.port))
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"the server at {order.host}:{order.port} cannot be reached from a host: {error}") from error
    await line.send_object(Piece.HELLO, {"token": order.token, "release": ringback.__version__})
    folder = Path(tempfile.mkdtemp(prefix="ringback-replica-"))
    try:
        end = await _Hosting(order, line, folder).run()
        await line.send_object(Piece.ENDED, {"how": end.how, "code": end.code, "out_of_memory": end.out_of_memory})
    finally:
        line.close()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class _Hosting:
    """One replica and its line."""

    def __init__(self, order: Order, line: Line, folder: Path) -> None:
        self._order = order
        self._line = line
        self._folder = folder
        self._payload = folder
        """The one that came last."""
        self._payloads: dict[int, Path] = {}
        self._saying: set[asyncio.Task[None]] = set()
        self._over_memory: str | None = None
        self._fault: str | None = None
        self._is_let_go = False
        self._reaper = Reaper()
        self._words: Hearing | None = None
        self._telling = 0
        """How much is on its way to the server right now."""

    async def run(self) -> End:
        """From its start to its end."""
        log, lines = os.pipe()
        try:
            process = LocalProcess(self._order.predictor, Path(sys.executable), log=lines)
        except Unavailable as error:
            os.close(log)
            return End(how=f"could not be started: {error}")
        finally:
            os.close(lines)
        self._words = words = process.overhear(is_busy=lambda: True, heard=self._on_overheard)
        words.watch()
        memory = MemoryWatch(lambda: self._limits(process.pid), lambda _, used: self._on_over_memory(process, used))
        memory.start()
        reader, writer = await asyncio.open_unix_connection(sock=process.end)
        tasks = [
            asyncio.create_task(each)
            for each in (self._from_server(writer, process), self._carry_log(log), self._from_replica(reader))
        ]
        try:
            await tasks[-1]  # it ends when the replica does, and not before
        finally:
            memory.stop()
            process.kill()
            tasks[0].cancel()
            with contextlib.suppress(OSError):
                writer.close()
            end = await self._reaped(process)
            _, late = await asyncio.wait(tasks, timeout=_LAST_WORDS_SECONDS)
            for each in late:  # something that has freed itself from the replica holds its log open
                each.cancel()
            words.last()
            if self._saying:
                await asyncio.wait(self._saying)
        return end

    # ── From the server ─────────────────────────────────────────────────────────────────────────

    async def _from_server(self, writer: asyncio.StreamWriter, process: LocalProcess) -> None:
        """Hand on what the server says, until it says no more: then the replica has to go."""
        sifter, incoming = Sifter(Kind.HELLO, Kind.FILE), Incoming(self._folder)
        try:
            while (piece := await read_piece(self._line.reader)) is not None and piece[0] is not Piece.KILL:
                if piece[0] is Piece.FILE:
                    await incoming.take(piece[1])
                    continue
                for passing in sifter.feed(piece[1]):
                    writer.write(
                        passing.data if passing.kind is None else await self._adapted(passing, sifter, incoming)
                    )
                await writer.drain()
        except (OSError, WireError, KeyError):
            pass  # the replica has gone, or the server is none
        finally:
            incoming.drop()
            self._is_let_go = True
            process.kill()

    async def _adapted(self, passing: Passing, sifter: Sifter, incoming: Incoming) -> bytes:
        """A frame about files, as it reads on this host."""
        if passing.kind is Kind.HELLO:
            return wire.object_frame(Kind.HELLO, self._at_home(wire.read_object(passing.body)))
        if passing.kind is Kind.FILE:
            told = wire.read_object(passing.body)
            self._payload = await incoming.name(f"payload-{int(told['ordinal'])}")
            sifter.kinds.add(Kind.WORK)
            return wire.file_frame(self._payload, in_memory=bool(told["in_memory"]))
        sifter.kinds.discard(Kind.WORK)  # it was the one whose payload the FILE before it has named
        self._payloads[wire.number_of(passing.body)] = self._payload
        return wire.frame(Kind.WORK, passing.body)

    def _at_home(self, hello: dict[str, object]) -> dict[str, object]:
        """The greeting, with a folder of this host for results."""
        spool = hello.get("spool")
        if isinstance(spool, dict):
            results = self._folder / "results"
            results.mkdir(exist_ok=True)
            return {**hello, "spool": {**spool, "folder": str(results)}}
        return hello

    # ── From the replica ────────────────────────────────────────────────────────────────────────

    async def _from_replica(self, reader: asyncio.StreamReader) -> None:
        """Hand on what the replica says, until it has ended."""
        sifter = Sifter(Kind.STORED)
        try:
            while data := await reader.read(_READ_BYTES):
                with self._handing_on():
                    for passing in sifter.feed(data):
                        if passing.ended is not None:
                            self._clear(passing.ended)
                        elif passing.kind is None:
                            await self._line.send(Piece.WIRE, passing.data)
                        else:
                            await self._send_result(passing.body)
        except WireError as error:
            self._fault = f"sent what is no answer ({error})"
        except OSError:
            pass  # it has gone

    async def _send_result(self, body: bytes) -> None:
        number, text = wire.read_numbered(body)
        name = wire.read_object(text).get("name")
        file = self._folder / "results" / Path(str(name)).name
        with contextlib.suppress(OSError):  # a file that is not there is refused where it is judged
            await self._line.send_file(file)
            await asyncio.to_thread(file.unlink)
        self._clear(number)
        await self._line.send(Piece.WIRE, wire.frame(Kind.STORED, body))

    def _clear(self, number: int) -> None:
        """A workload has ended: nobody reads its payload any more."""
        if (path := self._payloads.pop(number, None)) is not None:
            path.unlink(missing_ok=True)

    # ── What goes beside the wire ───────────────────────────────────────────────────────────────

    async def _carry_log(self, log: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(log, "rb", buffering=0)
        )
        lines = WholeLines()
        try:
            while data := await reader.read(_READ_BYTES):
                if whole := lines.feed(data):
                    with self._handing_on():
                        await self._line.send(Piece.LOG, whole)
            if lines.rest:
                await self._line.send(Piece.LOG, bytes(lines.rest))
        finally:
            transport.close()

    @contextlib.contextmanager
    def _handing_on(self) -> Iterator[None]:
        """The replica is awake and speaks for itself; it may have to wait for the line, and is not overheard then."""
        assert self._words is not None
        self._telling += 1
        self._words.is_deaf = True
        try:
            yield
        finally:
            self._telling -= 1
            self._words.is_deaf = self._telling > 0
            self._words.said()

    def _on_overheard(self, text: bytes) -> None:
        saying = asyncio.create_task(self._line.send(Piece.PRINTED, text))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)

    # ── The end ─────────────────────────────────────────────────────────────────────────────────

    def _limits(self, pid: int) -> dict[int, int]:
        return {} if self._order.mem_bytes is None else {pid: self._order.mem_bytes}

    def _on_over_memory(self, process: LocalProcess, used: int) -> None:
        limit = about_size(self._order.mem_bytes or 0)
        self._over_memory = f"used {about_size(used)} of memory, over its limit of {limit} (compute.mem)"
        process.kill()

    async def _reaped(self, process: LocalProcess) -> End:
        while (end := process.ended()) is None:  # noqa: ASYNC110 - SIGKILL is on its way, and nothing tells of it
            await asyncio.sleep(_REAP_SECONDS)
        if self._over_memory is not None:
            return End(how=self._over_memory, code=end.code, out_of_memory=True)
        if end.code == -signal.SIGKILL and not self._is_let_go and self._reaper.was_it():
            return End(how="was killed by the kernel for lack of memory", code=end.code, out_of_memory=True)
        return end if self._fault is None else End(how=self._fault, code=end.code)
