"""Workloads in a list, one with all that has happened to it, and one API."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from ringback.core.errors import UnknownApi
from ringback.core.spec import Api
from ringback.core.workload import Payload, Status
from ringback.dashboard.asked import Asked, Known, View
from ringback.dashboard.figures import charts
from ringback.dashboard.hearing import Hearing
from ringback.dashboard.overview import ApiRow
from ringback.dashboard.timeline import steps
from ringback.pages import CURSOR, pager
from ringback.store.contract import QueueDepth

PAGE_SIZES: Final = (100, 250, 1_000)
_LATEST: Final = 20
_SHOWN_BYTES: Final = 64 * 1024
_WORDS_MOST: Final = 200


class Workloads:
    """Makes the pages about workloads."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._hearing = Hearing(known.store)

    async def list(self, asked: Asked) -> View:
        """A page of workloads; the filter stays with whoever pages on."""
        api = asked.choice("api", set(self._known.apis))
        status = asked.choice("status", set(Status))
        words = asked.query.get("q", "").strip()[:_WORDS_MOST]
        limit = asked.choice("limit", set(map(str, PAGE_SIZES))) or str(PAGE_SIZES[0])
        page = await self._known.store.page(
            [api] if api else list(self._known.apis),
            status=Status(status) if status else None,
            limit=int(limit),
            cursor=asked.query.get(CURSOR) or None,
            words=words or None,
        )
        wanted = {"api": api or "", "status": status or "", "q": words, "limit": limit}
        return View(
            template="dashboard/workloads.html",
            values={
                "apis": list(self._known.apis),
                "statuses": list(Status),
                "wanted": wanted,
                "limits": PAGE_SIZES,
                "workloads": page.workloads,
                "pager": pager(asked.query, page.cursor, wanted),
            },
            marks="/-/ui/workloads",
        )

    async def one(self, asked: Asked) -> View:
        """All about one workload."""
        api = self._api(asked)
        workload_id = asked.places["id"]
        # First the record: what it says has happened is in whatever is read after it.
        record = await self._known.store.describe(api.name, workload_id)
        payload, deliveries, heard = await asyncio.gather(
            self._known.store.payload(api.name, workload_id, most_bytes=_SHOWN_BYTES + 1),
            self._known.store.deliveries(api.name, workload_id),
            self._hearing.read(api.name, workload_id),
        )
        now = self._known.store.clock.now()
        # Asked for only where the record has one: it may have ended since the record was read.
        has_result = record.result_bytes is not None
        result = (await self._known.store.get(api.name, workload_id)).result if has_result else None
        return View(
            template="dashboard/workload.html",
            values={
                "api": api,
                "record": record,
                "workload": record.workload,
                "result": None if result is None else shown(result),
                "result_bytes": record.result_bytes,
                "payload": payload_shown(payload),
                "deliveries": deliveries,
                "steps": steps(record, deliveries, heard.steps, now),
                "heard": heard,
                "now": now,
            },
            marks="/-/ui/workloads",
        )

    async def api(self, asked: Asked) -> View:
        """One API: its queue, its replicas, its hour, its latest workloads."""
        api = self._api(asked)
        depths, page = await asyncio.gather(
            self._known.store.depths(),
            self._known.store.page([api.name], status=None, limit=_LATEST, cursor=None),
        )
        row = ApiRow(api=api, replicas=self._known.store.replicas(api.name), depth=depths.get(api.name, QueueDepth()))
        return View(
            template="dashboard/api.html",
            values={
                "row": row,
                "api": api,
                "charts": charts(self._known.hour.window(), api.name),
                "workloads": page.workloads,
            },
            marks="/",
        )

    def _api(self, asked: Asked) -> Api:
        name = asked.places["api"]
        if name not in self._known.apis:
            raise UnknownApi(f"no API {name[:80]!r} is served; served are {', '.join(sorted(self._known.apis))}")
        return self._known.apis[name]


def payload_shown(payload: Payload) -> str | None:
    """A payload as people read it, as much of it as a page shows; None when it is no text, or kept elsewhere."""
    if payload.blob is not None or b"\0" in payload.body:
        return None
    try:
        payload.body[:_SHOWN_BYTES].decode()
    except UnicodeDecodeError as error:
        if error.start < min(len(payload.body), _SHOWN_BYTES) - 3:  # else a character that is cut in two
            return None
    return shown(payload.body)


def shown(text: bytes) -> str:
    """JSON as people read it, as much of it as a page shows; anything else as it is."""
    try:
        made = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2) if len(text) <= _SHOWN_BYTES else text
    except orjson.JSONDecodeError:
        made = text
    more = len(made) > _SHOWN_BYTES
    return made[:_SHOWN_BYTES].decode("utf-8", "replace") + ("\n…" if more else "")
