"""Who may ask: the Host header, an API key or a session, and that another site's page has not sent the request.

Every request passes here but those to open paths. Costs one dictionary and a look at three headers for a plain client.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from ringback.core.errors import CrossSite, Unauthorized, UnknownHost
from ringback.core.hosts import host_name
from ringback.gateway.incoming import Scope
from ringback.pages import THEME_COOKIE, Sessions, Visitor

SESSION_COOKIE: Final = "ringback_session"
SECURE_SESSION_COOKIE: Final = "__Host-ringback_session"
"""The same over https, where browsers see to it that only this host can have set it (RFC 6265bis, section 4.1.3.2)."""

_BEARER: Final = b"bearer "
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN: Final = frozenset({b"same-origin", b"none"})
_THEMES: Final = frozenset({"light", "dark"})


class Admission:
    """Judges requests by their heads."""

    def __init__(self, api_keys: frozenset[str], hosts: frozenset[str] | None, sessions: Sessions) -> None:
        """Set it up.

        Args:
            api_keys: one of them, or a session begun with one, must come along; without any, none is asked for.
            hosts: the names the server goes by, in lower case without a port; None lets any pass.
            sessions: judges cookies and form tokens.
        """
        self._keys = [key.encode() for key in api_keys]
        self._hosts = hosts
        self._known_hosts: set[bytes] = set()
        self._sessions = sessions

    @property
    def wants_no_key(self) -> bool:
        """Whether everybody who reaches the server may ask."""
        return not self._keys

    def admit(self, scope: Scope) -> bool:
        """See that the request may be made; whether it must bring a form token besides (`check_form_token`).

        Raises:
            Unauthorized: neither an API key nor a session came with it.
            UnknownHost: it names a server that this one is not: DNS rebinding, or a name that is not set up.
            CrossSite: another site's page has sent it.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._keys and self._has_key(headers):
            return False
        self.check_host(headers)
        is_reading = scope["method"] in _READING
        if not is_reading:
            _refuse_other_sites(headers)
        if self._keys and self.session_of(headers) is None:
            raise Unauthorized("send one of the server's API keys as Authorization: Bearer …, or log in at /-/login")
        is_browser = bool(self._keys) or b"origin" in headers or b"sec-fetch-site" in headers
        return is_browser and not is_reading

    def admit_form(self, scope: Scope) -> None:
        """See that a form that anybody may send comes from this server's own pages.

        Raises:
            UnknownHost, CrossSite: as `admit`.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self.check_host(headers)
        _refuse_other_sites(headers)

    def visitor(self, scope: Scope) -> Visitor:
        """Who sends it. Judges nothing."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        session = self.session_of(headers)
        theme = _cookies(headers).get(THEME_COOKIE)
        return Visitor(
            form_token=self._sessions.form_token(session),
            session=session,
            theme=theme if theme in _THEMES else None,
        )

    def check_form_token(self, scope: Scope, given: str) -> None:
        """See that a form token is this session's.

        Raises:
            CrossSite: it is not.
        """
        if not self._sessions.is_form_token(given, self.session_of(dict(scope["headers"]))):
            raise CrossSite("the form's token is missing or out of date: reload the page and send it again")

    def session_of(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The session that a request's cookie stands for."""
        if b"cookie" not in headers or not self._keys:
            return None
        cookies = _cookies(headers)
        given = cookies.get(SECURE_SESSION_COOKIE) or cookies.get(SESSION_COOKIE)
        return None if given is None else self._sessions.session_of(given)

    def check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """See that the request asks for this server by one of its names.

        Raises:
            UnknownHost: it does not.
        """
        raw = headers.get(b"host")
        if self._hosts is None or raw is None or raw in self._known_hosts:
            return
        name = host_name(raw.decode("latin-1"))
        if name not in self._hosts:
            raise UnknownHost(
                f"this server does not go by the name {name[:100]!r}; if it should, say so with --trusted-hosts"
            )
        if len(self._known_hosts) < 100:
            self._known_hosts.add(raw)

    def _has_key(self, headers: Mapping[bytes, bytes]) -> bool:
        given = headers.get(b"authorization", b"")
        key = given[len(_BEARER) :] if given[: len(_BEARER)].lower() == _BEARER else b""
        return sum(hmac.compare_digest(key, each) for each in self._keys) > 0  # all compared: the time tells nothing


def _refuse_other_sites(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what a page of another site has sent, as far as the browser tells (Fetch Metadata; RFC 6454, section 7).

    `Origin: null` tells nothing: pages with `Referrer-Policy: no-referrer`, as ours, send it with forms. Over
    plain http there is no Fetch Metadata besides, and the form token decides alone.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        is_own = site in _OWN
    else:
        origin = headers.get(b"origin", b"null")
        is_own = origin == b"null" or _netloc(origin) == headers.get(b"host", b"").decode("latin-1").lower()
    if not is_own:
        raise CrossSite("a page of another site has sent this; only this server's own pages may")


def _netloc(origin: bytes) -> str:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:
        return ""


def _cookies(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The request's cookies. What other programs on the same host have set is passed over, however it is written."""
    pairs = (each.strip().partition("=") for each in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    return {name: value for name, has_value, value in pairs if has_value}
