"""What is done to a workload after its submit: cancel, retry, erase. Answered at once; no receiver is waited for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import orjson

from ringback.core.emit import Emit
from ringback.core.errors import MethodNotAllowed, RingbackError
from ringback.core.spec import Api
from ringback.core.workload import Status
from ringback.gateway import incoming
from ringback.gateway.answers import Answer, json_answer
from ringback.gateway.incoming import Scope
from ringback.store.blobs import Large, remove_doomed
from ringback.store.contract import Store

_NOTHING: frozenset[str] = frozenset()


class Lives:
    """`POST /{api}/{id}/cancel`, `POST /{api}/{id}/retry` and `DELETE /{api}/{id}` over one store."""

    def __init__(self, store: Store, emit: Emit, limit_of: Callable[[Api], int], large: Large | None) -> None:
        """Answer over `store`.

        Args:
            store: does it.
            emit: is told of what has ended here.
            limit_of: how many unfinished workloads an API may hold.
            large: where blobs are.
        """
        self._store = store
        self._emit = emit
        self._limit_of = limit_of
        self._large = large

    async def cancel(self, api: Api, workload_id: str, scope: Scope) -> Answer:
        _must_be_posted(scope)
        asked = await self._store.cancel(api.name, workload_id, api.webhooks)
        if asked.changed and asked.status is Status.CANCELED:
            self._emit("workload.finished", api=api.name, workload=workload_id, status=asked.status.value, run_us=None)
        return _standing(workload_id, asked.status)

    async def retry(self, api: Api, workload_id: str, scope: Scope) -> Answer:
        _must_be_posted(scope)
        asked = await self._store.retry(api.name, workload_id, limit=self._limit_of(api))
        if asked.changed:
            self._emit("workload.retried", api=api.name)
        return _standing(workload_id, asked.status)

    async def erase(self, api: Api, workload_id: str, scope: Scope) -> Answer:
        incoming.parameters_of(scope, _NOTHING)
        await self._store.erase(api.name, workload_id)
        if self._large is not None:
            with contextlib.suppress(RingbackError):  # what cannot be removed now, upkeep will
                await remove_doomed(self._store, self._large.blobs)
        return json_answer(orjson.dumps({"id": workload_id, "erased": True}))


def _must_be_posted(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['path']} takes POST", allowed=("POST",))
    incoming.parameters_of(scope, _NOTHING)


def _standing(workload_id: str, status: Status) -> Answer:
    return json_answer(orjson.dumps({"id": workload_id, "status": status.value}))
