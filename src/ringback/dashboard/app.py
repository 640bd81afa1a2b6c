"""The dashboard's application: which page is at which path, and each page's stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from ringback.core.errors import NotFound, RingbackError, Unavailable
from ringback.core.spec import Api
from ringback.dashboard.actions import DONE, Actions, Refused
from ringback.dashboard.asked import PREFIX, STREAM_PATH, Asked, Known, MakeView, View
from ringback.dashboard.batches import Batches
from ringback.dashboard.deliveries import Deliveries
from ringback.dashboard.hour import Hour
from ringback.dashboard.overview import Overview
from ringback.dashboard.stream import MOST_STREAMS, events, seen_of
from ringback.dashboard.submitting import Submitting
from ringback.dashboard.workloads import Workloads
from ringback.pages import PAGE_HEADERS, Inside, Mount, Pages, visitor_of
from ringback.store.contract import Store


class Dashboard:
    """An ASGI application to be mounted at `/` and `/-/ui`."""

    def __init__(
        self,
        store: Store,
        apis: Sequence[Api],
        *,
        pages: Pages,
        hour: Hour,
        ask: Inside,
        has_inspector: bool = False,
    ) -> None:
        """Put it together.

        Args:
            store: is read.
            apis: what is served.
            pages: has this part's templates.
            hour: the figures of the last hour; somebody else has it run.
            ask: the control plane, for what changes something.
            has_inspector: whether the inspector's pages are there to link to.
        """
        known = Known(
            store=store,
            apis={api.name: api for api in apis},
            hour=hour,
            endpoints={hook.key: (api, hook) for api in apis for hook in api.webhooks},
            has_inspector=has_inspector,
        )
        self._pages = pages
        self._closing = asyncio.Event()
        self._streams = 0
        self._views = _views(known)
        self._router = Router(
            routes=[
                *Actions(ask, known, pages).routes,
                Route(STREAM_PATH, self._stream, methods=["GET"]),
                *(Route(route.path, self._page(make), methods=["GET"]) for route, make in self._views),
            ],
            default=self._nothing,
            redirect_slashes=False,
        )

    @property
    def mount(self) -> Mount:
        """Where it belongs."""
        return Mount(paths=("/", PREFIX), application=self)

    def close(self) -> None:
        """End every stream: the server is to end, and the browsers will find the next."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except Refused as refused:
            values = {"status": refused.status, "title": refused.title, "detail": refused.detail, "back": refused.back}
            page = self._pages.render("dashboard/refused.html", values, visitor_of(scope), path=refused.back)
            await Response(page, refused.status, headers=PAGE_HEADERS)(scope, receive, send)

    def _page(self, make: MakeView) -> Any:
        async def handle(request: Request) -> Response:
            asked = Asked(path=request.url.path, places=request.path_params, query=dict(request.query_params))
            view = await make(asked)
            return Response(self._rendered(request, asked, view), headers=PAGE_HEADERS)

        return handle

    def _rendered(self, request: Request, asked: Asked, view: View) -> bytes:
        done = DONE.get(asked.query.get("done", ""), "")
        count = asked.query.get("count", "")
        values = {
            **view.values,
            "notice": done.format(count=count if count.isdigit() else ""),
            "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "stream": STREAM_PATH,
        }
        return self._pages.render(view.template, values, visitor_of(request.scope), path=view.marks or request.url.path)

    async def _stream(self, request: Request) -> Response:
        target = urlsplit(request.query_params.get("view", "/"))
        query = dict(parse_qsl(target.query))
        for route, make in self._views:
            scope = {"type": "http", "method": "GET", "path": target.path, "headers": []}
            match, child = route.matches(scope)
            if match is Match.FULL:
                asked = Asked(path=target.path, places=child["path_params"], query=query)
                return await self._streamed(request, asked, make)
        raise NotFound(f"there is no page {target.path[:200]!r}")

    async def _streamed(self, request: Request, asked: Asked, make: MakeView) -> Response:
        if self._streams >= MOST_STREAMS:
            raise Unavailable("too many pages are open; close some", retry_after_seconds=10)
        visitor = visitor_of(request.scope)

        async def regions() -> dict[str, str]:
            view = await make(asked)
            return self._pages.regions(view.template, view.values, visitor, path=view.marks or asked.path)

        await regions()  # what cannot be shown is told now, with its status
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")

        async def counted() -> Any:
            self._streams += 1
            try:
                async for event in events(regions, seen_of(seen), self._closing):
                    yield event
            finally:
                self._streams -= 1

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(counted(), media_type="text/event-stream", headers=headers)

    async def _nothing(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        error: RingbackError = NotFound(f"there is no page {scope['path'][:200]!r}")
        raise error


def _views(known: Known) -> list[tuple[Route, MakeView]]:
    workloads, batches, deliveries = Workloads(known), Batches(known), Deliveries(known)
    made: list[tuple[str, MakeView]] = [
        ("/", Overview(known)),
        (f"{PREFIX}/workloads", workloads.list),
        (f"{PREFIX}/workloads/{{api}}/{{id}}", workloads.one),
        (f"{PREFIX}/apis/{{api}}", workloads.api),
        (f"{PREFIX}/batches", batches.list),
        (f"{PREFIX}/batches/{{id}}", batches.one),
        (f"{PREFIX}/deliveries", deliveries.list),
        (f"{PREFIX}/deliveries/{{id}}", deliveries.one),
        (f"{PREFIX}/endpoints", deliveries.endpoints),
        (f"{PREFIX}/submit", Submitting(known).form),
    ]
    return [(Route(path, _never, methods=["GET"]), make) for path, make in made]


async def _never(request: Request) -> Response:
    raise NotFound(request.url.path)
