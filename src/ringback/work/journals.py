"""What workloads say on its way to their journals: in their order, in batches, and never more than a journal holds.

The first word is written at once, what follows a little later all together; the last words go with the outcome, in
its own transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.journal import MOST_OUTPUT_BYTES, Entry, LeftOut, Said
from ringback.core.workload import Claimed, Held, Output, Progress
from ringback.store.contract import Store
from ringback.work.child.transcript import HEAD_BYTES, HEAD_LINES
from ringback.work.child.wire import MOST_OUTPUTS, MOST_OUTPUTS_BYTES

PAUSE_SECONDS: Final = 0.05
"""Between two writes about one workload."""

TAIL_LINES: Final = 2_000
TAIL_BYTES: Final = 256 * 1024
"""So much of the latest text is kept, besides the beginning."""

CROWDED_BYTES: Final = 8 * 1024 * 1024
"""On its way to the store, before replicas are listened to no longer."""

_ENTRY_BYTES: Final = 64 * 1024
"""Text that comes together is one entry up to this size."""


@dataclass(slots=True)
class _Text:
    """Text that is one entry once it is written."""

    line: int
    parts: list[str] = field(default_factory=list)
    size: int = 0
    lines: int = 0


@dataclass(slots=True)
class _Page:
    """One attempt's journal, as far as it is being written."""

    held: Held
    waiting: list[_Text | Output | LeftOut | Progress] = field(default_factory=list)
    size: int = 0
    """Of what waits, in bytes."""
    handle: asyncio.Handle | None = None
    """When it is written again, or may be."""
    next_line: int = 1
    head_lines: int = HEAD_LINES
    head_bytes: int = HEAD_BYTES
    tail: deque[_Text] = field(default_factory=deque)
    tail_lines: int = 0
    tail_bytes: int = 0
    outputs: int = MOST_OUTPUTS
    outputs_bytes: int = MOST_OUTPUTS_BYTES


class Journals:
    """Writes the journals of one API's workloads."""

    def __init__(self, api: str, store: Store, emit: Emit, *, listen: Callable[[bool], None]) -> None:
        """Begin with nothing to write.

        Args:
            api: its name, for people.
            store: takes what is written.
            emit: is told of what could not be.
            listen: called with False when more comes than the store takes, with True when it has caught up.
        """
        self._api = api
        self._store = store
        self._emit = emit
        self._listen = listen
        self._loop = asyncio.get_running_loop()
        self._pages: dict[int, _Page] = {}
        self._size = 0  # of all that is on its way
        self._crowded = False

    # ── What is said ────────────────────────────────────────────────────────────────────────────

    def said(self, claimed: Claimed, left_out: int, text: str) -> None:
        """It has printed text, after so many lines that nobody has passed on."""
        page = self._page(claimed.held)
        page.next_line += left_out
        last = page.waiting[-1] if page.waiting else None
        if not isinstance(last, _Text) or left_out or last.size >= _ENTRY_BYTES:
            last = _Text(page.next_line)
            page.waiting.append(last)
            if page.head_lines <= 0 or page.head_bytes <= 0:
                page.tail.append(last)
        size, lines = len(text.encode("utf-8", "replace")), text.count("\n")
        last.parts.append(text)
        last.size += size
        last.lines += lines
        page.next_line += lines
        if page.tail and page.tail[-1] is last:
            page.tail_lines += lines
            page.tail_bytes += size
        else:
            page.head_lines -= lines
            page.head_bytes -= size
        self._grow(page, size)

    def yielded(self, claimed: Claimed, index: int, value: bytes) -> None:
        """It has yielded a value, as JSON text."""
        page = self._page(claimed.held)
        kept = len(value) if len(value) <= MOST_OUTPUT_BYTES else 0
        if page.outputs <= 0 or page.outputs_bytes < kept:
            return
        page.outputs -= 1
        page.outputs_bytes -= kept
        output = Output(index=index, value=value)
        page.waiting.append(output if kept else LeftOut(index=index, output_bytes=len(value)))
        self._grow(page, kept)

    def note(self, held: Held, progress: Progress) -> None:
        """It has told how far it has come, and the store has not been told."""
        page = self._page(held)
        page.waiting.append(progress)
        self._grow(page, 0)

    def flush(self, held: Held) -> None:
        """Write what waits now: something comes that is to stand after it."""
        page = self._pages.get(held.seq)
        if page is not None and page.waiting:
            self._write(page)

    def close(self, claimed: Claimed) -> list[Entry]:
        """What is to be written with the attempt's end; it says nothing more."""
        page = self._pages.pop(claimed.held.seq, None)
        if page is None:
            return []
        if page.handle is not None:
            page.handle.cancel()
        self._shrink(page.size)
        return _entries(page)

    def abandon(self) -> None:
        """Write nothing more."""
        for page in self._pages.values():
            if page.handle is not None:
                page.handle.cancel()
        self._pages.clear()

    # ── What is written ─────────────────────────────────────────────────────────────────────────

    def _page(self, held: Held) -> _Page:
        page = self._pages.get(held.seq)
        if page is None:
            page = self._pages[held.seq] = _Page(held)
        return page

    def _grow(self, page: _Page, size: int) -> None:
        page.size += size
        self._size += size
        if page.handle is None:
            # At the loop's next turn: of one that is over by then, all goes with its outcome.
            page.handle = self._loop.call_soon(self._write, page)
        if self._size >= CROWDED_BYTES and not self._crowded:
            self._crowded = True
            self._listen(False)

    def _write(self, page: _Page) -> None:
        if page.handle is not None:
            page.handle.cancel()
            page.handle = None
        if not page.waiting:
            return
        size, page.size = page.size, 0
        drop, entries = _too_old(page), _entries(page)
        page.handle = self._loop.call_later(PAUSE_SECONDS, self._write, page)
        entered = asyncio.ensure_future(self._store.enter(page.held, entries, drop=drop))
        entered.add_done_callback(lambda done: self._entered(done, size))

    def _entered(self, done: asyncio.Future[None], size: int) -> None:
        self._shrink(size)
        error = None if done.cancelled() else done.exception()
        if error is None or isinstance(error, LeaseLost):
            return
        if not isinstance(error, RingbackError):
            raise error
        # The lines that are missing now are counted by those that follow.
        self._emit("store.fault", act=f"writing down what a workload of {self._api} says", error=error)

    def _shrink(self, size: int) -> None:
        self._size -= size
        if self._crowded and self._size <= CROWDED_BYTES // 4:
            self._crowded = False
            self._listen(True)


def _entries(page: _Page) -> list[Entry]:
    """What waits, as it is to stand in the journal; nothing waits any more."""
    waiting, page.waiting = page.waiting, []
    return [Said(line=each.line, text="".join(each.parts)) if isinstance(each, _Text) else each for each in waiting]


def _too_old(page: _Page) -> range | None:
    """The lines that the journal need not hold any longer, now that so many have come after them."""
    tail, first = page.tail, None
    while len(tail) > 1 and (
        page.tail_lines - tail[0].lines >= TAIL_LINES or page.tail_bytes - tail[0].size >= TAIL_BYTES
    ):
        oldest = tail.popleft()
        page.tail_lines -= oldest.lines
        page.tail_bytes -= oldest.size
        first = oldest.line if first is None else first
    return None if first is None else range(first, tail[0].line)
