"""A Ringback server in a thread of the test's own process, whose time is wound by hand.

Everything is real: the store on disk, replicas as processes, HTTP on loopback, webhooks. Only time can jump.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

from ringback.client import Client
from ringback.core.errors import RingbackError
from ringback.core.hosts import own_hosts
from ringback.core.settings import read_settings
from ringback.core.spec import Api, Endpoint
from ringback.runtime.facts import Facts
from ringback.runtime.house import House, Plan
from ringback.runtime.http import http_server, listen, url_of
from ringback.runtime.metrics import Metrics
from ringback.runtime.specfile import load
from ringback.testing.receiver import Received
from ringback.testing.time import WoundClock, WoundLoop

_START_SECONDS: Final = 60.0
_STILL_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.005
_GRACE_SECONDS: Final = 5.0
_FOR_EVER_SECONDS: Final = 100 * 365 * 86_400
"""Winding must not close the connections that the test itself holds."""


class Server:
    """Serves a file from `with` to its end, on a free port of loopback."""

    def __init__(
        self,
        file: Path | str,
        *,
        folder: Path,
        webhook: str | None = None,
        environment: Mapping[str, str] | None = None,
        ready_within: float = _START_SECONDS,
    ) -> None:
        """Read the file; nothing runs yet.

        Args:
            file: a `ringback.yaml`, a `cortex.yaml` or a predictor's Python file.
            folder: where the store is kept.
            webhook: rings here instead of at the URLs of the file, whose other settings stay.
            environment: what `${NAME}` in the file stands for; the process's own by default.
            ready_within: how long the replicas may take to load, in seconds.

        Raises:
            SpecError: the file cannot be served; the message has a line for each thing that is wrong.
        """
        self.clock = WoundClock()
        spec = load(Path(file), os.environ if environment is None else environment)
        self._apis = tuple(_ringing(api, webhook) for api in spec.apis)
        self._folder = folder
        self._environments = spec.environments
        self._ready_within = ready_within
        self._loop = WoundLoop(self.clock)
        self._stop = asyncio.Event()
        self._house: House | None = None
        self._up: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, name="ringback-server", daemon=True)
        self._client: Client | None = None

    # ── For the test ────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._up.result(0)

    @property
    def client(self) -> Client:
        """A client of this server."""
        if self._client is None:
            self._client = Client(self.url)
        return self._client

    def wind(self, seconds: float) -> None:
        """Let `seconds` pass: what was due in that time, a retry or a time-out, is due at once.

        Attempts under way are given a moment to be written down first, since the wait for the next one counts from
        their end. A workload that is running does not notice.
        """
        deadline = monotonic() + _STILL_SECONDS
        pause = threading.Event()
        while not self._is_still() and monotonic() < deadline:
            pause.wait(_LOOK_SECONDS)
        self.clock.wind(seconds)
        self._loop.call_soon_threadsafe(_nothing)  # has the loop look at its timers again

    def verified(self, received: Received) -> Any:
        """A webhook's body, parsed, its signature checked with the secrets of the file and the server's clock.

        Raises:
            VerificationError: it does not hold, or the file has no secret.
        """
        secrets = [hook.secret for api in self._apis for hook in api.webhooks if hook.secret is not None]
        return received.verified(" ".join(secrets), clock=self.clock)

    # ── From start to end ───────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.result(_START_SECONDS)
        self._wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            if self._up.done():
                raise
            self._up.set_exception(error)  # told where the server was asked for
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self) -> None:
        settings = read_settings({}, {})
        facts = Facts()
        with listen("127.0.0.1", 0) as listener:
            plan = Plan(
                apis=self._apis,
                store=self._folder / "ringback.db",
                environments=self._environments,
                blobs=str(self._folder / "blobs"),
                spool=self._folder / "spool",
                blob_threshold_bytes=settings.blob_threshold,
                file_threshold_bytes=settings.file_threshold,
                clock=self.clock,
                max_body_bytes=settings.max_body,
                api_keys=frozenset(),
                allow=frozenset({"127.0.0.1"}),
                public_url=url_of(listener),
                hosts=own_hosts("127.0.0.1", "", ()),
                grace_seconds=_GRACE_SECONDS,
            )
            house = await House.open(plan, facts, Metrics(facts))
            await house.start()
            http = http_server(house.app, keep_alive_seconds=_FOR_EVER_SECONDS)
            answering = asyncio.create_task(http.serve(sockets=[listener]))
            self._house = house
            self._up.set_result(url_of(listener))
            await house.live(self._stop)
            await house.drain()
            http.should_exit = True
            await answering
            await house.close()

    def _wait_until_ready(self) -> None:
        assert self._house is not None
        deadline = monotonic() + self._ready_within
        pause = threading.Event()
        for api in self._apis:
            while not (state := self._house.store.replicas(api.name)).takes_work:
                if state.problem is not None or monotonic() >= deadline:
                    self.__exit__()
                    reason = state.problem or f"still loading after {self._ready_within:g} s"
                    raise RingbackError(f"{api.name} does not start: {reason}")
                pause.wait(_LOOK_SECONDS)

    def _is_still(self) -> bool:
        return self._house is None or self._house.is_still


def _ringing(api: Api, webhook: str | None) -> Api:
    """The API, told to ring elsewhere."""
    if webhook is None:
        return api
    hooks = tuple(replace(hook, url=webhook) for hook in api.webhooks)
    return replace(api, webhooks=hooks or (Endpoint(key=api.name, url=webhook),))


def _nothing() -> None:
    pass
