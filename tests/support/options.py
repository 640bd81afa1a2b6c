"""`pytest --store=postgresql`, `--engine=ray`: the same tests on other ground; what stays out there has its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import ground
from support.postgres import drop_databases_in


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ringback", "what the servers of the tests stand on")
    group.addoption("--store", choices=["sqlite", "postgresql"], default="sqlite", help="where they keep their state")
    group.addoption("--engine", choices=["local", "ray"], default="local", help="what their replicas run on")


def pytest_configure(config: pytest.Config) -> None:
    ground.choose(store=config.getoption("--store"), engine=config.getoption("--engine"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if ground.is_on_ray():
        others = [each for each in items if each.get_closest_marker("every_engine") is None]
        config.hook.pytest_deselected(items=others)
        items[:] = [each for each in items if each.get_closest_marker("every_engine") is not None]
    for item in items:
        for name, is_elsewhere in (("on_file", ground.is_on_postgresql()), ("on_this_machine", ground.is_on_ray())):
            marker = item.get_closest_marker(name)
            if marker is not None and is_elsewhere:
                [reason] = marker.args
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_setup() -> None:
    if ground.is_on_ray():
        ground.cluster()  # here, on the main thread, whoever asks for a server later


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    yield
    if folder is not None and ground.is_on_postgresql():
        drop_databases_in(folder)
