"""What happens in an inbox as server-sent events, from any point on: each capture once, and once for each change.

An event's id is the inbox's change number, so a reader that comes back after sleep or a restart says where it was
(`Last-Event-ID`) and misses nothing that is still kept, nor gets anything twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ringback.core.errors import RingbackError, Unavailable, UnknownInbox
from ringback.core.inbox import Capture, Inbox
from ringback.pages.book import digest_of
from ringback.store.contract import Store

MOST_STREAMS: Final = 100

_ROOM: Final = 500
_LOOK_SECONDS: Final = 1.0
_PING_SECONDS: Final = 15.0
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}

Told = Callable[[Inbox, Sequence[Capture]], Awaitable[bytes]]
"""Captures as events of a stream."""


def event(name: str, data: Any, *, id: int | None = None) -> bytes:  # noqa: A002 - the field's name
    """One event of a stream, its data as JSON in one line."""
    head = b"" if id is None else b"id: %d\n" % id
    return head + b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))


@dataclass(slots=True, kw_only=True)
class Streaming:
    """The streams that are being read. `close` ends them all."""

    store: Store
    open: int = 0
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self) -> None:
        self._closing.set()

    def refuse_if_full(self) -> None:
        """See that one more may be read.

        Raises:
            Unavailable: as many are open as may be.
        """
        if self.open >= MOST_STREAMS:
            raise Unavailable(f"{self.open} streams of inboxes are open already; close some", retry_after_seconds=5)

    async def of(self, inbox_id: str, after: int, told: Told, pause_seconds: float) -> AsyncIterator[bytes]:
        """The inbox's changes after the change number `after`, until the inbox is dropped or the server stops.

        Args:
            inbox_id: whose.
            after: a change number.
            told: writes them down.
            pause_seconds: after each piece of news, so that what comes meanwhile is sent together.
        """
        inboxes = self.store.inboxes
        bell = asyncio.Event()
        inboxes.on_change(inbox_id, bell.set)
        self.open += 1
        try:
            yield b"retry: 1000\n\n"
            seen = -1
            after = await self._known(inbox_id, after)
            while not self._closing.is_set():
                bell.clear()
                found = await inboxes.since(inbox_id, after, _ROOM)
                inbox = await inboxes.get(inbox_id)
                if found:
                    yield await told(inbox, found)
                    after = found[-1].change
                if inbox.change != seen:
                    seen = inbox.change
                    yield event("inbox", _counts(inbox))
                if found:
                    await asyncio.sleep(pause_seconds)
                if not (bell.is_set() or len(found) == _ROOM or await self._next(bell)):
                    yield b": still here\n\n"
        except UnknownInbox:
            yield event("gone", {"inbox": inbox_id})
        except RingbackError:
            return  # the reader comes again and goes on where it was, or is told in full what is wrong
        finally:
            self.open -= 1
            inboxes.off_change(inbox_id, bell.set)

    async def regions(self, made: Callable[[], Awaitable[Mapping[str, str]]], seen: str) -> AsyncIterator[bytes]:
        """The regions of a page, each whenever it looks different, until the server stops.

        Args:
            made: makes them as they are now.
            seen: the id of the last event the page has had: a digest for each region.
        """
        known = dict(each.split(":") for each in seen.split(",") if each.count(":") == 1)
        self.open += 1
        try:
            while not self._closing.is_set():
                try:
                    now = await made()
                except RingbackError:
                    return  # as above
                digests = {name: digest_of(html) for name, html in now.items()}
                news = {name: html for name, html in now.items() if digests[name] != known.get(name)}
                known = digests
                told = ",".join(f"{name}:{digest}" for name, digest in digests.items())
                yield b"id: %b\ndata: %b\n\n" % (told.encode(), orjson.dumps(news)) if news else b":\n\n"
                await asyncio.wait([closing := asyncio.ensure_future(self._closing.wait())], timeout=_LOOK_SECONDS)
                closing.cancel()
        finally:
            self.open -= 1

    async def news(self, inbox_id: str, after: int, seconds: float) -> Sequence[Capture]:
        """The changes after the change number `after`, as soon as there are any; none when time is up."""
        inboxes = self.store.inboxes
        bell = asyncio.Event()
        inboxes.on_change(inbox_id, bell.set)
        try:
            after = await self._known(inbox_id, after)
            async with asyncio.timeout(seconds):
                while not (found := await inboxes.since(inbox_id, after, _ROOM)):
                    if not await self._next(bell) and self._closing.is_set():
                        return ()
                    bell.clear()
                return found
        except TimeoutError:
            return ()
        finally:
            inboxes.off_change(inbox_id, bell.set)

    async def _known(self, inbox_id: str, after: int) -> int:
        """Where to begin: a change that the inbox has not come to yet is from one that had its id before."""
        return after if after <= (await self.store.inboxes.get(inbox_id)).change else 0

    async def _next(self, bell: asyncio.Event) -> bool:
        """Wait for news; False when none came for a while."""
        waits = [asyncio.ensure_future(each.wait()) for each in (bell, self._closing)]
        try:
            done, _ = await asyncio.wait(waits, timeout=_PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return bool(done)


def _counts(inbox: Inbox) -> dict[str, int]:
    return {
        "captured": inbox.captured,
        "kept": inbox.captured - inbox.dropped,
        "dropped": inbox.dropped,
        "kept_bytes": inbox.kept_bytes,
        "change": inbox.change,
    }
