"""Pages hold together: links lead somewhere, Python on them is Python, examples are what they say."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
LINK: Final = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
BLOCK: Final = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The fragments GitHub makes of a page's headings."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page.read_text()))
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        path, _, fragment = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{target} does not exist"
        if fragment and aim.suffix == ".md":
            assert fragment in anchors(aim), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_on_a_page_is_python(page: Path) -> None:
    for block in BLOCK.findall(page.read_text()):
        ast.parse(block)


def test_the_seed_class_is_unchanged() -> None:
    """Digest of the code block in Cortex's guide; a changed example would prove nothing."""
    digest = hashlib.sha256((ROOT / "examples" / "seed" / "predictor.py").read_bytes()).hexdigest()

    assert digest == "e3a5077ae692970b6529b8f879ff434d3d226d18a3eb151ccca7070b0400d26f"


def test_the_sample_is_a_flower() -> None:
    sample = json.loads((ROOT / "examples" / "iris" / "sample.json").read_text())

    assert set(sample) == {"sepal_length", "sepal_width", "petal_length", "petal_width"}
