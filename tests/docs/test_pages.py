"""Every page is found from the index, and every link between pages leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    if ".venv" not in page.parts
)
LINK: Final = re.compile(r"""\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)\"""")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def headings(page: Path) -> set[str]:
    """As they are linked to (docs.github.com, section links)."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in (one or other for one, other in LINK.findall(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, section = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{named(page)}: {target}"
        assert not section or section in headings(found), f"{named(page)}: {target}"


def test_the_index_has_every_page_and_the_readme_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()

    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, f"docs/README.md does not name {page.name}"
    assert "](docs/README.md)" in (ROOT / "README.md").read_text()
