"""What a pool tells the store about workloads it holds, told again until it lands or nobody wants to hear it.

An outcome is never dropped while the process lives, unless another member has taken the workload over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import CancelAsked, LeaseLost, RingbackError
from ringback.core.retry import doubling_wait
from ringback.core.spec import Api
from ringback.core.workload import Canceled, Claimed, Failed, Outcome, Spent, Status
from ringback.store.contract import Store
from ringback.work.files import Landing
from ringback.work.journals import Journals

_RETRY_SECONDS: Final = 0.05
_RETRY_MOST_SECONDS: Final = 5.0

Say = Callable[[], Awaitable[Status | None]]
Landed = Callable[[Status | None], None]


class Endings:
    """Finishes and requeues for one API."""

    def __init__(self, api: Api, store: Store, emit: Emit, journals: Journals) -> None:
        """Begin with nothing to say; `journals` knows the last words of each attempt."""
        self._api = api
        self._journals = journals
        self._store = store
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._all_said = asyncio.Event()
        self._all_said.set()
        self._stopped = False

    def serve(self, api: Api) -> None:
        """Tell the endpoints of `api` from now on."""
        self._api = api

    def finish(self, claimed: Claimed, outcome: Outcome, run_us: int | None) -> None:
        """End the workload."""
        entries = self._journals.close(claimed)
        self._say(
            lambda: self._store.finish(claimed.held, outcome, self._api.webhooks, entries=entries),
            lambda status: self._finished(claimed, status, run_us, outcome),
        )

    def land(self, claimed: Claimed, landing: Landing, run_us: int | None) -> None:
        """End a workload whose result is in a file."""
        entries = self._journals.close(claimed)

        def finish(outcome: Outcome) -> Awaitable[Status]:
            return self._store.finish(claimed.held, outcome, self._api.webhooks, entries=entries)

        self._say(lambda: landing.land(finish), lambda status: self._finished(claimed, status, run_us))

    def requeue(self, claimed: Claimed, spent: Spent, *, why: Failed | None = None, delay_seconds: float = 0.0) -> None:
        """Put the workload back, or end it if somebody wants that; without a `why` it had not begun."""

        held, entries = claimed.held, self._journals.close(claimed)

        async def say() -> Status | None:
            try:
                await self._store.requeue(held, spent=spent, delay_seconds=delay_seconds, why=why, entries=entries)
            except CancelAsked:
                return await self._store.finish(held, Canceled(), self._api.webhooks, entries=entries)
            return None

        def landed(status: Status | None) -> None:
            if status is None:
                self._emit("workload.requeued", api=self._api.name, spent=spent.value)
            else:
                self._finished(claimed, status, None)

        self._say(say, landed)

    async def all_said(self, timeout_seconds: float) -> bool:
        """Wait until the store has heard everything; False when time is up first."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._all_said.wait()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Say nothing more."""
        self._stopped = True

    def _finished(
        self, claimed: Claimed, status: Status | None, run_us: int | None, outcome: Outcome | None = None
    ) -> None:
        assert status is not None
        error = f"{outcome.type}: {outcome.message}" if isinstance(outcome, Failed) else None
        self._emit(
            "workload.finished",
            api=self._api.name,
            workload=claimed.held.id,
            status=status.value,
            run_us=run_us,
            error=error,
        )

    def _say(self, say: Say, landed: Landed) -> None:
        self._under_way += 1
        self._all_said.clear()
        self._try(say, landed, 0)

    def _try(self, say: Say, landed: Landed, failures: int) -> None:
        if self._stopped:
            return
        said = asyncio.ensure_future(say())
        said.add_done_callback(lambda done: self._heard(done, say, landed, failures))

    def _heard(self, done: asyncio.Future[Status | None], say: Say, landed: Landed, failures: int) -> None:
        error = None if done.cancelled() else done.exception()
        if error is None:
            landed(None if done.cancelled() else done.result())
        elif not isinstance(error, LeaseLost):
            if not isinstance(error, RingbackError):
                raise error
            if failures == 0:
                self._emit("store.fault", act=f"writing down an outcome of {self._api.name}", error=error)
            wait = doubling_wait(_RETRY_SECONDS, _RETRY_MOST_SECONDS, failures + 1, 0.0)
            self._loop.call_later(wait, self._try, say, landed, failures + 1)
            return
        self._under_way -= 1
        if self._under_way == 0:
            self._all_said.set()
