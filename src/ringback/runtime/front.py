"""What browsers are shown: the parts with pages, put under their paths. The one place that says which there are."""

from __future__ import annotations

from typing import Final

from ringback.gateway import Front
from ringback.pages import Link, Pages

_PARTS: Final[tuple[str, ...]] = ()
"""Packages with templates and assets of their own."""

_LINKS: Final[tuple[Link, ...]] = ()
"""The navigation, on every page."""


def front_of(public_url: str) -> Front:
    """The pages of all parts, each part's application hung into the gateway."""
    return Front(pages=Pages(_PARTS, _LINKS), mounts=(), public_url=public_url)
