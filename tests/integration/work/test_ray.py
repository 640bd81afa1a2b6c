"""What replicas on Ray have of their own: environments by Ray, hosts and servers that die, clusters that are full."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from ringback.core.spec import Compute, Retries
from ringback.core.workload import Status
from support.catcher import Catcher
from support.packages import wheel
from support.processes import running_in, serving
from support.served import file_of, folder_of
from support.stores import API
from support.waiting import until
from support.world import World, is_running, until_gone

INSTALL_SECONDS = 300
"""Ray makes an environment from a copy of the virtual environment that its node runs in: a large one here."""

UNTIL_TOLD = """
(HERE / f"begun-{request_id}-{workload.attempt}").touch()
while not (HERE / "go").exists():
    time.sleep(0.005)
return os.getpid()
"""


@pytest.fixture
def engine_name() -> str:
    return "ray"


def parent_of(pid: int) -> int:
    return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])


async def test_a_host_that_dies_costs_its_workload_an_attempt_and_nothing_else(world: World) -> None:
    async with world.serving(UNTIL_TOLD, retries=Retries(max_losses=3)):
        workload_id = await world.submit()
        await world.begun(f"begun-{workload_id}-1")
        replica = world.pid()
        os.kill(parent_of(replica), signal.SIGKILL)
        await until_gone(replica)
        await world.begun(f"begun-{workload_id}-2")
        (world.folder / "go").touch()
        ended = await world.ended(workload_id)
    assert (ended.status, ended.attempt) == (Status.COMPLETED, 2)
    assert "lost with its host" in world.facts.of("replica.lost")[0]["reason"]


async def test_what_a_cluster_has_no_room_for_waits_and_is_told_of(world: World) -> None:
    assert world.ray is not None
    hasty = replace(world.ray, patience_seconds=0.5)
    async with world.serving("return 1", engine=hasty, compute=Compute(cpu=4096.0, mem_bytes=2**20)) as pool:
        await world.facts.wait_for("replica.waiting", 1)
        [told] = world.facts.of("replica.waiting")
        assert told["reason"] == "Ray has not placed it yet; it asks for compute.cpu 4096.0, compute.mem 1MiB"
        state = world.store.replicas(API)
        assert (state.ready, state.preparing) == (0, told["reason"])
        workload_id = await world.submit()
        pool.serve(replace(world.api("return 2"), compute=Compute()))
        assert (await world.ended(workload_id)).result == b"2"
        assert world.store.replicas(API).preparing is None


@pytest.mark.timeout(INSTALL_SECONDS + 120)
async def test_what_ray_cannot_install_is_told_in_the_installers_words(world: World) -> None:
    requirements = world.folder / "requirements.txt"
    requirements.write_text("--no-index\nnosuchflower==1.0\n")
    predictor = replace(world.api("return 1").predictor, requirements=requirements)
    async with world.serving("return 1", predictor=predictor):
        await world.facts.wait_for("replica.broken", 1, within=INSTALL_SECONDS)
        [broken, *_] = world.facts.of("replica.broken")
    assert "No matching distribution found for nosuchflower==1.0" in broken["reason"]


async def test_a_change_of_requirements_is_another_environment(world: World) -> None:
    assert world.ray is not None
    requirements = world.folder / "requirements.txt"
    requirements.write_text("flowers==1.0\n")
    before = await world.ray.python_for(requirements)
    assert await world.ray.python_for(requirements) == before
    requirements.write_text("flowers==2.0\n")
    assert await world.ray.python_for(requirements) != before


async def test_a_host_that_cannot_reach_the_server_says_so(world: World) -> None:
    assert world.ray is not None
    await world.ray.door.close()
    async with world.serving("return 1", engine=world.ray):
        await world.facts.wait_for("replica.broken", 1, within=60)
        [broken, *_] = world.facts.of("replica.broken")
    words = (
        f"its replica could not be started by Ray: .*the server at 127.0.0.1:{world.ray.door.port} cannot be reached"
    )
    assert re.match(words, broken["reason"]), broken["reason"]


@pytest.mark.timeout(INSTALL_SECONDS + 120)
def test_ray_makes_the_environment_an_api_asks_for_and_readyz_says_so(ray_cluster: Any, tmp_path: Path) -> None:
    """Workloads are taken in meanwhile; the real command."""
    folder = tmp_path / "api"
    folder_of(
        folder, predictor="import flowers\n\nclass PythonPredictor:\n    def predict(self): return flowers.NAME\n"
    )
    file = wheel(folder, "flowers", "1.0", "NAME = 'tulip'\n")
    (folder / "requirements.txt").write_text(f"{folder / file}\n")
    predictor = {"path": "predictor.py", "dependencies": {"pip": "requirements.txt"}}
    served = file_of(folder, {"name": "echo", "predictor": predictor})
    env = {"RAY_ADDRESS": ray_cluster.get_runtime_context().gcs_address}
    options = ("--engine", "ray")
    with serving(served, tmp_path / "store" / "ringback.db", options=options, env=env, ready=False) as server:

        def preparing() -> bool:
            state = server.wait_for("/readyz", 503, within=60).json()["apis"]["echo"]
            return bool(state["preparing"] == "installing requirements.txt, by Ray")

        until(preparing, within=60, wanted="what it waits for")
        waits = requests.post(f"{server.url}/echo", json={}, timeout=10).json()["id"]
        state = server.wait_for("/readyz", 200, within=INSTALL_SECONDS).json()["apis"]["echo"]
        assert (state["ready"], state["replicas"], state["preparing"]) == (True, 1, None)
        told = requests.get(f"{server.url}/echo/{waits}?wait=30", timeout=40).json()
        assert told["result"] == "tulip"


async def test_a_server_joins_a_cluster_and_leaves_it_in_order(world: World, ray_cluster: Any, tmp_path: Path) -> None:
    """The real command, on the cluster that RAY_ADDRESS names; then the same killed, whose replica goes with it."""
    address = ray_cluster.get_runtime_context().gcs_address
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        start = serving(
            file, tmp_path / "store" / "ringback.db", options=("--engine", "ray"), env={"RAY_ADDRESS": address}
        )
        with start as server:
            answer = await asyncio.to_thread(requests.post, f"{server.url}/echo", json={"a": 1}, timeout=10)
            assert answer.ok
            arrived = await asyncio.to_thread(catcher.wait_for, answer.json()["id"])
            assert arrived.json["result"] == {"a": 1}
            assert len(running_in(file.parent)) == 1
            assert await asyncio.to_thread(server.terminate) == 0
            assert running_in(file.parent) == []

            await asyncio.to_thread(server.start_and_wait)
            [replica] = running_in(file.parent)
            await asyncio.to_thread(server.kill)
            await until_gone(replica)
            assert not is_running(replica)
    assert f"engine.joined address={address}" in server.log()
