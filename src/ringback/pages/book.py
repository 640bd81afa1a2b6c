"""The templates of all parts in one environment: text in, HTML out, escaped unless a template says otherwise.

Blocks named `live_…` are the regions of a page that its stream keeps fresh: rendered alone, compared by digest.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ringback import __version__
from ringback.pages import words
from ringback.pages.assets import Asset, assets_of
from ringback.pages.visitor import Visitor

if TYPE_CHECKING:
    from jinja2 import Environment

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
    """Every template and asset of one server.

    Read when the first page is asked for, or by `warm`: a server that nobody looks at starts without.
    """

    def __init__(self, parts: Sequence[str] = (), links: Sequence[Link] = ()) -> None:
        """Say what there is.

        Args:
            parts: packages with a `templates` folder, and perhaps an `assets` one, besides this one.
            links: the navigation, the same on every page.
        """
        self.packages = tuple(parts)
        """As they were given."""
        self._links = tuple(links)
        self._byte_code: dict[str, bytes] = {}

    def warm(self, byte_code: Mapping[str, bytes]) -> None:
        """Have everything read, so that no visitor waits for it.

        Args:
            byte_code: what `byte_code` has told, in this process or another. What is missing is compiled, which takes
                half a second for all.
        """
        self._byte_code.update(byte_code)
        self._read_all()
        self._byte_code.clear()

    def byte_code(self) -> Mapping[str, bytes]:
        """All templates, compiled."""
        self._read_all()
        return self._byte_code

    def _read_all(self) -> None:
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    @cached_property
    def _assets(self) -> dict[str, Asset]:
        return assets_of((_SELF, *self.packages))

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined, TemplateNotFound  # noqa: PLC0415

        from ringback.pages.compiled import Compiled  # noqa: PLC0415

        loaders = {package.rpartition(".")[2]: PackageLoader(package) for package in (_SELF, *self.packages)}
        made = Environment(
            loader=PrefixLoader(loaders),
            bytecode_cache=Compiled(self._byte_code),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        made.globals.update(asset=self._path_of, links=self._links, version=__version__)
        made.filters.update(words.FILTERS)
        for name in loaders:
            # As globals, because a region is rendered alone, without what its page has imported.
            with contextlib.suppress(TemplateNotFound):
                made.globals[name] = made.get_template(f"{name}/{_MACROS}").module
        return made

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
        return next((asset for asset in self._assets.values() if asset.path == path), None)

    def _path_of(self, name: str) -> str:
        return self._assets[name].path


def digest_of(text: str) -> str:
    """A region's content as a short word: two that differ have different ones."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARACTERS]
