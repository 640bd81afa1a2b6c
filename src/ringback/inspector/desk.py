"""What every route of the inspector works with, and what they have in common: reading requests, answering JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.core.errors import InvalidParameter, InvalidPayload, MethodNotAllowed, PayloadTooLarge, UnknownInbox
from ringback.core.inbox import Capture, Inbox
from ringback.inspector.forwarding import Forwarder
from ringback.inspector.judging import Judge
from ringback.inspector.streaming import Streaming
from ringback.inspector.telling import inbox_told, summary_told
from ringback.pages import FORM_TOKEN_FIELD, PAGE_HEADERS, Pages, visitor_of
from ringback.store.contract import Store

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What is let through to a route, which then says itself what it takes."""

_FORM: Final = "application/x-www-form-urlencoded"
_BODY_LIMIT_BYTES: Final = 512 * 1024
_MOST_FIELDS: Final = 200
_LIMIT: Final = 50
_LIMIT_MOST: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The parts of the inspector that its routes share."""

    store: Store
    judge: Judge
    streaming: Streaming
    forwarder: Forwarder
    pages: Pages
    base_url: str
    """Where senders reach the server."""

    async def summaries(self, inbox: Inbox, captures: Iterable[Capture]) -> list[dict[str, Any]]:
        """Captures as listings have them, each with its verdict."""
        return [summary_told(each, await self.judge.judge(inbox, each)) for each in captures]

    async def of_message(self, message_id: str, most: int) -> tuple[list[Capture], dict[str, Inbox]]:
        """What is captured of a message, and its inboxes by id; nothing of an inbox that is deleted meanwhile."""
        captures = await self.store.inboxes.of_message(message_id, most)
        inboxes: dict[str, Inbox] = {}
        for inbox_id in {each.inbox_id for each in captures}:
            with contextlib.suppress(UnknownInbox):
                inboxes[inbox_id] = await self.store.inboxes.get(inbox_id)
        return [each for each in captures if each.inbox_id in inboxes], inboxes

    def told(self, inbox: Inbox) -> dict[str, Any]:
        """An inbox as JSON."""
        return inbox_told(inbox, self.base_url, self.judge.secrets_of(inbox))

    def page(self, request: Request, template: str, values: Mapping[str, Any]) -> Response:
        """A page of the inspector."""
        path = request.url.path
        shown = {**values, "here": path + (f"?{request.url.query}" if request.url.query else "")}
        made = self.pages.render(f"inspector/{template}", shown, visitor_of(request.scope), path=path)
        return Response(made, headers={**PAGE_HEADERS, "Vary": "Accept"})

    def url_of(self, capture: Capture) -> str:
        """Where a capture came to."""
        return f"{self.base_url}/-/inspector/in/{capture.inbox_id}{capture.arrival.target}"


def wants_page(request: Request) -> bool:
    """Whether a browser asks, not a program."""
    return "text/html" in request.headers.get("accept", "")


def is_form(request: Request) -> bool:
    """Whether a page's form has been sent: it is answered by a redirect to a page.

    What curl's `-d` sends is called a form, too, and is JSON.
    """
    return wants_page(request) and request.headers.get("content-type", "").startswith(_FORM)


def must_be(request: Request, *methods: str) -> None:
    """See that the method is one of these.

    Raises:
        MethodNotAllowed: it is not.
    """
    if request.method not in methods:
        raise MethodNotAllowed(f"{request.url.path} takes {' and '.join(methods)}", allowed=methods)


def to_page(path: str) -> Response:
    """Where a browser goes after a form."""
    return RedirectResponse(path, 303)


def as_json(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(
        orjson.dumps(value),
        status,
        headers={"Vary": "Accept", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        media_type="application/json",
    )


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, but its token.

    Raises:
        PayloadTooLarge, InvalidPayload: it is none.
    """
    try:
        text = (await _body(request)).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidPayload("the form cannot be read") from None
    return {name: value for name, value in pairs if name != FORM_TOKEN_FIELD}


async def object_of(request: Request) -> dict[str, Any]:
    """The request's body, a JSON object; an empty one stands for one without keys.

    Raises:
        PayloadTooLarge, InvalidPayload: it is none.
    """
    body = await _body(request)
    if not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidPayload("the body is not a JSON object")
    return value


def query_of(request: Request, known: Sequence[str]) -> dict[str, str]:
    """The query's parameters.

    Raises:
        InvalidParameter: one is unknown.
    """
    given = dict(request.query_params)
    if unknown := given.keys() - set(known):
        raise InvalidParameter(f"there is no parameter {min(unknown)[:40]!r} here; known are {', '.join(known)}")
    return given


def whole_number(given: Mapping[str, str], name: str, otherwise: int, most: int) -> int:
    """A parameter that counts something.

    Raises:
        InvalidParameter: it is no whole number from 0 to `most`.
    """
    text = given.get(name)
    if text is None or text == "":
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) <= most):
        raise InvalidParameter(f"{name}={text[:40]!r} is no whole number from 0 to {most}")
    return int(text)


def limit_of(given: Mapping[str, str]) -> int:
    """How long a listing is to be.

    Raises:
        InvalidParameter: that is no number from 1 to 1000.
    """
    return max(1, whole_number(given, "limit", _LIMIT, _LIMIT_MOST))


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > _BODY_LIMIT_BYTES:
            raise PayloadTooLarge(f"the body is over {_BODY_LIMIT_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)
