"""Submit and poll: the hot routes, bare ASGI, so that the framework's cost is not every workload's.

A store verb is the use case; here it is only spelled in HTTP.
"""

from __future__ import annotations

import asyncio

import orjson

from ringback.core.batch import LINE_CONTENT_TYPE
from ringback.core.blob import Blob
from ringback.core.emit import Emit
from ringback.core.errors import ApiNotReady, IdTaken, InvalidHeader, RingbackError, ShuttingDown
from ringback.core.quantities import format_duration
from ringback.core.spec import Api, Endpoint
from ringback.core.workload import Status, Submission, Workload, check_id
from ringback.gateway import answers, incoming, intake
from ringback.gateway.answers import Answer, json_answer
from ringback.gateway.bodies import Bodies
from ringback.gateway.guests import Doorkeeper, guests_of
from ringback.gateway.incoming import Receive, Scope
from ringback.gateway.intake import Intake
from ringback.gateway.results import Results
from ringback.gateway.wishes import wish_of
from ringback.store.contract import MARKER_SECONDS, Accepted, Store

_WAIT_ALONE = frozenset({"wait"})
_NOT_READY_RETRY_SECONDS = 5
_POSITION_MOST = 100
"""How far a poll looks down the line: `/-/workloads/{id}` looks further."""


class DataPlane:
    """`POST /{api}`, `PUT /{api}/{id}` and `GET /{api}/{id}` over one store."""

    def __init__(self, store: Store, emit: Emit, *, bodies: Bodies, results: Results, keeper: Doorkeeper) -> None:
        self._store = store
        self._emit = emit
        self._bodies = bodies
        self._results = results
        self._keeper = keeper
        self._draining = asyncio.Event()
        self._intake = Intake(store.batches, emit, self._draining)

    def close_to_new(self) -> None:
        """Take nothing in from now on, and answer those who wait with what is known."""
        self._draining.set()

    async def submit(self, api: Api, workload_id: str | None, scope: Scope, receive: Receive) -> Answer:
        headers = incoming.headers_of(scope)
        try:
            if "ringback-batch" in headers and intake.is_wanted(headers):
                return await self._batch(api, workload_id, scope, headers, receive)
            submission = await self._submission(api, workload_id, scope, headers, receive)
            wait = incoming.preferred_wait(headers) if "prefer" in headers else None
            if submission.blob is None:
                accepted = await self._store.submit(submission, limit=self.checked_limit(api))
            else:
                accepted = await self._submitted(submission, submission.blob, self.checked_limit(api))
        except RingbackError as error:
            self._emit("workload.refused", api=api.name, code=error.code)
            if isinstance(error, IdTaken):
                raise _and_for_how_long(error, api) from None
            raise
        if accepted.created:
            self._emit("workload.submitted", api=api.name, payload_bytes=_size_of(submission))
        location = (b"location", f"/{api.endpoint}/{accepted.id}".encode())
        if wait is None:
            return json_answer(b'{"id":' + orjson.dumps(accepted.id) + b"}", location)
        workload = await self._ended(api, accepted.id, wait, receive)
        return json_answer(self._state(workload), location, (b"preference-applied", b"wait=%d" % int(wait)))

    async def poll(self, api: Api, workload_id: str, scope: Scope, receive: Receive) -> Answer:
        query = scope["query_string"]
        wait = incoming.wait_parameter(incoming.parameters_of(scope, _WAIT_ALONE)) if query else 0.0
        workload = await self._store.get(api.name, workload_id)
        if wait > 0 and not workload.status.is_terminal:
            workload = await self._ended(api, workload_id, wait, receive)
        if workload.status is Status.IN_QUEUE:
            position = await self._store.position(api.name, workload_id, _POSITION_MOST)
            return json_answer(answers.queued(workload, position))
        return json_answer(self._state(workload))

    def checked_limit(self, api: Api) -> int:
        """How many unfinished workloads the API may hold.

        Raises:
            ApiNotReady: no replica runs, and it is known why none will.
        """
        state = self._store.replicas(api.name)
        if state.is_stuck:
            raise ApiNotReady(
                f"no replica of {api.name} can start: {state.problem}", retry_after_seconds=_NOT_READY_RETRY_SECONDS
            )
        return api.autoscaling.max_replica_concurrency * max(1, state.ready)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    async def _submission(
        self, api: Api, workload_id: str | None, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> Submission:
        """What is handed in; everything else is looked at before the body, which may be large."""
        if self._draining.is_set():
            raise ShuttingDown("the server is draining; submit again in a moment", retry_after_seconds=2)
        if workload_id is not None:
            check_id(workload_id)
        incoming.refuse_unknown_wishes(headers)
        if "ringback-timeout" in headers:
            incoming.check_run_timeout(headers, api.timeout_seconds)
        content_type = incoming.content_type_of(headers)
        key = incoming.idempotency_key(headers) if "idempotency-key" in headers else None
        order_key = incoming.order_key(headers) if "ringback-order-key" in headers else None
        wish = wish_of(headers)
        webhooks: tuple[Endpoint, ...] = ()
        if "ringback-webhook" in headers or "ringback-webhook-events" in headers:
            webhooks = await guests_of(scope, self._keeper)

        async def is_wanted() -> None:
            limit = self.checked_limit(api)
            await self._store.expect_room(api.name, limit=limit, tenant=wish.tenant, workload_id=workload_id, key=key)

        taken = await self._bodies.take(content_type, headers, receive, is_wanted)
        payload, blob, digest = (taken, None, None) if isinstance(taken, bytes) else (b"", taken.blob, taken.digest)
        return Submission(
            api=api.name,
            payload=payload,
            content_type=content_type,
            headers=incoming.kept_headers(headers),
            id=workload_id,
            idempotency_key=key,
            webhooks=webhooks,
            trace_id=incoming.trace_id(headers) if "traceparent" in headers else None,
            blob=blob,
            digest=digest,
            order_key=order_key,
            wish=wish,
        )

    async def _batch(
        self, api: Api, workload_id: str | None, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> Answer:
        """Many workloads at once; their number is not bounded by the queue's limit, for a batch is taken in whole."""
        if self._draining.is_set():
            raise ShuttingDown("the server is draining; submit again in a moment", retry_after_seconds=2)
        if workload_id is not None:
            raise InvalidHeader("Ringback-Batch is for POST: the ids of a batch's workloads are the server's")
        incoming.refuse_unknown_wishes(headers)
        if "ringback-timeout" in headers:
            incoming.check_run_timeout(headers, api.timeout_seconds)
        self.checked_limit(api)
        template = Submission(
            api=api.name,
            payload=b"",
            content_type=LINE_CONTENT_TYPE,
            headers=intake.line_headers(headers),
            idempotency_key=incoming.idempotency_key(headers) if "idempotency-key" in headers else None,
            webhooks=await guests_of(scope, self._keeper),
            trace_id=incoming.trace_id(headers),
            order_key=incoming.order_key(headers) if "ringback-order-key" in headers else None,
            wish=wish_of(headers),
        )
        return await self._intake.take(template, receive)

    async def _submitted(self, submission: Submission, blob: Blob, limit: int) -> Accepted:
        """Hand over one with a blob; if that belongs to no row in the end, it is removed."""
        try:
            accepted = await self._store.submit(submission, limit=limit)
        except RingbackError:
            await self._bodies.discard(blob)
            raise
        if not accepted.created:
            await self._bodies.discard(blob)
        return accepted

    def _state(self, workload: Workload) -> bytes:
        return answers.state(workload, None if workload.blob is None else self._results.url_of(workload))

    async def _ended(self, api: Api, workload_id: str, wait: float, receive: Receive) -> Workload:
        """The workload once it has ended; as it stands when time is up, the client leaves or the server drains."""
        ended = asyncio.create_task(self._store.ended(api.name, workload_id, wait))
        others = [asyncio.create_task(incoming.left(receive)), asyncio.create_task(_raised(self._draining))]
        try:
            await asyncio.wait({ended, *others}, return_when=asyncio.FIRST_COMPLETED)
            return await ended if ended.done() else await self._store.get(api.name, workload_id)
        finally:
            for task in (ended, *others):
                task.cancel()
            await asyncio.gather(ended, *others, return_exceptions=True)


async def _raised(flag: asyncio.Event) -> None:
    await flag.wait()


def _and_for_how_long(error: IdTaken, api: Api) -> IdTaken:
    """The same, with how long the id or the key is kept."""
    kept, marked = format_duration(api.retention_seconds), format_duration(MARKER_SECONDS)
    return IdTaken(
        f"{error}; it is kept for {kept} after the last outcome (retention) and {marked} more, so take another"
    )


def _size_of(submission: Submission) -> int:
    return len(submission.payload) if submission.blob is None else submission.blob.size_bytes
