"""No module needs, by a detour, one that needs it: not when it is loaded, and not for its types alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

SRC: Final = Path(__file__).parents[2] / "src"


def modules(root: Path) -> dict[str, Path]:
    """Every module below a folder, by its dotted name; a package by its own."""
    found = {}
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path) -> Iterator[tuple[str, ...]]:
    """What a module imports anywhere in it: each as the names it may stand for, the longest first."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((each.name,) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            yield from ((f"{source}.{each.name}", source) for each in node.names)


def needs(root: Path) -> dict[str, set[str]]:
    """Which modules each needs, of those there are."""
    known = modules(root)
    graph = {}
    for name, file in known.items():
        meant = (next((each for each in names if each in known), None) for names in imports(name, file))
        graph[name] = {each for each in meant if each is not None and each != name}
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle, its first module at its end again; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_needs_one_that_needs_it() -> None:
    graph = needs(SRC)
    assert len(graph) > 100
    assert circle(graph) == [], "move what both need to where it belongs"


@pytest.mark.parametrize(
    "there",
    [
        "from p.sub.here import Here\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.sub.here import Here\n",
        "def f():\n    import p.sub.here\n",
        "from .sub.here import Here\n",
        "from .sub import here\n",
        "from p.sub import here\n",
    ],
)
def test_a_circle_is_found_however_it_is_written(there: str, tmp_path: Path) -> None:
    (tmp_path / "p" / "sub").mkdir(parents=True)
    for package in ("p", "p/sub"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "p" / "there.py").write_text(there)
    here = tmp_path / "p" / "sub" / "here.py"
    here.write_text("from ..there import There\n")
    assert set(circle(needs(tmp_path))) == {"p.there", "p.sub.here"}
    here.write_text("import json\n")
    assert circle(needs(tmp_path)) == []
