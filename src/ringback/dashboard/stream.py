"""Pages kept fresh: one stream of server-sent events for the page that is open, with the regions that have changed.

An event's id says what the browser has now: a digest for each region. So whoever comes back, to this process or to the
next, says where it stands and gets what is different, and nothing has to be remembered for it here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import orjson

from ringback.core.errors import RingbackError
from ringback.pages.book import digest_of

LOOK_SECONDS: Final = 1.0
"""How often a page is looked at afresh."""

LONGEST_SECONDS: Final = 600.0
"""After that the browser asks again, and whether it may is judged again."""

MOST_STREAMS: Final = 200

_QUIET_LOOKS: Final = 15
_SEEN: Final = re.compile(r"(\w{1,40})~([0-9a-f]{1,64})")


def seen_of(text: str) -> dict[str, str]:
    """Which regions the browser has, from the id of the last event it got."""
    return dict(_SEEN.findall(text[:8_000]))


def id_of(digests: Mapping[str, str]) -> str:
    """An event's id."""
    return ".".join(f"{name}~{digest}" for name, digest in digests.items())


async def events(
    regions: Callable[[], Awaitable[Mapping[str, str]]], seen: Mapping[str, str], closing: asyncio.Event
) -> AsyncIterator[bytes]:
    """The stream's text.

    Args:
        regions: makes all regions of the page as it stands.
        seen: what the browser has.
        closing: set when the server is to end.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + LONGEST_SECONDS
    known = dict(seen)
    quiet = 0
    yield b"retry: 1000\n\n"
    while True:
        try:
            made = await regions()
        except RingbackError:
            return  # the browser asks again, and is told in full why it cannot be shown
        digests = {name: digest_of(html) for name, html in made.items()}
        changed = {name: made[name] for name, digest in digests.items() if known.get(name) != digest}
        known = digests
        quiet = 0 if changed else quiet + 1
        if changed:
            yield b"id: " + id_of(digests).encode() + b"\ndata: " + orjson.dumps(changed) + b"\n\n"
        elif quiet % _QUIET_LOOKS == 0:
            yield b": still here\n\n"
        if closing.is_set() or loop.time() >= until:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await closing.wait()
