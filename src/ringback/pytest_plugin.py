"""The pytest plugin: two fixtures. Loaded in every run where Ringback is installed, so it imports nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from ringback.testing import Receiver, Server


class ServerMaker(Protocol):
    """What `ringback_server` is: a function that serves a file until the test ends."""

    def __call__(self, file: Path | str, *, webhook: str | None = None) -> Server: ...


@pytest.fixture
def ringback_receiver() -> Iterator[Receiver]:
    """A webhook receiver for one test: `url`, `script(…)`, `wait_for(…)`."""
    from ringback.testing import Receiver  # noqa: PLC0415 - only tests that use it pay for it

    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def ringback_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerMaker]:
    """Serves a file in this process until the test ends: `ringback_server("ringback.yaml", webhook=…)`."""
    from ringback.testing import Server  # noqa: PLC0415

    with ExitStack() as stack:

        def serve(file: Path | str, *, webhook: str | None = None) -> Server:
            folder = tmp_path_factory.mktemp("ringback")
            return stack.enter_context(Server(file, folder=folder, webhook=webhook))

        yield serve
