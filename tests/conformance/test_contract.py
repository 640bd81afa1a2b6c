"""No promise without a test: the numbers in the contract's docstrings and those in the tests' names are the same."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from ringback.store import contract

CONTRACT = Path(contract.__file__).parent
PROMISE = re.compile(r"^ +([A-Z]{1,2}\d+)  \S", re.MULTILINE)
NAMED = re.compile(r"_([A-Z]{1,2}\d+)(?=_)")


def numbers() -> list[str]:
    """The numbers of all promises, one for each."""
    return [number for file in sorted(CONTRACT.glob("*.py")) for number in PROMISE.findall(file.read_text())]


def test_no_number_is_given_twice() -> None:
    """One test would pass for both of its promises."""
    assert [number for number, times in Counter(numbers()).items() if times > 1] == []


def test_every_promise_has_a_test_and_every_number_is_a_promise() -> None:
    promised = set(numbers())
    tested: set[str] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                tested |= set(NAMED.findall(node.name))

    assert len(promised) > 40
    assert tested == promised
