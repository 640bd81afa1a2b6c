"""The templates of all parts in one environment: text in, HTML out, escaped unless a template says otherwise.

Blocks named `live_…` are the regions of a page that its stream keeps fresh: rendered alone, compared by digest.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined, TemplateNotFound

from ringback import __version__
from ringback.pages import words
from ringback.pages.assets import Asset, assets_of
from ringback.pages.visitor import Visitor

_SELF: Final = "ringback.pages"
_LIVE: Final = "live_"
_MACROS: Final = "parts.html"
"""A part's macros, if it has any; its templates know them by the part's name."""
_DIGEST_CHARACTERS: Final = 12

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""What every page is sent with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One entry of the navigation."""

    words: str
    path: str


class Pages:
    """Every template and asset of one server."""

    def __init__(self, parts: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        """Read them all.

        Args:
            parts: packages with a `templates` folder, and perhaps an `assets` one, besides this one.
            links: the navigation, the same on every page.
        """
        packages = [_SELF, *parts]
        self._assets = assets_of(packages)
        self._by_path = {asset.path: asset for asset in self._assets.values()}
        loaders = {package.rpartition(".")[2]: PackageLoader(package) for package in packages}
        self._environment = Environment(
            loader=PrefixLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(asset=self._path_of, links=tuple(links), version=__version__)
        self._environment.filters.update(words.FILTERS)
        for name in loaders:
            # As globals, because a region is rendered alone, without what its page has imported.
            with contextlib.suppress(TemplateNotFound):
                self._environment.globals[name] = self._environment.get_template(f"{name}/{_MACROS}").module

    def render(self, template: str, values: Mapping[str, Any], visitor: Visitor, *, path: str = "") -> bytes:
        """A whole page.

        Args:
            template: `<part>/<file>`.
            values: what it names; a name without a value is an error.
            visitor: who looks.
            path: the page's own, which the navigation marks.
        """
        known = {**values, "visitor": visitor, "path": path}
        return self._environment.get_template(template).render(known).encode("utf-8", "replace")

    def regions(self, template: str, values: Mapping[str, Any], visitor: Visitor, *, path: str = "") -> dict[str, str]:
        """The live regions of a page, each by its name without `live_`, as `render` would show them."""
        made = self._environment.get_template(template)
        context = made.new_context({**values, "visitor": visitor, "path": path})
        blocks: Mapping[str, Callable[..., Any]] = made.blocks
        return {
            name.removeprefix(_LIVE): "".join(block(context))
            for name, block in blocks.items()
            if name.startswith(_LIVE)
        }

    def asset(self, path: str) -> Asset | None:
        """The asset at a path, if there is one."""
        return self._by_path.get(path)

    def _path_of(self, name: str) -> str:
        return self._assets[name].path


def digest_of(text: str) -> str:
    """A region's content as a short word: two that differ have different ones."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARACTERS]
