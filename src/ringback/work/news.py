"""What happens to a workload on its way, told to the store when somebody asked for it; never at the end's expense.

An outcome is said again until the store has heard it; news are not: what the store cannot take now is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.spec import OUTCOMES, Api, Event
from ringback.core.workload import Claimed, Output, Started
from ringback.store.contract import Store

MOST_UNDER_WAY: Final = 256
"""News on their way to the store before replicas are listened to no longer."""


class News:
    """Starts and outputs of one API's workloads."""

    def __init__(self, api: Api, store: Store, emit: Emit, *, listen: Callable[[bool], None]) -> None:
        """Begin with nothing to tell.

        Args:
            api: whose endpoints are told.
            store: takes what is told.
            emit: is told of what could not be.
            listen: called with False when more comes than the store takes, with True when it has caught up.
        """
        self._store = store
        self._emit = emit
        self._listen = listen
        self._under_way = 0
        self._crowded = False
        self.serve(api)

    def serve(self, api: Api) -> None:
        """Tell the endpoints of `api` from now on."""
        self._api = api
        self._asked: frozenset[Event] = frozenset().union(*(hook.events for hook in api.webhooks)) - OUTCOMES

    def wanted(self, claimed: Claimed, event: Event) -> bool:
        """Whether anybody asked to be told of such an event of this workload."""
        return event in self._asked or event in claimed.asked or event in self._store.asked(self._api.name)

    def started(self, claimed: Claimed) -> None:
        """A replica has begun with it."""
        if self.wanted(claimed, Event.STARTED):
            self._tell(claimed, Started())

    def output(self, claimed: Claimed, index: int, value: bytes) -> None:
        """It has yielded a value, as JSON text."""
        if self.wanted(claimed, Event.OUTPUT):
            self._tell(claimed, Output(index=index, value=value))

    def _tell(self, claimed: Claimed, news: Started | Output) -> None:
        self._under_way += 1
        told = asyncio.ensure_future(self._store.announce(claimed.held, news, self._api.webhooks))
        told.add_done_callback(self._heard)
        if self._under_way >= MOST_UNDER_WAY and not self._crowded:
            self._crowded = True
            self._listen(False)

    def _heard(self, done: asyncio.Future[None]) -> None:
        self._under_way -= 1
        if self._crowded and self._under_way <= MOST_UNDER_WAY // 4:
            self._crowded = False
            self._listen(True)
        error = None if done.cancelled() else done.exception()
        if error is None or isinstance(error, LeaseLost):
            return
        if not isinstance(error, RingbackError):
            raise error
        self._emit("store.fault", act=f"telling what happens to a workload of {self._api.name}", error=error)
