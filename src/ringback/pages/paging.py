"""The way through a listing, page by page, forth and back: kept in the page's own address. Pure.

A cursor says where a page begins and nothing of the page before it, so an address carries the cursors it has come by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

CURSOR: Final = "cursor"
BACK: Final = "back"
"""The cursors of the pages between the first and this one."""

_APART: Final = "."
_CUT: Final = "-"
"""Stands where the beginning of a long way has been left out: from there only the first page is known."""
_MOST_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Where a page leads, each as the query of an address; None where it does not."""

    newest: str | None
    newer: str | None
    older: str | None


def pager(query: Mapping[str, str], following: str | None, kept: Mapping[str, str]) -> Pager:
    """Where a page leads.

    Args:
        query: what the page was asked for with.
        following: the cursor of the next page, if there is one.
        kept: the filter, which stays with whoever pages on.
    """
    here = query.get(CURSOR, "")
    way = [each for each in query.get(BACK, "").split(_APART) if each]
    beyond = [*way, here] if here else []
    if len(beyond) > _MOST_STEPS:
        beyond = [_CUT, *beyond[1 - _MOST_STEPS :]]
    is_known = not way or way[-1] != _CUT
    return Pager(
        newest=_query(kept, "", []) if here else None,
        newer=_query(kept, way[-1] if way else "", way[:-1]) if here and is_known else None,
        older=None if following is None else _query(kept, following, beyond),
    )


def _query(kept: Mapping[str, str], cursor: str, way: list[str]) -> str:
    """With what is not empty of it; never empty itself, so that it leads away from another page's query."""
    wanted = {**kept, CURSOR: cursor, BACK: _APART.join(way)}
    return "?" + urlencode({name: value for name, value in wanted.items() if value})
