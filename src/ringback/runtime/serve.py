"""`ringback serve`: bind, build the house, answer HTTP until told to stop, then drain.

The only module that knows signals.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import uvloop

from ringback.core.clock import Clock, SystemClock
from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.hosts import own_hosts
from ringback.core.roles import Role
from ringback.core.settings import Settings
from ringback.core.spec import Api
from ringback.runtime import logs
from ringback.runtime.banner import banner, banner_of_others
from ringback.runtime.facts import Facts
from ringback.runtime.house import House, Plan
from ringback.runtime.http import http_server, listen, url_of
from ringback.runtime.metrics import Metrics
from ringback.runtime.reloading import Reloader
from ringback.runtime.specfile import SpecFile

_GC_THRESHOLD: Final = 5_000
"""New objects between two looks at the youngest: workloads in flight are no garbage, and were looked at often."""


def serve(spec: SpecFile, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; a second signal stops at once.

    Returns:
        The process's exit status: 0 after an orderly end, 1 when it could not start.
    """
    clock = SystemClock()
    logs.set_up(level=settings.log_level, as_json=settings.log_format == "json", clock=clock)
    plan = plan_of(spec, settings, clock)
    try:
        listener = listen(settings.host, settings.port)
        with listener:
            return uvloop.run(Server(plan, listener).run(spec))
    except RingbackError as error:
        sys.stderr.write(f"ringback: {error}\n")
        return 1


def plan_of(spec: SpecFile, settings: Settings, clock: Clock) -> Plan:
    """What a house is built from, as the file and the settings say."""
    return Plan(
        apis=spec.apis,
        store=settings.store_place(spec.folder),
        environments=spec.environments,
        blobs=settings.blobs_place(spec.folder),
        spool=settings.spool_folder(spec.folder),
        blob_threshold_bytes=settings.blob_threshold,
        file_threshold_bytes=settings.file_threshold,
        clock=clock,
        max_body_bytes=settings.max_body,
        api_keys=settings.api_keys,
        allow=settings.allow,
        public_url=settings.public_url,
        has_inspector=settings.has_inspector,
        hosts=own_hosts(settings.host, settings.public_url, settings.trusted_hosts),
        grace_seconds=settings.grace,
        lease_seconds=settings.lease,
        roles=settings.roles,
        logs_as_json=settings.log_format == "json",
        engine=settings.engine,
    )


class Server:
    """One process: a listening socket that outlives the houses behind it."""

    def __init__(self, plan: Plan, listener: socket.socket) -> None:
        own_url = url_of(listener)
        self._plan = replace(plan, public_url=plan.public_url or own_url, own_url=own_url)
        self._listener = listener
        self._facts = Facts()
        self._metrics = Metrics(self._facts)
        logs.Logs(self._facts)
        self._stop = asyncio.Event()
        self._turn = asyncio.Event()
        self._next: Sequence[Api] | None = None
        self._house: House | None = None
        self._reloads: set[asyncio.Task[bool]] = set()

    async def run(self, spec: SpecFile) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        reloader = Reloader(spec, self._serve, self._facts)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up, reloader)
        house = await self._open()
        http = http_server(self, is_inspected=self._plan.has_inspector)
        answering = asyncio.create_task(http.serve(sockets=[self._listener]))
        sys.stdout.write(self._banner(spec))
        sys.stdout.flush()
        gc.set_threshold(_GC_THRESHOLD)
        gc.freeze()  # what is loaded by now stays; collections need not look at it again
        while not self._stop.is_set():
            try:
                await house.live(self._turn)
            except LeaseLost as lost:
                self._facts("upkeep.failed", round="heartbeat", detail=f"{lost}; starting over")
                house = await self._open()
            if self._next is not None and not self._stop.is_set():
                house = await self._move(house, self._next)
        await house.drain()
        http.should_exit = True
        await answering
        await house.close()
        return 0

    def rebuild(self, apis: Sequence[Api]) -> None:
        """Serve these from now on. What runs is given the grace period, then back, and runs again in the new house."""
        self._next = apis
        self._turn.set()

    @property
    def facts(self) -> Facts:
        """What happens here."""
        return self._facts

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self._listener)

    def _banner(self, spec: SpecFile) -> str:
        if Role.GATEWAY not in self._plan.roles:
            return banner_of_others(self._plan.roles, spec, self.url)
        return banner(spec, self.url, wants_key=bool(self._plan.api_keys))

    async def _move(self, house: House, apis: Sequence[Api]) -> House:
        self._next = None
        self._turn.clear()
        await house.drain()
        await house.close()
        self._plan = replace(self._plan, apis=apis)
        return await self._open()

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        assert self._house is not None
        return self._house.app(scope, receive, send)

    async def _serve(self, apis: Sequence[Api]) -> None:
        assert self._house is not None
        await self._house.serve(apis)
        self._plan = self._house.plan

    async def _open(self) -> House:
        self._house = house = await House.open(self._plan, self._facts, self._metrics)
        await house.start()
        return house

    def _on_hang_up(self, reloader: Reloader) -> None:
        if not self._stop.is_set():
            reload = asyncio.create_task(reloader.reload(), name="ringback-reload")
            self._reloads.add(reload)
            reload.add_done_callback(self._reloads.discard)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            raise SystemExit(1)
        self._stop.set()
        self._turn.set()
