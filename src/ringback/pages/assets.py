"""What pages load besides themselves: read once from the package, served under an address that names the content.

An address changes with the content, so a browser may keep each for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

ASSETS_PATH: Final = "/-/assets"
"""Assets are for everyone: they say nothing of what is served, and the login page needs them."""

_FOLDER: Final = "assets"
_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file: where it is asked for, and what it is."""

    path: str
    media_type: str
    body: bytes


def assets_of(parts: Sequence[str]) -> dict[str, Asset]:
    """The assets of packages, each under `<part>/<file>`: what is in the `assets` folder of each.

    Args:
        parts: packages by their full names; the last word of it is the part's name.
    """
    return dict(found for part in parts for found in _assets_in(part))


def _assets_in(part: str) -> Iterator[tuple[str, Asset]]:
    folder = files(part) / _FOLDER
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.startswith("."):
            yield f"{part.rpartition('.')[2]}/{file.name}", _asset(file)


def _asset(file: Traversable) -> Asset:
    body = file.read_bytes()
    stem, _, kind = file.name.rpartition(".")
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(path=f"{ASSETS_PATH}/{stem}.{digest}.{kind}", media_type=_TYPES[kind], body=body)
