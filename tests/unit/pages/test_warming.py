"""Templates that another process has compiled: taken where they fit, done without where they do not."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from ringback.pages import Pages, Visitor
from ringback.pages.warming import compiled_apart, warm
from support.waiting import eventually

PARTS: Final = ("ringback.dashboard", "ringback.inspector")
VALUES: Final = {"status": 404, "title": "There is nothing here", "detail": "x"}


def problem_page(pages: Pages) -> str:
    return pages.render("pages/problem.html", VALUES, Visitor(form_token="t0ken")).decode()


def altered(byte_code: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The same with another word in it, to be told apart by."""
    return {name: code.replace(b"<main", b"<MAIN") for name, code in byte_code.items()}


async def test_another_process_compiles_what_this_one_would() -> None:
    assert await compiled_apart(PARTS) == Pages(PARTS).byte_code()


async def test_what_has_been_brought_is_not_compiled_again() -> None:
    pages = Pages(PARTS)
    pages.warm(altered(await compiled_apart(PARTS)))
    assert "<MAIN" in problem_page(pages)


async def test_byte_code_of_another_source_is_left_alone() -> None:
    made = altered(Pages(PARTS).byte_code())
    names = sorted(made)
    pages = Pages(PARTS)
    pages.warm(dict(zip(names, (made[name] for name in (*names[1:], names[0])), strict=True)))
    assert problem_page(pages) == problem_page(Pages())


@pytest.mark.parametrize(
    "python", ["exit 1", "echo no byte code; exit 3", None], ids=["failing", "talking", "not there"]
)
async def test_without_the_other_process_the_pages_are_compiled_here(tmp_path: Path, python: str | None) -> None:
    impostor = tmp_path / "python"
    if python is not None:
        impostor.write_text(f"#!/bin/sh\n{python}\n")
        impostor.chmod(0o700)
    assert await compiled_apart(PARTS, python=str(impostor)) == {}
    pages = Pages(PARTS)
    pages.warm({})
    assert problem_page(pages) == problem_page(Pages())


async def test_one_who_stops_meanwhile_leaves_no_process_behind(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    slow = tmp_path / "python"
    slow.write_text(
        f"#!{sys.executable}\nimport os, signal\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\nsignal.pause()\n"
    )
    slow.chmod(0o700)
    compiling = asyncio.ensure_future(compiled_apart(PARTS, python=str(slow)))
    await eventually(lambda: mark.exists() and mark.read_text())
    compiling.cancel()
    await asyncio.gather(compiling, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


async def test_pages_are_warm_in_the_end() -> None:
    pages = Pages(PARTS)
    await warm(pages)
    assert problem_page(pages) == problem_page(Pages())
