"""A world for each test of the pool and its parts; tests marked `every_engine` run on each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.core.clock import HandWound
from ringback.store.sqlite import open_sqlite
from ringback.work.cluster.engine import RayEngine, engine_on
from support.facts import Facts
from support.ground import cluster
from support.world import World


@pytest.fixture(scope="session")
def ray_cluster() -> Any:
    """The run's."""
    return cluster()


@pytest.fixture
def engine_name() -> str:
    """Which engine the test runs on; `every_engine` makes it each in turn."""
    return "local"


@pytest.fixture
def blob_place() -> str:
    """Where the test's blobs are kept."""
    return "folder"


@pytest.fixture
async def world(tmp_path: Path, engine_name: str, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    clock = HandWound()
    engine: RayEngine | None = None
    facts = Facts()
    if engine_name == "ray":
        engine = await engine_on(request.getfixturevalue("ray_cluster"), "127.0.0.1", facts)
    store = await open_sqlite(tmp_path / "ringback.db", clock=clock)
    yield World(tmp_path, store, clock, facts, ray=engine)
    await store.close()
    if engine is not None:
        await engine.door.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The promises of replicas hold on each engine, and those about files wherever blobs are."""
    engines = ["local", "ray"] if metafunc.definition.get_closest_marker("every_engine") else ["local"]
    if "warehouse" in metafunc.fixturenames:
        both = [("local", "folder"), ("local", "s3"), ("ray", "folder")][: len(engines) + 1]
        metafunc.parametrize(("engine_name", "blob_place"), both)
    elif "world" in metafunc.fixturenames and len(engines) > 1:
        metafunc.parametrize("engine_name", engines)
