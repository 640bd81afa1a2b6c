"""`ringback dev`: serve, ring an inbox of the inspector where the file rings nobody, and start over at every save.

A file that has become wrong is told, and what was served before goes on; so is a predictor that does not load.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import uvloop

from ringback.core.clock import SystemClock, isoformat
from ringback.core.emit import silent
from ringback.core.errors import RingbackError, SpecError
from ringback.core.inbox import Inbox, InboxSettings
from ringback.core.keys import new_secret
from ringback.core.settings import Settings
from ringback.core.spec import OUTCOMES, Api, Endpoint
from ringback.runtime import logs
from ringback.runtime.house import Plan
from ringback.runtime.http import listen, url_of
from ringback.runtime.serve import Server, plan_of
from ringback.runtime.specfile import SpecFile, load
from ringback.runtime.stores import open_store
from ringback.runtime.watching import Watch
from ringback.store.contract import Part

INBOX_NAME: Final = "ringback dev"

_GRACE_SECONDS: Final = 1.0
"""What runs at a save is given so long; then it runs again, under the new code."""
_ID_BYTES: Final = 16


def dev(spec: SpecFile, settings: Settings, environment: Mapping[str, str], *, on_up: Callable[[str], None]) -> int:
    """Serve until told to stop.

    Args:
        spec: what the file says now.
        settings: as for `serve`; the inspector is on.
        environment: what `${NAME}` in the file stands for.
        on_up: called with the server's URL once it answers.

    Returns:
        The process's exit status.
    """
    clock = SystemClock()
    logs.set_up(level="warning", as_json=False, clock=clock)
    settings = replace(settings, inspector="on", grace=min(settings.grace, _GRACE_SECONDS))
    try:
        with listen(settings.host, settings.port) as listener:
            plan = plan_of(spec, settings, clock)
            return uvloop.run(_Dev(spec.file, environment, on_up).run(spec, plan, listener))
    except RingbackError as error:
        sys.stderr.write(f"ringback: {error}\n")
        return 1


class _Dev:
    """One server, and the watch on what it is made of."""

    def __init__(self, file: Path, environment: Mapping[str, str], on_up: Callable[[str], None]) -> None:
        self._file = file
        self._environment = environment
        self._on_up = on_up
        self._watch = Watch(file)
        self._inbox: Inbox | None = None
        self._url = ""

    async def run(self, spec: SpecFile, plan: Plan, listener: socket.socket) -> int:
        self._url = url_of(listener)
        self._inbox = await _inbox_of(plan)
        apis = self._rung(spec.apis)
        server = Server(replace(plan, apis=apis), listener)
        _tell(server)
        self._watch.follow(spec.apis)
        watching = asyncio.create_task(self._keep_up(server))
        asyncio.get_running_loop().call_later(0.0, self._on_up, self._url)
        try:
            return await server.run(replace(spec, apis=apis))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _keep_up(self, server: Server) -> None:
        while True:
            await self._watch.changed()
            try:
                spec = load(self._file, self._environment)
            except SpecError as error:
                _say(f"{error}\n          the file is wrong; what was served before goes on")
                continue
            self._watch.follow(spec.apis)
            server.rebuild(self._rung(spec.apis))
            _say(f"reloaded {self._file.name}")

    def _rung(self, apis: Sequence[Api]) -> tuple[Api, ...]:
        """The APIs, those that ring nobody ringing the inbox."""
        assert self._inbox is not None
        inbox, settings = self._inbox, self._inbox.settings
        return tuple(
            api
            if api.webhooks
            else replace(
                api,
                webhooks=(
                    Endpoint(key=api.name, url=f"{self._url}{inbox.path}", secret=settings.secrets[0], events=OUTCOMES),
                ),
            )
            for api in apis
        )


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


# ── What the terminal shows ─────────────────────────────────────────────────────────────────────


def _tell(server: Server) -> None:
    """One line for each workload and each webhook, as it happens."""

    def on_finished(*, api: str, status: str, run_us: int = 0, **_: object) -> None:
        _say(f"{api:20} {status:10} after {run_us / 1e6:.3g} s")

    def on_attempted(
        *, endpoint: str, outcome: str, status: int | None = None, duration_us: int = 0, **_: object
    ) -> None:
        answer = str(status) if status is not None else outcome
        _say(f"{'webhook to ' + endpoint:20} {answer:10} in {duration_us / 1e3:.3g} ms")

    told: dict[str, str] = {}

    def on_broken(*, api: str, reason: str, **_: object) -> None:
        if told.get(api) != reason:  # it is tried again and again, and says the same each time
            _say(f"{api:20} does not load: {reason}; save it again when it is mended")
        told[api] = reason

    def on_ready(*, api: str, **_: object) -> None:
        told.pop(api, None)
        _say(f"{api:20} ready")

    server.facts.listen("workload.finished", on_finished)
    server.facts.listen("delivery.attempted", on_attempted)
    server.facts.listen("replica.broken", on_broken)
    server.facts.listen("replica.ready", on_ready)


def _say(line: str) -> None:
    sys.stdout.write(f"{isoformat(SystemClock().now())[11:19]}  {line}\n")
    sys.stdout.flush()
