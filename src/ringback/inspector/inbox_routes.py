"""Inboxes over HTTP: made, listed, shown with what they hold, changed, streamed, exported, emptied, deleted."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ringback.core.errors import InvalidParameter, UnknownCapture, UnknownInbox
from ringback.core.inbox import DEFAULTS, PATH, Capture, Inbox, Search
from ringback.inspector import pages, streaming
from ringback.inspector.desk import (
    METHODS,
    Desk,
    as_json,
    fields_of,
    is_form,
    limit_of,
    must_be,
    object_of,
    query_of,
    to_page,
    wants_page,
    whole_number,
)
from ringback.inspector.exporting import HAR_HEAD, HAR_TAIL, har_entry
from ringback.inspector.forms import settings_of_form
from ringback.inspector.searching import search_of
from ringback.inspector.settings import changed, name_of
from ringback.inspector.telling import whole_told
from ringback.pages import visitor_of

_ID_BYTES: Final = 16
_MOST_WAIT_SECONDS: Final = 300
_PORTION: Final = 100
_PAUSE_SECONDS: Final = 0.1
_PAGE_PAUSE_SECONDS: Final = 0.5
"""After each piece of news, so that what comes meanwhile is sent together."""
_MOST_CHANGES: Final = 2**62


class InboxRoutes:
    """The routes of inboxes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._inboxes = desk.store.inboxes

    @property
    def routes(self) -> list[Route]:
        return [
            Route(path, handler, methods=list(METHODS))
            for path, handler in (
                (PATH, self._all),
                (f"{PATH}/{{inbox}}", self._one),
                (f"{PATH}/{{inbox}}/settings", self._settings),
                (f"{PATH}/{{inbox}}/clear", self._clear),
                (f"{PATH}/{{inbox}}/delete", self._delete),
                (f"{PATH}/{{inbox}}/events", self._events),
                (f"{PATH}/{{inbox}}/export.{{form}}", self._export),
            )
        ]

    # ── All of them ─────────────────────────────────────────────────────────────────────────────

    async def _all(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD", "POST")
        if request.method == "POST":
            return await self._make(request)
        inboxes = await self._inboxes.all()
        if wants_page(request):
            return self._desk.page(request, "inboxes.html", pages.inboxes(self._desk, inboxes))
        return as_json({"inboxes": [self._desk.told(each) for each in inboxes]})

    async def _make(self, request: Request) -> Response:
        by_form = is_form(request)
        wanted = settings_of_form(await fields_of(request)) if by_form else await object_of(request)
        inbox_id = secrets.token_urlsafe(_ID_BYTES)
        name = name_of(wanted.pop("name", None)) or f"inbox {inbox_id[:6]}"
        settings = changed(DEFAULTS, wanted)
        made = await self._inboxes.make(inbox_id, name, settings)
        if by_form:
            return to_page(f"{PATH}/{made.id}")
        return as_json(self._desk.told(made), 201 if made.id == inbox_id else 200)

    # ── One ─────────────────────────────────────────────────────────────────────────────────────

    async def _one(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD", "PATCH", "DELETE")
        inbox_id = request.path_params["inbox"]
        if request.method == "DELETE":
            await self._inboxes.drop(inbox_id)
            return as_json({"id": inbox_id, "deleted": True})
        if request.method == "PATCH":
            return as_json(self._desk.told(await self._change(inbox_id, await object_of(request))))
        given = query_of(request, ("search", "view", "limit", "cursor", "back", "after", "wait"))
        inbox = await self._inboxes.get(inbox_id)
        if "after" in given or "wait" in given:
            return await self._news(inbox, given)
        page = await self._inboxes.find(
            inbox_id, search_of(given.get("search", "")), limit=limit_of(given), cursor=given.get("cursor") or None
        )
        if wants_page(request):
            values = await pages.inbox(self._desk, inbox, page.captures, given=given, cursor=page.cursor)
            return self._desk.page(request, "inbox.html", values)
        told = await self._desk.summaries(inbox, page.captures)
        return as_json({"inbox": self._desk.told(inbox), "captures": told, "cursor": page.cursor})

    async def _news(self, inbox: Inbox, given: dict[str, str]) -> Response:
        """What has changed since, held until something has, oldest first."""
        after = whole_number(given, "after", inbox.change, _MOST_CHANGES)
        seconds = whole_number(given, "wait", 0, _MOST_WAIT_SECONDS)
        found = await self._desk.streaming.news(inbox.id, after, seconds)
        told = await self._desk.summaries(inbox, found)
        return as_json({"captures": told, "change": found[-1].change if found else after})

    async def _settings(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD", "POST")
        inbox_id = request.path_params["inbox"]
        if request.method != "POST":
            inbox = await self._inboxes.get(inbox_id)
            if wants_page(request):
                return self._desk.page(request, "settings.html", pages.settings(self._desk, inbox))
            return as_json(self._desk.told(inbox))
        by_form = is_form(request)
        inbox = await self._change(
            inbox_id, settings_of_form(await fields_of(request)) if by_form else await object_of(request)
        )
        return to_page(f"{PATH}/{inbox.id}") if by_form else as_json(self._desk.told(inbox))

    async def _change(self, inbox_id: str, wanted: dict[str, Any]) -> Inbox:
        inbox = await self._inboxes.get(inbox_id)
        return await self._inboxes.change(inbox_id, changed(inbox.settings, wanted))

    async def _clear(self, request: Request) -> Response:
        must_be(request, "POST")
        inbox_id = request.path_params["inbox"]
        await self._inboxes.clear(inbox_id)
        return to_page(f"{PATH}/{inbox_id}") if is_form(request) else as_json({"id": inbox_id, "cleared": True})

    async def _delete(self, request: Request) -> Response:
        must_be(request, "POST")
        inbox_id = request.path_params["inbox"]
        await self._inboxes.drop(inbox_id)
        return to_page(PATH) if is_form(request) else as_json({"id": inbox_id, "deleted": True})

    # ── Live ────────────────────────────────────────────────────────────────────────────────────

    async def _events(self, request: Request) -> Response:
        must_be(request, "GET")
        given = query_of(request, ("after", "rows"))
        inbox = await self._inboxes.get(request.path_params["inbox"])
        self._desk.streaming.refuse_if_full()
        last = request.headers.get("last-event-id", "")
        place = {"after": last} if last else given
        after = whole_number(place, "after", inbox.change, _MOST_CHANGES)
        told, pause = self._as_events, _PAUSE_SECONDS
        if "rows" in given:
            is_grouped, visitor = given["rows"] == "grouped", visitor_of(request.scope)
            told, pause = partial(pages.rows_event, self._desk, visitor, is_grouped), _PAGE_PAUSE_SECONDS
        stream = self._desk.streaming.of(inbox.id, after, told, pause)
        return StreamingResponse(stream, headers=streaming.HEADERS, media_type="text/event-stream")

    async def _as_events(self, inbox: Inbox, captures: Sequence[Capture]) -> bytes:
        told = await self._desk.summaries(inbox, captures)
        return b"".join(streaming.event("capture", each, id=each["change"]) for each in told)

    # ── Export ──────────────────────────────────────────────────────────────────────────────────

    async def _export(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        given = query_of(request, ("search",))
        inbox = await self._inboxes.get(request.path_params["inbox"])
        search, form = search_of(given.get("search", "")), request.path_params["form"]
        if form == "jsonl":
            lines = self._lines(inbox, search)
            return StreamingResponse(lines, headers=_attached(f"{inbox.id}.jsonl"), media_type="application/x-ndjson")
        if form != "har":
            raise InvalidParameter(f"there is no export.{form[:40]}; known are export.jsonl and export.har")
        archive = self._archive(inbox, search)
        return StreamingResponse(archive, headers=_attached(f"{inbox.id}.har"), media_type="application/json")

    async def _lines(self, inbox: Inbox, search: Search) -> AsyncIterator[bytes]:
        async for each in self._wholes(inbox, search):
            yield orjson.dumps(whole_told(each, await self._desk.judge.judge(inbox, each))) + b"\n"

    async def _archive(self, inbox: Inbox, search: Search) -> AsyncIterator[bytes]:
        yield HAR_HEAD
        comma = b""
        async for each in self._wholes(inbox, search):
            yield comma + orjson.dumps(har_entry(each, self._desk.url_of(each)))
            comma = b","
        yield HAR_TAIL

    async def _wholes(self, inbox: Inbox, search: Search) -> AsyncIterator[Capture]:
        """Every capture that fits, whole, newest first, one in memory at a time."""
        cursor: str | None = None
        while True:
            try:
                page = await self._inboxes.find(inbox.id, search, limit=_PORTION, cursor=cursor)
            except UnknownInbox:  # deleted meanwhile, and all that was left to export with it
                return
            for each in page.captures:
                try:
                    yield await self._inboxes.one(inbox.id, each.number)
                except UnknownCapture:  # dropped meanwhile
                    continue
            if page.cursor is None:
                return
            cursor = page.cursor


def _attached(filename: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{filename}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
