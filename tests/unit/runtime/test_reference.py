"""The tables of the reference pages name every key and every setting, each once."""

from __future__ import annotations

import re

import pytest

from ringback.core.settings import OPTIONS
from ringback.runtime.reference import fill, tables
from ringback.runtime.specfile.schema import SECTIONS


def rows_of(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_a_row_or_named_as_ignored(section: str) -> None:
    table = tables()[f"file.{section}".removesuffix(".")]
    keys = SECTIONS[section]

    assert [row[0] for row in rows_of(table)] == [f"`{name}`" for name, key in keys.items() if not key.ignored]
    assert all(len(row) == 4 for row in rows_of(table))
    said = table.partition("for Cortex's sake: ")[2]
    assert re.findall(r"`(\w+)`", said) == [name for name, key in keys.items() if key.ignored]


def test_required_keys_and_defaults_are_told() -> None:
    webhook = {row[0]: row[2] for row in rows_of(tables()["file.webhook"])}
    api = {row[0]: row[2] for row in rows_of(tables()["file"])}

    assert webhook["`url`"] == "**required**"
    assert webhook["`secret`"] == ""
    assert webhook["`retry`"] == "`[5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 1d]`"
    assert webhook["`events`"] == "`[batch.completed, completed, failed]`"
    assert (api["`timeout`"], api["`retention`"], api["`concurrency`"]) == ("`1h`", "`7d`", "`1`")


def test_every_setting_is_a_row_with_its_variable_and_default() -> None:
    rows = rows_of(tables()["settings"])

    assert [row[:2] for row in rows] == [[f"`--{option.name}`", f"`{option.variable}`"] for option in OPTIONS]
    assert [row[2].strip("`") for row in rows] == [option.default for option in OPTIONS]


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = "before\n<!-- table: settings -->\nwhat was here\n<!-- end -->\nafter\n"

    filled = fill(page)

    assert filled.startswith("before\n<!-- table: settings -->\n| option |")
    assert filled.endswith("|\n<!-- end -->\nafter\n")
    assert "what was here" not in filled
    assert fill(filled) == filled
