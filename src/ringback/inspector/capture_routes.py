"""One capture over HTTP: shown, downloaded, copied as curl, sent on; and one message with all that became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ringback.core.clock import isoformat
from ringback.core.delivery import DeliveryRecord
from ringback.core.errors import UnknownCapture
from ringback.core.inbox import PATH, Capture, Inbox
from ringback.inspector import pages, streaming
from ringback.inspector.desk import (
    METHODS,
    Desk,
    as_json,
    fields_of,
    is_form,
    must_be,
    object_of,
    query_of,
    to_page,
    wants_page,
)
from ringback.inspector.exporting import curl_of
from ringback.inspector.forwarding import forward_url
from ringback.inspector.joining import Exchange, exchanges
from ringback.inspector.pages import MOST_OF_MESSAGE
from ringback.inspector.telling import forward_told, summary_told, whole_told
from ringback.pages import visitor_of

_DOWNLOAD_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}


class CaptureRoutes:
    """The routes of captures and messages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._inboxes = desk.store.inboxes

    @property
    def routes(self) -> list[Route]:
        return [
            Route(path, handler, methods=list(METHODS))
            for path, handler in (
                (f"{PATH}/live", self._live),
                (f"{PATH}/messages/{{message_id:path}}", self._message),
                (f"{PATH}/{{inbox}}/{{number:int}}", self._one),
                (f"{PATH}/{{inbox}}/{{number:int}}/body", self._body),
                (f"{PATH}/{{inbox}}/{{number:int}}/curl", self._curl),
                (f"{PATH}/{{inbox}}/{{number:int}}/replay", self._replay),
            )
        ]

    async def _one(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        inbox, capture = await self._found(request)
        finding = await self._desk.judge.judge(inbox, capture)
        if not wants_page(request):
            return as_json(whole_told(capture, finding))
        view = query_of(request, ("view",)).get("view")
        values = await pages.capture(self._desk, inbox, capture, finding, view)
        return self._desk.page(request, "capture.html", values)

    async def _body(self, request: Request) -> Response:
        """The body as bytes to keep, whatever it says it is: never shown by a browser."""
        must_be(request, "GET", "HEAD")
        _, capture = await self._found(request)
        disposition = f'attachment; filename="capture-{capture.number}.bin"'
        headers = {**_DOWNLOAD_HEADERS, "Content-Disposition": disposition}
        return Response(capture.arrival.body, headers=headers, media_type="application/octet-stream")

    async def _curl(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        _, capture = await self._found(request)
        text = curl_of(capture, self._desk.url_of(capture)) + "\n"
        return Response(text, headers=_DOWNLOAD_HEADERS, media_type="text/plain; charset=utf-8")

    async def _replay(self, request: Request) -> Response:
        """Send it once more, to its own inbox or to a URL, and say what came back."""
        must_be(request, "POST")
        by_form = is_form(request)
        wanted: dict[str, Any] = dict(await fields_of(request)) if by_form else await object_of(request)
        target = str(wanted.get("to") or "").strip()
        url = forward_url(target) if target else None
        inbox, capture = await self._found(request)
        order = self._desk.forwarder.order(capture.arrival, inbox.id, url, is_replay=True)
        forwarded, _ = await self._desk.forwarder.send(order)
        await self._inboxes.note_forward(inbox.id, capture.number, forwarded)
        if by_form:
            return to_page(f"{PATH}/{inbox.id}/{capture.number}#sent-on")
        return as_json(forward_told(forwarded))

    async def _found(self, request: Request) -> tuple[Inbox, Capture]:
        inbox = await self._inboxes.get(request.path_params["inbox"])
        number = request.path_params["number"]
        if number > inbox.captured:
            raise UnknownCapture(f"the inbox has taken in {inbox.captured} requests, and none of number {number}")
        return inbox, await self._inboxes.one(inbox.id, number)

    # ── A message ───────────────────────────────────────────────────────────────────────────────

    async def _message(self, request: Request) -> Response:
        must_be(request, "GET", "HEAD")
        message_id = request.path_params["message_id"]
        if wants_page(request):
            values = await pages.message(self._desk, message_id)
            if values is None:
                raise _unknown(message_id)
            return self._desk.page(request, "message.html", values)
        captures, inboxes = await self._desk.of_message(message_id, MOST_OF_MESSAGE)
        deliveries = await self._desk.judge.deliveries_of(message_id)
        if not captures and not deliveries:
            raise _unknown(message_id)
        line = exchanges(deliveries, captures)
        return as_json(
            {
                "webhook_id": message_id,
                "deliveries": [_delivery_told(each) for each in deliveries],
                "requests": [await self._exchange_told(each, inboxes) for each in line],
            }
        )

    async def _live(self, request: Request) -> Response:
        """A message's page, kept fresh."""
        must_be(request, "GET")
        given = query_of(request, ("message", "seen"))
        message_id, visitor = given.get("message", ""), visitor_of(request.scope)
        self._desk.streaming.refuse_if_full()

        async def made() -> Mapping[str, str]:
            values = await pages.message(self._desk, message_id)
            return {} if values is None else self._desk.pages.regions("inspector/message.html", values, visitor)

        stream = self._desk.streaming.regions(made, given.get("seen", ""))
        return StreamingResponse(stream, headers=streaming.HEADERS, media_type="text/event-stream")

    async def _exchange_told(self, exchange: Exchange, inboxes: Mapping[str, Inbox]) -> dict[str, Any]:
        attempt = exchange.attempt
        told: dict[str, Any] = {"at": isoformat(exchange.at), "delivery": None, "attempt": None, "captures": []}
        if exchange.delivery is not None and attempt is not None:
            told["delivery"] = f"dlv_{exchange.delivery.seq}"
            told["attempt"] = {
                "number": attempt.number,
                "duration_ms": attempt.duration_us / 1_000,
                "outcome": attempt.outcome.value,
                "status": attempt.status,
                "detail": attempt.detail,
            }
        for capture in exchange.captures:
            finding = await self._desk.judge.judge(inboxes[capture.inbox_id], capture)
            told["captures"].append(summary_told(capture, finding))
        return told


def _delivery_told(record: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": f"dlv_{record.seq}",
        "api": record.api,
        "workload": record.workload_id,
        "endpoint": record.endpoint,
        "event": record.event.value,
        "state": record.state.value,
        "reason": record.reason,
    }


def _unknown(message_id: str) -> UnknownCapture:
    return UnknownCapture(f"nothing is known of the webhook {message_id[:80]!r}: not captured, not sent from here")
