"""The way through a listing: forth, back, and to its beginning, with the filter kept."""

from __future__ import annotations

from urllib.parse import parse_qsl

from ringback.pages import pager
from ringback.pages.paging import Pager

FILTER = {"status": "failed", "q": ""}


def query(text: str | None) -> dict[str, str]:
    assert text is not None
    return dict(parse_qsl(text.removeprefix("?")))


def at(number: int) -> tuple[dict[str, str], Pager]:
    """The page that is so many steps behind the first: what it was asked for with, and where it leads."""
    asked: dict[str, str] = {}
    found = pager(asked, "c1", FILTER)
    for step in range(number):
        asked = query(found.older)
        found = pager(asked, f"c{step + 2}", FILTER)
    return asked, found


def test_the_first_page_leads_on_alone() -> None:
    assert pager({}, None, FILTER) == Pager(newest=None, newer=None, older=None)
    found = pager({}, "c1", FILTER)
    assert (found.newest, found.newer) == (None, None)
    assert query(found.older) == {"status": "failed", "cursor": "c1"}


def test_each_page_leads_back_the_way_one_has_come() -> None:
    asked, found = at(3)
    for _ in range(3):
        before = asked
        asked = query(found.newer)
        found = pager(asked, before["cursor"], FILTER)
        assert query(found.older) == before
        assert asked["status"] == "failed"
    assert asked == {"status": "failed"}
    assert found.newer is None


def test_any_page_leads_to_the_first() -> None:
    assert at(5)[1].newest == "?status=failed"


def test_the_last_page_leads_back_alone() -> None:
    asked, _ = at(2)
    found = pager(asked, None, FILTER)
    assert found.older is None
    assert query(found.newer) == at(1)[0]


def test_a_very_long_way_is_cut_and_then_leads_to_the_first_page_alone() -> None:
    asked, found = at(300)
    assert len(found.older or "") < 1_000
    for _ in range(99):
        asked = query(found.newer)
        found = pager(asked, "x", FILTER)
    assert found.newer is None, "what lies before is not known any more, and nothing is passed over unsaid"
    assert found.newest == "?status=failed"


def test_what_somebody_has_made_up_leads_to_no_error() -> None:
    for back in ("...", "-", "a.-.b", "\0"):
        pager({"cursor": "c", "back": back}, "d", FILTER)
