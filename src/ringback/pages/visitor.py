"""Who is looking at a page, as the gateway has found out before it hands the request on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, cast

THEME_COOKIE: Final = "ringback_theme"

_PLACE: Final = "ringback.visitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One request's sender."""

    form_token: str
    """What every form must send along; worth nothing in another session."""
    session: str | None = None
    """The session's id; None when no key is asked for, or an API key came with the request."""
    theme: str | None = None
    """`light` or `dark` when the visitor has chosen; None follows the system."""


def place_visitor(scope: MutableMapping[str, Any], visitor: Visitor) -> None:
    """Leave word in an ASGI scope for the application that is called next."""
    scope[_PLACE] = visitor


def visitor_of(scope: Mapping[str, Any]) -> Visitor:
    """Who sent the request that a mounted application has been called with."""
    return cast("Visitor", scope[_PLACE])
