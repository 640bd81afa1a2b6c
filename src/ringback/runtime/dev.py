"""`ringback dev`: serve, ring an inbox of the inspector where the file rings nobody, and take up every save.

A file that has become wrong is told, and what was served before goes on; the same for a predictor that does not load.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import uvloop

from ringback.core.clock import SystemClock
from ringback.core.emit import silent
from ringback.core.errors import RingbackError
from ringback.core.inbox import PATH, Inbox, InboxSettings
from ringback.core.keys import new_secret
from ringback.core.roles import EVERY_ROLE
from ringback.core.settings import Settings
from ringback.core.spec import OUTCOMES, Api, Endpoint
from ringback.runtime import logs
from ringback.runtime.house import Plan
from ringback.runtime.http import listen, local_url_of
from ringback.runtime.serve import Server, plan_of
from ringback.runtime.specfile import SpecFile
from ringback.runtime.stores import open_store
from ringback.runtime.terminal import Terminal, say
from ringback.runtime.watching import Watch
from ringback.store.contract import Part

INBOX_NAME: Final = "ringback dev"

_GRACE_SECONDS: Final = 1.0
"""What runs at the end is given so long; then it is given back, and runs again at the next start."""
_ID_BYTES: Final = 16
_NAMED: Final = 3


def dev(spec: SpecFile, settings: Settings, *, on_up: Callable[[str], object]) -> int:
    """Serve until told to stop.

    Args:
        spec: what the file says now.
        settings: as for `serve`; the inspector is on.
        on_up: called with the server's URL once it answers.

    Returns:
        The process's exit status.
    """
    clock = SystemClock()
    logs.set_up(level="warning", as_json=False, clock=clock)
    settings = replace(settings, inspector="on", roles=EVERY_ROLE, grace=min(settings.grace, _GRACE_SECONDS))
    try:
        with listen(settings.host, settings.port) as listener:
            plan = replace(plan_of(spec, settings, clock), log_form="short")
            return uvloop.run(_dev(spec, plan, listener, on_up))
    except RingbackError as error:
        sys.stderr.write(f"ringback: {error}\n")
        return 1


async def _dev(spec: SpecFile, plan: Plan, listener: socket.socket, on_up: Callable[[str], object]) -> int:
    url, inbox = local_url_of(listener), await _inbox_of(plan)
    ringing = _ringing(f"{url}{inbox.path}", inbox.settings.secrets[0])
    server = Server(spec, plan, listener, arranged=ringing, tell=Terminal)
    watch = Watch(spec.file)
    watch.follow(spec.apis)
    is_up = asyncio.Event()
    keeping_up = asyncio.create_task(_keep_up(server, watch, is_up), name="ringback-watch")

    def up() -> None:
        is_up.set()
        on_up(url)

    try:
        return await server.run(pages={"Dashboard": f"{url}/", "Webhooks": f"{url}{PATH}/{inbox.id}"}, on_up=up)
    finally:
        keeping_up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping_up


async def _keep_up(server: Server, watch: Watch, is_up: asyncio.Event) -> None:
    """Take up what is saved, for as long as the server serves."""
    await is_up.wait()
    while True:
        changed = await watch.changed()
        if await server.reload(changed):
            say(f"{_in_words(changed)} taken up")
            watch.follow(server.apis)
        else:
            say("the file is wrong; what was served before goes on")


def _in_words(files: Collection[Path]) -> str:
    names = sorted(file.name for file in files)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _ringing(url: str, secret: str) -> Callable[[Iterable[Api]], tuple[Api, ...]]:
    """APIs as they are served here: those that ring nobody ring this URL."""

    def arranged(apis: Iterable[Api]) -> tuple[Api, ...]:
        return tuple(
            api
            if api.webhooks
            else replace(api, webhooks=(Endpoint(key=api.name, url=url, secret=secret, events=OUTCOMES),))
            for api in apis
        )

    return arranged


async def _inbox_of(plan: Plan) -> Inbox:
    """The inbox of `ringback dev` in this store, with a secret of its own; the same one every time."""
    store = await open_store(
        plan.store,
        clock=plan.clock,
        emit=silent,
        lease_seconds=plan.lease_seconds,
        part=Part(roles=frozenset()),
    )
    try:
        settings = InboxSettings(secrets=(new_secret(),))
        return await store.inboxes.make(secrets.token_urlsafe(_ID_BYTES), INBOX_NAME, settings)
    finally:
        await store.close()
