"""The pages in docs/ say what the code says: generated tables are current, examples load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from ringback.gateway.problems import STATUS
from ringback.runtime.reference import fill
from ringback.runtime.specfile import load

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
YAML: Final = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: str(page.name))
def test_generated_tables_are_current(page: Path) -> None:
    """Mend with: python -m ringback.runtime.reference docs"""
    assert page.read_text() == fill(page.read_text())


def test_every_status_of_a_problem_is_on_the_page() -> None:
    told = re.findall(r"^\| (4\d\d|503) \|", (DOCS / "http.md").read_text(), re.MULTILINE)
    assert told == sorted({str(status) for status, _ in STATUS.values() if status != 500})


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *(DOCS / f"{name}.md" for name in ("file", "lives", "replicas", "autoscaling", "inspector"))],
    ids=lambda page: str(page.name),
)
def test_yaml_on_the_pages_can_be_served(page: Path, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").touch()
    environment = {"HELLO_SECRET": "whsec_" + "A" * 43 + "=", "IRIS_SECRET": "whsec_" + "B" * 43 + "="}
    examples = YAML.findall(page.read_text())

    assert examples
    for example in examples:
        file = tmp_path / "ringback.yaml"
        file.write_text(example)
        assert load(file, environment).apis
