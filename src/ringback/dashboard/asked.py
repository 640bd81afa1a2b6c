"""What a page is asked for with, what it is made of, and what every view works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ringback.core.errors import InvalidParameter
from ringback.core.spec import Api, Endpoint
from ringback.dashboard.hour import Hour
from ringback.store.contract import Store

PREFIX: Final = "/-/ui"
"""Where all pages but the first are."""

STREAM_PATH: Final = f"{PREFIX}/stream"
"""Where the page that is open is kept fresh from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for a page."""

    path: str
    places: Mapping[str, str]
    """What stands in the path where its pattern has a name."""
    query: Mapping[str, str]

    def choice(self, name: str, known: frozenset[str] | set[str]) -> str | None:
        """A parameter that is one of these words; None when it is left out or empty.

        Raises:
            InvalidParameter: it is another word.
        """
        text = self.query.get(name, "")
        if text and text not in known:
            raise InvalidParameter(f"{name}={text[:40]!r} is none of {', '.join(sorted(known))}")
        return text or None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page to be: its template and what that names."""

    template: str
    values: Mapping[str, Any]
    marks: str = ""
    """The path the navigation marks; the page's own by default."""


MakeView = Callable[[Asked], Awaitable[View]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What all views look at."""

    store: Store
    apis: Mapping[str, Api]
    """By name."""
    hour: Hour
    endpoints: Mapping[str, tuple[Api, Endpoint]] = field(default_factory=dict)
    """Those of the file, by key."""
    has_inspector: bool = False
    """Whether there are pages that show what inboxes have captured."""
