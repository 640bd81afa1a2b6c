"""What runs in namespaces of its own: see `tests/acceptance/test_apart.py`. Run there alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.certificates import Authority
from support.internet import Internet, answering, lead_everything_here

collect_ignore_glob = [] if os.environ.get("RINGBACK_APART") == "1" else ["test_*.py"]

PORT = 18_080
PROXY_PORT = 18_081
TLS_PORT = 18_443
STALE_TLS_PORT = 18_444


@pytest.fixture(scope="session", autouse=True)
def apart() -> None:
    """A file that is named by hand is collected all the same."""
    if os.environ.get("RINGBACK_APART") != "1":
        pytest.fail("needs a network of its own: run tests/acceptance/test_apart.py, which makes one", pytrace=False)


@dataclass(frozen=True, slots=True)
class World:
    """The whole of the network, and who vouches in it."""

    internet: Internet
    authority: Authority


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    lead_everything_here(folder)
    internet, authority = Internet(), Authority(folder)
    tls = {TLS_PORT: authority.server("good.test"), STALE_TLS_PORT: authority.server("stale.test", days=-1)}
    with answering(internet, PORT, PROXY_PORT, tls=tls):
        yield World(internet, authority)


@pytest.fixture
def internet(world: World) -> Internet:
    """The network, with nothing that has come before."""
    world.internet.landed.clear()
    world.internet.came.clear()
    return world.internet
