"""Cancel and retry of many workloads at once, by batch or by what they have in common.

One request works for a few seconds at most, portion by portion, and says where the next one goes on; it stops when its
client leaves. What it has done stays done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.clock import SECOND, Instant
from ringback.core.emit import Emit
from ringback.core.errors import InvalidPayload, UnknownApi
from ringback.core.paging import decode_cursor, encode_cursor, encode_span
from ringback.core.selection import BY_DEFAULT, MOVABLE, Move, Selection
from ringback.core.spec import Api
from ringback.core.workload import Status
from ringback.gateway.methods import METHODS
from ringback.gateway.reading import json_answer, moment_of, must_be, object_of
from ringback.store.contract import Store, Swept

SLOT_SECONDS: Final = 5.0
"""How long one request works: shorter than anybody's patience, proxies' included."""

_ROOM: Final = 100
"""Workloads that one transaction moves: a submit that comes meanwhile waits for no more than these."""

_LINES: Final = 128
_WORDS_MOST: Final = 200
_CONDITIONS: Final = frozenset({"status", "tenant", "since", "before", "q"})
_WHICH: Final = _CONDITIONS | {"api", "batch"}
_HOW: Final = frozenset({"dry_run", "cursor"})
_EVERYTHING: Final = encode_span(0, 2**63 - 1)
"""Where to go on with a batch that has not been looked at yet."""

Portion = Callable[[str | None], Awaitable[Swept]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a request asks for, checked."""

    move: Move
    selection: Selection
    is_dry_run: bool
    began: Instant
    """When the first request was made: by that moment `2h` is meant in all that follow it."""
    cursor: str | None
    """The store's own."""


class Sweeps:
    """`POST /-/workloads/cancel` and `/retry`, and the same of a batch."""

    def __init__(self, store: Store, apis: Mapping[str, Api], emit: Emit, limit_of: Callable[[Api], int]) -> None:
        """Answer over `store`.

        Args:
            store: does it.
            apis: what is served, by endpoint.
            emit: is told of what has ended here, or runs again.
            limit_of: how many unfinished workloads an API may hold.
        """
        self._store = store
        self._apis = {api.name: api for api in apis.values()}
        self._names = {name: api.name for api in apis.values() for name in (api.name, api.endpoint)}
        self._emit = emit
        self._limit_of = limit_of

    @property
    def routes(self) -> list[Route]:
        return [
            Route(f"{path}/{move.value}", partial(answer, move=move), methods=list(methods))
            for move in Move
            for path, answer, methods in (
                ("/-/workloads", self._of_all, ["POST"]),  # a GET asks for the workload of that name
                ("/-/batches/{batch_id}", self._of_batch, METHODS),
            )
        ]

    async def _of_all(self, request: Request, move: Move) -> Response:
        wanted = await object_of(request, _WHICH | _HOW)
        if all(wanted.get(key) is None for key in _WHICH):
            names = ", ".join(sorted(_WHICH))
            raise InvalidPayload(f'say which: at least one of {names}; for example {{"api": "iris"}}')
        return await self._swept(request, move, wanted)

    async def _of_batch(self, request: Request, move: Move) -> Response:
        must_be(request, "POST")
        wanted = await object_of(request, _CONDITIONS | _HOW, optional=True)
        return await self._swept(request, move, {**wanted, "batch": request.path_params["batch_id"]})

    async def _swept(self, request: Request, move: Move, wanted: Mapping[str, Any]) -> Response:
        asked = await self._asked(move, wanted)
        until = self._store.clock.elapsed() + round(SLOT_SECONDS * SECOND)

        async def may_go_on() -> bool:
            return self._store.clock.elapsed() < until and not await request.is_disconnected()

        batch = asked.selection.batch
        if batch is not None and not await self._is_poured(batch, may_go_on):
            return json_answer(_told(asked, [Swept(cursor=_EVERYTHING)]))
        portion = self._portion(asked)
        done = [await portion(asked.cursor)]
        while done[-1].cursor is not None and done[-1].wait_seconds is None and await may_go_on():
            done.append(await portion(done[-1].cursor))
        return json_answer(_told(asked, done))

    async def _is_poured(self, batch: int, may_go_on: Callable[[], Awaitable[bool]]) -> bool:
        """Put the lines of a batch into the queue that are not there yet, as far as there is time."""
        while await self._store.batches.pour(batch, _LINES):
            if not await may_go_on():
                return False
        return True

    def _portion(self, asked: _Asked) -> Portion:
        """One step of it, from a cursor on."""
        selections, selection = self._store.selections, asked.selection
        apis = [self._apis[name] for name in selection.apis]
        if asked.is_dry_run:
            return lambda cursor: selections.count(selection, cursor=cursor)
        if asked.move is Move.CANCEL:
            webhooks = {api.name: api.webhooks for api in apis}

            async def cancel(cursor: str | None) -> Swept:
                swept = await selections.cancel(selection, webhooks, room=_ROOM, cursor=cursor)
                self._tell(swept, lambda api: self._emit("workload.finished", api=api, status=_CANCELED, run_us=None))
                return swept

            return cancel
        # Half of what an API may hold: submits find room beside however many are retried.
        limits = {api.name: max(1, self._limit_of(api) // 2) for api in apis}

        async def retry(cursor: str | None) -> Swept:
            swept = await selections.retry(selection, limits, room=_ROOM, cursor=cursor)
            self._tell(swept, lambda api: self._emit("workload.retried", api=api))
            return swept

        return retry

    @staticmethod
    def _tell(swept: Swept, tell: Callable[[str], None]) -> None:
        for api, count in swept.moved.items():
            for _ in range(count):
                tell(api)

    # ── What is asked ───────────────────────────────────────────────────────────────────────────

    async def _asked(self, move: Move, wanted: Mapping[str, Any]) -> _Asked:
        for key in _WHICH | {"cursor"}:
            if not isinstance(wanted.get(key), str | None):
                raise InvalidPayload(f"the key {key} must be a string")
            if wanted.get(key) == "":  # more likely a variable that was not set than everything meant
                raise InvalidPayload(f"the key {key} is empty; leave it out if it is no condition")
        is_dry_run = wanted.get("dry_run", False)
        if not isinstance(is_dry_run, bool):
            raise InvalidPayload("the key dry_run must be true or false")
        words = wanted.get("q")
        if words is not None and not 0 < len(words.strip()) <= _WORDS_MOST:
            raise InvalidPayload(f"q must be words, 1 to {_WORDS_MOST} characters of them")
        cursor, began = _taken_apart(wanted.get("cursor"), self._store.clock.now())
        batch = None if wanted.get("batch") is None else await self._store.batches.get(wanted["batch"])
        apis = self._named(wanted.get("api") if batch is None else batch.api)
        return _Asked(
            move=move,
            selection=Selection(
                apis=tuple(apis),
                statuses=_statuses(move, wanted.get("status")),
                batch=None if batch is None else batch.seq,
                tenant=wanted.get("tenant"),
                since=moment_of("since", wanted.get("since"), began),
                before=moment_of("before", wanted.get("before"), began),
                words=None if words is None else words.strip(),
            ),
            is_dry_run=is_dry_run,
            began=began,
            cursor=cursor,
        )

    def _named(self, text: str | None) -> Sequence[str]:
        """The API of that name or endpoint; all of them without a name."""
        if text is None:
            return list(self._apis)
        if text not in self._names:
            raise UnknownApi(f"no API {text[:80]!r} is served; served are {', '.join(sorted(self._apis))}")
        return [self._names[text]]


_CANCELED: Final = Status.CANCELED.value


def _statuses(move: Move, text: str | None) -> tuple[Status, ...]:
    """What is meant by the status that is named, or by naming none."""
    if text is None:
        return BY_DEFAULT[move]
    if text not in MOVABLE[move]:
        names = " or ".join(MOVABLE[move])
        raise InvalidPayload(f"status={text[:40]!r}: what is {names} can be {_DONE[move]}")
    return (Status(text),)


def _taken_apart(cursor: str | None, now: Instant) -> tuple[str | None, Instant]:
    """The store's own cursor, and when the first request was made.

    Raises:
        InvalidParameter: it is not one that was given.
    """
    if cursor is None:
        return None, now
    inner, dot, began = cursor.partition(".")
    return inner, Instant(decode_cursor(began if dot else cursor))


_DONE: Final = {Move.CANCEL: "canceled", Move.RETRY: "retried"}


def _told(asked: _Asked, done: Sequence[Swept]) -> dict[str, Any]:
    changed, stopping, last = sum(each.changed for each in done), sum(each.stopping for each in done), done[-1]
    cursor = None if last.cursor is None else f"{last.cursor}.{encode_cursor(asked.began)}"
    if asked.is_dry_run:
        return {"matched": changed, "cursor": cursor}
    told = {"changed": changed, "cursor": cursor, "wait_seconds": last.wait_seconds}
    return told | {"stopping": stopping} if asked.move is Move.CANCEL else told
