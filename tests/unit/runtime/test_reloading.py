"""What is read again, and that a wrong file reaches nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.spec import Api
from ringback.runtime.reloading import Reloader
from ringback.runtime.specfile import load
from support.facts import Facts

ONE = "- name: iris\n  predictor: {path: predictor.py}\n"


@dataclass(slots=True)
class Served:
    reader: Reloader
    facts: Facts
    served: list[list[str]] = field(default_factory=list)
    changed: list[Collection[Path] | None] = field(default_factory=list)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "predictor.py").touch()
    path = tmp_path / "ringback.yaml"
    path.write_text(ONE)
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text)


def reading(file: Path) -> Served:
    facts, served = Facts(), list[list[str]]()
    changes: list[Collection[Path] | None] = []

    async def serve(apis: Sequence[Api], changed: Collection[Path] | None) -> None:
        served.append([api.name for api in apis])
        changes.append(changed)

    return Served(Reloader(load(file, {}), serve, facts), facts, served, changes)


async def test_what_the_file_says_now_is_served(file: Path) -> None:
    it = reading(file)
    write(file, ONE.replace("iris", "rose"))
    assert await it.reader.reload()
    assert it.served == [["rose"]]
    assert it.facts.of("file.reloaded") == [{"file": str(file), "added": "rose", "removed": "iris"}]


async def test_each_thing_that_is_wrong_is_told_with_its_place_and_nothing_is_served(file: Path) -> None:
    it = reading(file)
    write(file, "- name: iris\n  timeout: soon\n  predictor: {pth: x}\n")
    assert not await it.reader.reload()
    assert it.served == []
    reasons = [str(fact["reason"]) for fact in it.facts.of("file.refused")]
    assert [reason.removeprefix(str(file)).split(" ")[0] for reason in reasons] == [":2:12:", ":3:14:", ":3:15:"]
    write(file, ONE)
    assert await it.reader.reload()


async def test_readings_that_come_together_take_turns(file: Path) -> None:
    it = reading(file)
    assert await asyncio.gather(*(it.reader.reload() for _ in range(3))) == [True] * 3
    assert it.served == [["iris"]] * 3


async def test_which_files_have_changed_is_handed_on_if_it_is_known(file: Path) -> None:
    it = reading(file)
    assert await it.reader.reload()
    assert await it.reader.reload({file})
    assert it.changed == [None, {file}]


async def test_once_it_is_over_nothing_is_handed_on_and_what_was_under_way_is_through(file: Path) -> None:
    begun, enough, through = asyncio.Event(), asyncio.Event(), list[str]()

    async def serve(apis: Sequence[Api], _: Collection[Path] | None) -> None:
        begun.set()
        await enough.wait()
        through.extend(api.name for api in apis)

    reader = Reloader(load(file, {}), serve, Facts())
    under_way, behind = asyncio.create_task(reader.reload()), asyncio.create_task(reader.reload())
    await begun.wait()
    stopping = asyncio.create_task(reader.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    enough.set()
    await stopping
    assert through == ["iris"]
    assert [await each for each in (under_way, behind)] == [True, False]
    assert not await reader.reload()
