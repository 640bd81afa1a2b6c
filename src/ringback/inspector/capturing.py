"""The one open door: whatever comes to an inbox's URL is read, kept, perhaps sent on, and answered by the script.

Asks for no key: who knows the URL may send. Never answers that an inbox is full.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from ringback.core.errors import UnknownInbox
from ringback.core.inbox import CAPTURE_PATH, Answered, Arrival, Forwarded, Taken, inbox_path
from ringback.core.script import Act
from ringback.inspector.answering import Answering, Caller
from ringback.inspector.forwarding import Forwarder, hops_of
from ringback.inspector.judging import inbox_id_of
from ringback.inspector.reading import SMALL_BYTES, Bounds, announced, arrival_of
from ringback.inspector.wire import Receive, Scope, Send, wire_of
from ringback.store.contract import Store

MOST_FORWARDS: Final = 1_000
"""Captures waiting to be sent on; one more is not, and says so."""
MOST_HOPS: Final = 1
"""A request that an inspector has sent on before is captured, and goes no further: two inboxes must not play ball."""


class Capturing:
    """Takes in requests."""

    def __init__(self, store: Store, forwarder: Forwarder, *, read_bytes: int) -> None:
        """Set it up.

        Args:
            store: where they are kept.
            forwarder: sends them on.
            read_bytes: the most of a body that is read at all.
        """
        self._store = store
        self._forwarder = forwarder
        self._read_bytes = read_bytes
        self._answering = Answering()
        self._forwarding: set[asyncio.Task[None]] = set()

    async def take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Capture one request and answer it.

        Raises:
            UnknownInbox: its path names none.
        """
        inbox_id = inbox_id_of(scope["path"])
        if inbox_id is None:
            raise UnknownInbox(f"{CAPTURE_PATH}/ is followed by the id of an inbox")
        wire = wire_of(scope)
        kept_bytes = SMALL_BYTES
        if not 0 <= announced(scope) <= SMALL_BYTES:  # else the store sees to the inbox's limit: one look at it less
            kept_bytes = (await self._store.inboxes.get(inbox_id)).settings.body_limit_bytes
        bounds = Bounds(kept_bytes=kept_bytes, read_bytes=self._read_bytes)
        arrival, body = await arrival_of(
            scope, receive, wire, path=inbox_path(inbox_id), bounds=bounds, clock=self._store.clock
        )
        taken = await self._store.inboxes.capture(inbox_id, arrival)

        async def forward() -> Forwarded | None:
            return await self._forward(inbox_id, taken, arrival)

        if taken.step.act is not Act.RELAY:
            self._forward_soon(inbox_id, taken, arrival)
        if not body.is_whole:
            left = Answered(act=taken.step.act, detail="the sender left before its body was whole")
            await self._store.inboxes.note_answer(inbox_id, taken.number, left)
            return
        caller = Caller(
            number=taken.number, receive=receive, send=send, wire=wire, forward=forward, must_close=not body.is_read
        )
        answered = await self._answering.play(taken.step, caller)
        if answered is not None:
            await self._store.inboxes.note_answer(inbox_id, taken.number, answered)

    def close_lines(self) -> None:
        """Let those go who are kept waiting, and keep nobody waiting any more."""
        self._answering.close()

    async def close(self) -> None:
        """Send nothing on any more."""
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    # ── Sending on ──────────────────────────────────────────────────────────────────────────────

    def _forward_soon(self, inbox_id: str, taken: Taken, arrival: Arrival) -> None:
        if taken.settings.forward_url is None:
            return

        async def forward() -> None:
            await self._forward(inbox_id, taken, arrival)

        task = asyncio.create_task(forward(), name="ringback-inspector-forward")
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _forward(self, inbox_id: str, taken: Taken, arrival: Arrival) -> Forwarded | None:
        """Send a capture to its inbox's forward URL, and write down what came of it."""
        url = taken.settings.forward_url
        if url is None:
            return None
        arrival = arrival.within(taken.settings.body_limit_bytes)
        order = self._forwarder.order(arrival, inbox_id, url, is_replay=False)
        refusal = self._refusal(arrival)
        if refusal is None:
            forwarded, body = await self._forwarder.send(order)
        else:
            now = self._store.clock.now()
            forwarded = Forwarded(url=order.url, started_at=now, duration_us=0, is_replay=False, error=refusal)
            body = b""
        await self._store.inboxes.note_forward(inbox_id, taken.number, forwarded)
        return replace(forwarded, body=body)

    def _refusal(self, arrival: Arrival) -> str | None:
        if arrival.is_cut:
            return "it is not sent on: only the beginning of its body was kept"
        if hops_of(arrival) >= MOST_HOPS:
            return "it is not sent on: an inspector had sent it here"
        if len(self._forwarding) > MOST_FORWARDS:
            return f"it is not sent on: {MOST_FORWARDS} are waiting already"
        return None


def is_capture(path: str) -> bool:
    """Whether a request's path is an inbox's."""
    return path == CAPTURE_PATH or path.startswith(f"{CAPTURE_PATH}/")
