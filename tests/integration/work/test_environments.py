"""Environments that are really made, from packages that need no index."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.core.errors import Unavailable
from ringback.core.spec import Api, Predictor
from ringback.work.environments import Environments
from support.packages import wheel
from support.stores import API
from support.world import World

FLOWERS = """
import importlib.util
import flowers

class PythonPredictor:
    def predict(self, payload):
        has_ours = importlib.util.find_spec("ringback") is not None
        import os, shutil, sys
        at_home = sys.prefix == os.environ["VIRTUAL_ENV"] and shutil.which("python").startswith(sys.prefix)
        return [flowers.NAME, has_ours, at_home]
"""

STANDS_IN_FOR_UV = f"""#!{sys.executable}
import subprocess, sys
with open(__file__ + ".log", "a") as log:
    print(*sys.argv[1:3], file=log)
if sys.argv[1] == "venv":
    command = [sys.executable, "-m", "venv", sys.argv[-1]]
else:
    command = [sys.argv[sys.argv.index("--python") + 1], "-m", "pip", "install", *sys.argv[-2:]]
sys.exit(subprocess.call(command))
"""


async def ran(world: World) -> bytes | None:
    """The result of one workload, which may have to wait for an environment."""
    workload_id = await world.submit()
    return (await world.store.ended(API, workload_id, 60)).result


def with_flowers(world: World, version: str, name: str) -> Api:
    file = wheel(world.folder, "flowers", version, f"NAME = {name!r}\n")
    (world.folder / "requirements.txt").write_text(f"./{file}\n")
    api = world.api(FLOWERS)
    predictor = Predictor(path=api.predictor.path, requirements=world.folder / "requirements.txt")
    return world.api(FLOWERS, predictor=predictor)


async def test_an_api_runs_with_its_own_packages_and_another_when_they_change(world: World) -> None:
    api = with_flowers(world, "1.0", "rose")
    async with world.serving(FLOWERS, predictor=api.predictor) as pool:
        state = world.store.replicas(API)
        assert (state.ready, state.takes_work, state.problem) == (0, False, None)
        assert state.preparing == "installing requirements.txt"
        assert (await ran(world)) == b'["rose",false,true]'
        assert world.store.replicas(API).preparing is None

        pool.serve(with_flowers(world, "2.0", "tulip"))
        assert (await ran(world)) == b'["rose",false,true]', "the old one serves while the new one is made"
        await world.facts.wait_for("environment.made", 2, within=60)
        await world.facts.wait_for("replica.retired", 1, within=60)
        assert (await ran(world)) == b'["tulip",false,true]'

        pool.serve(with_flowers(world, "2.0", "tulip"))
        await world.facts.wait_for("replica.retired", 2, within=60)
        made = len(world.facts.of("environment.made"))
    assert made <= 3, "a wheel that was written anew may look like another, but nothing is made without reason"


async def test_what_cannot_be_installed_is_said_and_tried_again_with_the_next_version(world: World) -> None:
    api = with_flowers(world, "1.0", "rose")
    (world.folder / "requirements.txt").write_text("--no-index\nnosuchflower==1.0\n")
    async with world.serving(FLOWERS, predictor=api.predictor) as pool:
        await world.facts.wait_for("environment.failed", 1, within=60)
        state = world.store.replicas(API)
        assert state.is_stuck
        assert state.problem is not None
        assert state.problem.startswith("requirements.txt cannot be installed: ")
        assert "nosuchflower" in state.problem
        assert world.facts.of("replica.started") == []
        pool.serve(with_flowers(world, "1.0", "rose"))
        assert (await ran(world)) == b'["rose",false,true]'
        assert world.store.replicas(API).problem is None


async def test_a_failure_leaves_the_replicas_of_the_old_version(world: World) -> None:
    api = with_flowers(world, "1.0", "rose")
    async with world.serving(FLOWERS, predictor=api.predictor) as pool:
        await world.facts.wait_for("replica.ready", 1, within=60)
        (world.folder / "requirements.txt").write_text("--no-index\nnosuchflower==1.0\n")
        pool.serve(api)
        await world.facts.wait_for("environment.failed", 1, within=60)
        assert (await ran(world)) == b'["rose",false,true]'
        assert world.store.replicas(API).takes_work
        assert "nosuchflower" in str(world.store.replicas(API).problem)


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text(f"./{wheel(tmp_path, 'flowers', '1.0', 'NAME = 1')}\n")
    return tmp_path / "requirements.txt"


async def test_several_who_want_the_same_make_it_once(world: World, requirements: Path) -> None:
    houses = [Environments(world.folder / "made", world.facts) for _ in range(3)]
    pythons = await asyncio.gather(*(house.python_for(requirements) for house in houses))
    assert len(set(pythons)) == 1
    assert len(world.facts.of("environment.made")) == 1
    assert houses[0].standing(requirements) == (True, None)


async def test_a_piece_that_a_crash_has_left_is_made_anew(world: World, requirements: Path) -> None:
    environments = Environments(world.folder / "made", world.facts)
    making = asyncio.create_task(environments.python_for(requirements))
    await world.facts.wait_for("environment.making", 1, within=60)
    async with asyncio.timeout(20):
        while not list((world.folder / "made").glob("*/pyvenv.cfg")):
            await asyncio.to_thread(os.sched_yield)
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    assert environments.standing(requirements) == (False, None)
    assert (await environments.python_for(requirements)).exists()


async def test_uv_makes_them_where_there_is_one(world: World, requirements: Path) -> None:
    uv = world.folder / "uv"
    uv.write_text(STANDS_IN_FOR_UV)
    uv.chmod(0o755)
    environments = Environments(world.folder / "made", world.facts, uv=str(uv))
    python = await environments.python_for(requirements)
    await asyncio.to_thread(subprocess.run, [python, "-c", "import flowers"], check=True, timeout=60)
    assert (world.folder / "uv.log").read_text() == "venv --no-project\npip install\n"


async def test_a_folder_that_cannot_be_written_is_said(world: World, requirements: Path) -> None:
    (world.folder / "made").touch()
    with pytest.raises(Unavailable, match=r"no environment for requirements.txt can be made: "):
        await Environments(world.folder / "made", world.facts).python_for(requirements)
