"""Pages and assets: escaped, complete, and loaded from the server alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from jinja2 import UndefinedError

from ringback.pages import ASSETS_PATH, PAGE_HEADERS, Link, Mount, Pages, Visitor
from ringback.pages.book import digest_of

SRC: Final = Path(__file__).parents[3] / "src" / "ringback"
VISITOR: Final = Visitor(form_token="t0ken")
TEMPLATES: Final = sorted(SRC.glob("*/templates/**/*.html"))
SCRIPTS: Final = sorted(SRC.glob("*/assets/*.js"))


def problem_page(pages: Pages, detail: str, visitor: Visitor = VISITOR, path: str = "/") -> str:
    values = {"status": 404, "title": "There is nothing here", "detail": detail}
    return pages.render("pages/problem.html", values, visitor, path=path).decode()


def test_whatever_is_told_stays_text() -> None:
    page = problem_page(Pages(), "<script>alert(1)</script> & \ud800")

    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; ?" in page
    assert "<script>alert" not in page


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Pages().render("pages/problem.html", {}, VISITOR)


def test_the_navigation_marks_where_one_is() -> None:
    pages = Pages(links=[Link(words="Overview", path="/"), Link(words="Workloads", path="/-/ui/workloads")])

    assert 'href="/" aria-current="page"' in problem_page(pages, "x")
    below = problem_page(pages, "x", path="/-/ui/workloads/iris/1")
    assert 'href="/-/ui/workloads" aria-current="page"' in below
    assert 'href="/" aria-current' not in below


def test_the_theme_is_the_visitors_choice() -> None:
    assert '<html lang="en">' in problem_page(Pages(), "x")
    dark = Visitor(form_token="t", theme="dark")
    assert '<html lang="en" data-theme="dark">' in problem_page(Pages(), "x", dark)


def test_only_who_is_logged_in_can_log_out() -> None:
    assert "/-/logout" not in problem_page(Pages(), "x")
    assert "/-/logout" in problem_page(Pages(), "x", Visitor(form_token="t", session="s"))


def test_every_form_that_posts_carries_the_token() -> None:
    for template in TEMPLATES:
        for form in re.findall(r"<form\b.*?</form>", template.read_text(), re.DOTALL):
            if 'method="post"' in form:
                assert "form_token" in form or "token(visitor)" in form, f"{template.name}: {form[:80]}"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_to_the_content_security_policy(template: Path) -> None:
    text = template.read_text()

    assert re.search(r"\sstyle=|<style|\son\w+=|javascript:", text) is None
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert re.search(r"(?:src|href|action)=\"(?:https?:)?//", text) is None, "no request leaves the machine"


def test_assets_are_addressed_by_their_content() -> None:
    pages = Pages()
    page = problem_page(pages, "x")
    paths = re.findall(rf'"({ASSETS_PATH}/[^"]+)"', page)

    assert len(paths) == 3
    for path in paths:
        asset = pages.asset(path)
        assert asset is not None
        assert digest_of(asset.body.decode()) in path
        assert asset.media_type.split(";")[0] in {"text/css", "text/javascript", "image/svg+xml"}
    assert pages.asset(f"{ASSETS_PATH}/../book.py") is None


def test_no_asset_asks_another_server() -> None:
    for file in (*SCRIPTS, *SRC.glob("*/assets/*.css")):
        assert re.search(r"https?://(?!www\.w3\.org)", file.read_text()) is None, file.name


def test_nothing_inline_nothing_framed_nothing_from_elsewhere() -> None:
    policy = PAGE_HEADERS["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/", True),
        ("/-/ui", True),
        ("/-/ui/x/y", True),
        ("/-/uix", False),
        ("/x", False),
        ("//", False),
        ("", False),
    ],
)
def test_a_mount_holds_what_is_below_its_paths(path: str, held: bool) -> None:
    async def nothing(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    assert Mount(paths=("/", "/-/ui"), application=nothing).holds(path) is held
