"""Limits with teeth: every file can be read in one sitting, and says in its head what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted((ROOT / "src").rglob("*.py"))
FILE_LINES: Final = 400
FUNCTION_LINES: Final = 60

ALLOWED_LONG: Final[dict[str, str]] = {}
"""`file::function` and the reason it may be longer. May only shrink."""


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file and its length in lines, its docstring left out."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            yield f"{file.relative_to(ROOT)}::{node.name}", (node.end_lineno or 0) - first.lineno + 1


def test_there_is_something_to_measure() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_short_and_says_what_it_is_for(file: Path) -> None:
    text = file.read_text()

    assert len(text.splitlines()) <= FILE_LINES
    assert ast.get_docstring(ast.parse(text)), "a module starts with what it is for"


def test_functions_are_short() -> None:
    too_long = {name: lines for file in SOURCES for name, lines in functions(file) if lines > FUNCTION_LINES}

    assert too_long.keys() <= ALLOWED_LONG.keys(), too_long


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}

    assert [file for file in SOURCES if file.stem in drawers] == []
