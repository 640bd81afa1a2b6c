"""What browsers meet: the login, assets, and the applications with pages that runtime has hung in.

A mounted application is called only with what may be asked; what it raises becomes a page or a problem.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ringback.core.errors import MethodNotAllowed, NotFound, RingbackError, Unauthorized
from ringback.gateway import incoming
from ringback.gateway.admission import SECURE_SESSION_COOKIE, SESSION_COOKIE, Admission
from ringback.gateway.answers import Answer
from ringback.gateway.incoming import Receive, Scope, Send
from ringback.gateway.problems import detail_of, problem, title_of
from ringback.pages import (
    ASSETS_PATH,
    FORM_TOKEN_FIELD,
    FORM_TOKEN_HEADER,
    PAGE_HEADERS,
    THEME_COOKIE,
    Mount,
    Pages,
    Sessions,
    place_visitor,
)
from ringback.pages.sessions import SESSION_SECONDS
from ringback.pages.throttle import Tries

LOGIN_PATH: Final = "/-/login"
LOGOUT_PATH: Final = "/-/logout"
THEME_PATH: Final = "/-/theme"

_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_FORM: Final = "application/x-www-form-urlencoded"
_SMALL_FORM_BYTES: Final = 16 * 1024
_YEAR_SECONDS: Final = 365 * 86_400
_THEMES: Final = frozenset({"light", "dark"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What runtime gives a gateway to show to browsers."""

    pages: Pages = field(default_factory=Pages)
    mounts: Sequence[Mount] = ()
    public_url: str = ""
    """Where the server is reached from outside, as far as it is known."""


class FrontDoor:
    """Mounted applications and the few routes that every page needs."""

    def __init__(
        self, front: Front, sessions: Sessions, admission: Admission, tries: Tries, *, max_body_bytes: int
    ) -> None:
        self._pages = front.pages
        self._mounts = front.mounts
        self._public = urlsplit(front.public_url)
        self._sessions = sessions
        self._admission = admission
        self._max_body_bytes = max_body_bytes
        self._tries = tries

    @property
    def routes(self) -> list[Route]:
        return [
            Route(path, handler, methods=_METHODS)
            for path, handler in (
                (LOGIN_PATH, self._login),
                (LOGOUT_PATH, self._logout),
                (THEME_PATH, self._choose_theme),
                (f"{ASSETS_PATH}/{{name}}", self._asset),
            )
        ]

    def is_open(self, path: str) -> bool:
        """Whether a path under `/-/` is asked for without a key: it checks for itself what it must."""
        return (
            path in {LOGIN_PATH, LOGOUT_PATH, THEME_PATH}
            or path.startswith(f"{ASSETS_PATH}/")
            or any(mount.is_open(path) for mount in self._mounts)
        )

    def mount_of(self, scope: Scope) -> Mount | None:
        """The mount whose request this is."""
        path = scope["path"]
        if path == "/" and not _wants_page(scope):
            return None
        return next((mount for mount in self._mounts if mount.holds(path)), None)

    async def call(self, mount: Mount, scope: Scope, receive: Receive, send: Send, *, token_wanted: bool) -> None:
        """Hand an admitted request to its application.

        Raises:
            CrossSite: it must bring a form token and does not bring the right one.
            PayloadTooLarge: the form that would bring it is over the server's limit.
        """
        if token_wanted:
            receive = await self._check_form(scope, receive)
        if not mount.is_open(scope["path"]):
            visitor = self._admission.visitor(scope)
            place_visitor(scope, visitor)
            if visitor.session is not None:
                wire = _InSession(scope, receive, send, self._admission)
                receive, send = wire.receive, wire.send
        await mount.application(scope, receive, send)

    def check_token_header(self, scope: Scope) -> None:
        """See that a request of a page's script brings the form token in its header.

        Raises:
            CrossSite: it does not.
        """
        self._admission.check_form_token(scope, incoming.headers_of(scope).get(FORM_TOKEN_HEADER, ""))

    def problem(self, error: RingbackError, scope: Scope) -> Answer:
        """The answer to a request that a mounted application, or the way to it, has refused."""
        status, headers, body = problem(error)
        if not _wants_page(scope):
            return status, headers, body
        if isinstance(error, Unauthorized) and scope["method"] in {"GET", "HEAD"}:
            here = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            location = f"{LOGIN_PATH}?next={quote(here, safe='/')}"
            return 303, [(b"location", location.encode()), (b"content-length", b"0")], b""
        values = {"status": status, "title": title_of(error), "detail": detail_of(error)}
        page = self._pages.render("pages/problem.html", values, self._admission.visitor(scope), path=scope["path"])
        told = [
            (name, value)
            for name, value in headers
            if name not in {b"content-type", b"content-length", b"www-authenticate"}
        ]
        return status, [*told, *_raw(PAGE_HEADERS), (b"content-length", b"%d" % len(page))], page

    async def _check_form(self, scope: Scope, receive: Receive) -> Receive:
        """Find the token in the request's header or form; what has been read of the body can be received again."""
        headers = incoming.headers_of(scope)
        given = headers.get(FORM_TOKEN_HEADER)
        if given is not None or not headers.get("content-type", "").startswith(_FORM):
            self._admission.check_form_token(scope, given or "")
            return receive
        body = await incoming.body_of(headers, receive, self._max_body_bytes)
        self._admission.check_form_token(scope, _fields(body).get(FORM_TOKEN_FIELD, ""))
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> MutableMapping[str, Any]:
            return unread.pop() if unread else await receive()

        return again

    # ── The routes of its own ───────────────────────────────────────────────────────────────────

    async def _login(self, request: Request) -> Response:
        self._admission.admit_form(request.scope)
        if request.method in {"GET", "HEAD"}:
            return self._login_page(request, _own_path(request.query_params.get("next", "/")))
        form = await self._form(request)
        target = _own_path(form.get("next", "/"))
        if self._admission.wants_no_key:
            return RedirectResponse(target, 303)
        address = request.client.host if request.client is not None else ""
        wait_seconds = self._tries.wait_seconds(address)
        if wait_seconds:
            return self._login_page(request, target, wait_seconds=wait_seconds)
        cookie = self._sessions.begin(form.get("key", "").strip())
        if cookie is None:
            self._tries.failed(address)
            return self._login_page(request, target, refusal="That is none of this server's API keys.")
        self._tries.worked(address)
        answer = RedirectResponse(target, 303)
        is_secure = self._is_secure(request)
        answer.set_cookie(
            SECURE_SESSION_COOKIE if is_secure else SESSION_COOKIE,
            cookie,
            max_age=SESSION_SECONDS,
            path="/",
            secure=is_secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _login_page(
        self, request: Request, target: str, *, refusal: str | None = None, wait_seconds: int = 0
    ) -> Response:
        """The form, as it is first shown, refused, or to be sent again only after so many seconds."""
        visitor = self._admission.visitor(request.scope)
        status, headers = 200 if refusal is None else 403, dict(PAGE_HEADERS)
        if wait_seconds:
            refusal = f"Too many wrong keys have been tried. Try again in {wait_seconds} s."
            status, headers["Retry-After"] = 429, str(wait_seconds)
        page = self._pages.render("pages/login.html", {"next": target, "refusal": refusal}, visitor, path=LOGIN_PATH)
        return Response(page, status, headers=headers)

    async def _logout(self, request: Request) -> Response:
        await self._form(request)
        session = self._admission.visitor(request.scope).session
        if session is not None:
            await self._sessions.end(session)
        answer = RedirectResponse(LOGIN_PATH, 303)
        answer.delete_cookie(SESSION_COOKIE)
        answer.delete_cookie(SECURE_SESSION_COOKIE, secure=True)
        return answer

    async def _choose_theme(self, request: Request) -> Response:
        """Remember light or dark for a visitor whose browser runs no script."""
        form = await self._form(request)
        answer = RedirectResponse(_own_path(form.get("next", "/")), 303)
        if form.get("theme") in _THEMES:
            answer.set_cookie(THEME_COOKIE, form["theme"], max_age=_YEAR_SECONDS, path="/", samesite="lax")
        else:
            answer.delete_cookie(THEME_COOKIE)
        return answer

    async def _asset(self, request: Request) -> Response:
        asset = self._pages.asset(request.url.path)
        if asset is None:
            raise NotFound("there is no such asset; reload the page that asked for it")
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("an asset can only be read", allowed=("GET", "HEAD"))
        headers = {
            "Content-Type": asset.media_type,
            "Cache-Control": "public, max-age=31536000, immutable",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(asset.body, headers=headers)

    async def _form(self, request: Request) -> dict[str, str]:
        """A small form of one of the pages, seen to come from there.

        Raises:
            CrossSite: it does not.
            MethodNotAllowed: it is no POST.
        """
        if request.method != "POST":
            raise MethodNotAllowed(f"{request.url.path} takes a form", allowed=("POST",))
        self._admission.admit_form(request.scope)
        headers = incoming.headers_of(request.scope)
        form = _fields(await incoming.body_of(headers, request.receive, _SMALL_FORM_BYTES))
        self._admission.check_form_token(request.scope, form.get(FORM_TOKEN_FIELD, ""))
        return form

    def _is_secure(self, request: Request) -> bool:
        """Whether the browser speaks https, to this server or to the proxy in front that `--public-url` names."""
        is_public = request.headers.get("host", "").lower() == self._public.netloc.lower()
        return request.scope["scheme"] == "https" or (self._public.scheme == "https" and is_public)


class _InSession:
    """A request's two directions for as long as its session holds: a stream ends with it, not when it next asks."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, admission: Admission) -> None:
        self._headers = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._admission = admission
        self._over = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        came, over = asyncio.ensure_future(self._receive()), asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({came, over}, return_when=asyncio.FIRST_COMPLETED)
            return came.result() if came.done() else {"type": "http.disconnect"}
        finally:
            for each in (came, over):
                each.cancel()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self._over.is_set():
            return
        if message.get("more_body") and self._admission.session_of(self._headers) is None:
            self._over.set()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)


def _wants_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _own_path(text: str) -> str:
    """A path of this server to go on to; anything else becomes the first page."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isascii() and text.isprintable()
    return text if is_own else "/"


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=10_000))
    except ValueError:
        return {}


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
