"""URLs that webhooks go to, read strictly: what two parsers could read in two ways is refused. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ringback.core.errors import ForbiddenTarget

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LONGEST: Final = 2_000
"""Characters of a URL that comes with a request."""

LEFT_OUT: Final = "…"
"""Stands where a URL's secrets stood."""

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def webhook_url(text: str) -> SplitResult:
    """The parts of a URL that a webhook can be sent to.

    Raises:
        ValueError: it is none; the message says why, after the URL's name.
    """
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in text):
        raise ValueError("contains a space or a control character")
    if "\\" in text:
        raise ValueError("contains a backslash, which programs read in different ways")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from None
    if url.scheme not in DEFAULT_PORTS or not url.hostname or port == 0:
        raise ValueError("is no webhook URL; expected http://host/path or https://host/path")
    if url.fragment:
        raise ValueError(f"has a fragment (#{url.fragment}), which is never sent; leave it out")
    return url


def shown_url(text: str) -> str:
    """A URL as it may be listed and logged: who is named in front of the host is left out, and what the query says."""
    text = without_values(text)
    if "@" not in text:
        return text
    scheme, separator, rest = text.partition("://")
    place = re.split("[/?#]", rest, maxsplit=1)[0]
    before, at, _ = place.rpartition("@")
    return f"{scheme}{separator}{LEFT_OUT}{rest[len(before) :]}" if at else text


def without_values(text: str) -> str:
    """A URL, or its path and query, with the query's names and without its values."""
    path, mark, query = text.partition("?")
    if not query:
        return text
    names = (part.partition("=") for part in query.split("&"))
    return f"{path}{mark}{'&'.join(f'{name}={LEFT_OUT}' if equals else LEFT_OUT for name, equals, _ in names)}"


def guest_url(text: str) -> str:
    """A URL that came with a request, its host written in the one way that every program reads alike.

    Raises:
        ForbiddenTarget: it is no webhook URL, or one that a guest may not name.
    """
    shown = repr(text[:100])
    if len(text) > LONGEST:
        raise ForbiddenTarget(f"{shown}… is longer than {LONGEST} characters")
    try:
        url = webhook_url(text)
    except ValueError as error:
        raise ForbiddenTarget(f"{shown} {error}") from None
    if "@" in url.netloc:
        raise ForbiddenTarget(f"{shown} names a user; webhooks sent for a request carry no credentials")
    assert url.hostname is not None
    has_brackets = "[" in url.netloc or "]" in url.netloc
    host = _bracketed(url.hostname, url.netloc) if has_brackets else _named(url.hostname)
    if host is None:
        raise ForbiddenTarget(f"{shown} has a host that is neither a name nor an address written in the usual way")
    port = "" if url.port in {None, DEFAULT_PORTS[url.scheme]} else f":{url.port}"
    query = f"?{url.query}" if url.query else ""
    return f"{url.scheme}://{host}{port}{url.path or '/'}{query}"


def _bracketed(name: str, netloc: str) -> str | None:
    """The host of a URL whose authority has brackets: an IPv6 address and nothing beside it."""
    if re.fullmatch(r"\[[0-9A-Fa-f:.]+\](:[0-9]*)?", netloc) is None:
        return None
    try:
        return f"[{IPv6Address(name)}]"
    except ValueError:
        return None


def _named(name: str) -> str | None:
    """The host as a plain ASCII name, or as an IPv4 address of four decimal numbers."""
    try:
        host = name.encode("idna").decode().lower().removesuffix(".")
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):  # the resolver would take it for an address, in whatever base
            return str(IPv4Address(host))
    except ValueError:  # UnicodeError is one
        return None
    return host if len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) else None
