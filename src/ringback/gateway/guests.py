"""Webhooks that come with a submit: read from its headers, checked as text and against the guard before it is taken in.

This check is a courtesy that tells at once; the one that counts is made at the socket, at every connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ringback.core.errors import ForbiddenTarget, InvalidHeader
from ringback.core.netguard import Guard, Resolve, Trust
from ringback.core.spec import DEFAULT_EVENTS, Endpoint, Event, guest_endpoint
from ringback.core.urls import DEFAULT_PORTS, guest_url
from ringback.gateway.incoming import Scope

MOST: Final = 5
"""Webhooks one submit may bring."""

_URL: Final = b"ringback-webhook"
_EVENTS: Final = b"ringback-webhook-events"
_LOOK_UP_SECONDS: Final = 2.0


async def resolved(host: str, trust: Trust) -> Sequence[str]:  # noqa: ARG001 - whoever's it is
    """All addresses the system knows for a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeper:
    """Tells which URLs may come in: the same verdict that is given when something is sent."""

    guard: Guard = field(default_factory=Guard)
    resolve: Resolve = resolved

    async def admitted(self, text: str, *, named: str) -> str:
        """The URL in its one form, judged as it will be when something is sent there.

        Raises:
            ForbiddenTarget: it is none, or leads where no guest may send anything; the message begins with where it
                was `named`.
        """
        try:
            url = guest_url(text)
        except ForbiddenTarget as error:
            raise ForbiddenTarget(f"{named}: {error}") from None
        await self._judge(url, named)
        return url

    async def _judge(self, url: str, named: str) -> None:
        """By what the name resolves to now; a name server that does not answer in time decides nothing."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                addresses = await self.resolve(parts.hostname, Trust.GUEST)
        except (OSError, TimeoutError, UnicodeError):
            return
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        refusal = self.guard.refusal(Trust.GUEST, parts.hostname, port, addresses)
        if refusal is not None:
            raise ForbiddenTarget(f"{named}: {refusal}")


async def guests_of(scope: Scope, keeper: Doorkeeper) -> tuple[Endpoint, ...]:
    """The endpoints that `Ringback-Webhook` names, each once.

    Raises:
        InvalidHeader: they are too many, or ask for events that there are not, or there are events and no URL.
        ForbiddenTarget: one leads, or surely would lead, where no guest may send anything.
    """
    texts = [value.decode("latin-1").strip() for name, value in scope["headers"] if name == _URL]
    asked = [value.decode("latin-1") for name, value in scope["headers"] if name == _EVENTS]
    events = _events(asked)
    if not texts and asked:
        raise InvalidHeader(
            "Ringback-Webhook-Events says what the URL in Ringback-Webhook is told of, and there is none; "
            "send both, or leave it out"
        )
    if len(texts) > MOST:
        raise InvalidHeader(f"Ringback-Webhook came {len(texts)} times; at most {MOST} are taken")
    urls = [await keeper.admitted(text, named="Ringback-Webhook") for text in texts]
    return tuple(guest_endpoint(url, events) for url in dict.fromkeys(urls))


def _events(values: list[str]) -> frozenset[Event]:
    words = [word.strip() for value in values for word in value.split(",") if word.strip()]
    if not words:
        return DEFAULT_EVENTS
    for word in words:
        if word not in set(Event):
            known = ", ".join(Event)
            raise InvalidHeader(f"Ringback-Webhook-Events: {word[:40]!r} is none of {known}")
    return frozenset(Event(word) for word in words)
