"""`ringback serve`: bind, build the house, answer HTTP until told to stop, then drain.

The only module that knows signals.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from ringback.core.clock import Clock, SystemClock
from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.hosts import is_loopback, own_hosts
from ringback.core.inbox import PATH
from ringback.core.quantities import format_duration
from ringback.core.roles import Role
from ringback.core.settings import Settings
from ringback.core.spec import Api
from ringback.runtime import logs
from ringback.runtime.banner import banner, banner_of_others
from ringback.runtime.facts import Facts
from ringback.runtime.house import House, Plan
from ringback.runtime.http import http_server, listen, local_url_of, url_of
from ringback.runtime.metrics import Metrics
from ringback.runtime.reloading import Reloader
from ringback.runtime.specfile import SpecFile
from ringback.runtime.tuning import tune

Arranged = Callable[[Iterable[Api]], tuple[Api, ...]]
Tell = Callable[[Facts], object]


def serve(spec: SpecFile, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; a second signal gives back at once what runs, a third ends the process as it is.

    Returns:
        The process's exit status: 0 after an orderly end, 1 when it could not start or was cut short.
    """
    clock = SystemClock()
    logs.set_up(level=settings.log_level, as_json=settings.log_format == "json", clock=clock)
    plan = plan_of(spec, settings, clock)
    try:
        listener = listen(settings.host, settings.port)
        with listener:
            return uvloop.run(_run(spec, plan, listener))
    except RingbackError as error:
        sys.stderr.write(f"ringback: {error}\n")
        return 1


async def _run(spec: SpecFile, plan: Plan, listener: socket.socket) -> int:
    return await Server(spec, plan, listener).run()


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
        log_form=settings.log_format,
        engine=settings.engine,
    )


class Server:
    """One process: a listening socket that outlives the houses behind it."""

    def __init__(
        self, spec: SpecFile, plan: Plan, listener: socket.socket, *, arranged: Arranged = tuple, tell: Tell = logs.Logs
    ) -> None:
        """Begin with nothing open.

        Args:
            spec: the file.
            plan: what the house is built from, but for its APIs.
            listener: where it is asked.
            arranged: from the APIs as they stand in the file to those that are served.
            tell: is shown where to listen for what happens.
        """
        own_url, local_url = url_of(listener), local_url_of(listener)
        public_url = plan.public_url or local_url
        self._spec = spec
        self._local_url = local_url
        self._links_to = None if plan.public_url or is_loopback(listener.getsockname()[0]) else public_url
        self._plan = replace(plan, apis=arranged(spec.apis), public_url=public_url, own_url=own_url)
        self._listener = listener
        self._arranged = arranged
        self._facts = Facts()
        self._metrics = Metrics(self._facts)
        tell(self._facts)
        self._reloader = Reloader(spec, self._serve, self._facts)
        self._stop = asyncio.Event()
        self._house: House | None = None
        self._reloads: set[asyncio.Task[bool]] = set()

    async def run(self, *, pages: Mapping[str, str] | None = None, on_up: Callable[[], object] | None = None) -> int:
        """Serve until a signal says to stop; the process's exit status.

        Args:
            pages: the pages to name in the banner, by what they are called; by default those there are.
            on_up: is called once it answers.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up)
        house = await self._open()
        http = http_server(self, is_inspected=self._plan.has_inspector)
        answering = asyncio.create_task(http.serve(sockets=[self._listener]))
        self._greet(self._own_pages() if pages is None else pages)
        if on_up is not None:
            loop.call_soon(on_up)
        tune()
        while not self._stop.is_set():
            try:
                await house.live(self._stop)
            except LeaseLost as lost:
                self._facts("upkeep.failed", round="heartbeat", detail=f"{lost}; starting over")
                house = await self._open()
        await self._reloader.stop()  # an API that came now would be drained by nobody
        await house.drain()
        http.should_exit = True
        await answering
        await house.close()
        return int(house.has_hurried)

    @property
    def apis(self) -> Sequence[Api]:
        """What is served now."""
        return self._plan.apis

    async def reload(self, changed: Collection[Path] | None = None) -> bool:
        """As `Reloader.reload`; False, too, once it is to stop."""
        return not self._stop.is_set() and await self._reloader.reload(changed)

    def _greet(self, pages: Mapping[str, str]) -> None:
        spec, roles, url = replace(self._spec, apis=tuple(self._plan.apis)), self._plan.roles, self._local_url
        if Role.GATEWAY in roles:
            text = banner(spec, url, pages, wants_key=bool(self._plan.api_keys), links_to=self._links_to)
        else:
            text = banner_of_others(roles, spec, url)
        sys.stdout.write(text)
        sys.stdout.flush()

    def _own_pages(self) -> dict[str, str]:
        url = self._local_url
        return {"Dashboard": f"{url}/"} | ({"Inspector": f"{url}{PATH}"} if self._plan.has_inspector else {})

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        assert self._house is not None
        return self._house.app(scope, receive, send)

    async def _serve(self, apis: Sequence[Api], changed: Collection[Path] | None) -> None:
        assert self._house is not None
        await self._house.serve(self._arranged(apis), changed)
        self._plan = self._house.plan

    async def _open(self) -> House:
        self._house = house = await House.open(self._plan, self._facts, self._metrics)
        await house.start()
        return house

    def _on_hang_up(self) -> None:
        reload = asyncio.create_task(self.reload(), name="ringback-reload")
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)

    def _on_signal(self) -> None:
        if not self._stop.is_set():
            self._facts("server.stopping", grace=format_duration(self._plan.grace_seconds), once_more="stops at once")
            self._stop.set()
        elif self._house is None or not self._house.hurry():
            raise SystemExit(1)
