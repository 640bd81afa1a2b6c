"""Where replicas run: what starts them, what room there is for them, and what is known of how they end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ringback.core.emit import Emit
from ringback.core.spec import Api
from ringback.work.budget import Budget
from ringback.work.environments import Environments
from ringback.work.memory import Reaper
from ringback.work.process import LocalProcess, Process


class Engine(Protocol):
    """What the replicas of all APIs of one member share."""

    @property
    def budget(self) -> Budget:
        """How many more replicas there may be."""
        ...

    @property
    def reaper(self) -> Reaper:
        """Knows whom this machine's kernel has killed."""
        ...

    @property
    def log_form(self) -> str:
        """How replicas write into the server's log what they print: `text`, `json`, or `short`, for a terminal."""
        ...

    async def python_for(self, requirements: Path) -> Path:
        """The interpreter for an API with these requirements, made ready if need be.

        Raises:
            Unavailable: there can be none; the message says why.
        """
        ...

    def start(self, api: Api, python: Path, folder: Path | None, waits: Callable[[str | None], None]) -> Process:
        """Begin a replica's process; from the main thread, and without waiting for it.

        Args:
            api: what it runs, and what it asks of the machine.
            python: what `python_for` came to.
            folder: where its results that are files belong.
            waits: is called, later, with what has to be waited for before it can begin, in words; then with None.

        Raises:
            Unavailable: there is no room for another.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds. No replica runs any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Replicas are child processes of this one."""

    environments: Environments
    budget: Budget = field(default_factory=Budget)
    reaper: Reaper = field(default_factory=Reaper)
    log_form: str = "text"
    """How replicas write into the server's log what they print: `text`, `json`, or `short`, for a terminal."""

    async def python_for(self, requirements: Path) -> Path:
        return await self.environments.python_for(requirements)

    def start(
        self,
        api: Api,
        python: Path,
        folder: Path | None,  # noqa: ARG002 - a file is seen by both
        waits: Callable[[str | None], None],  # noqa: ARG002 - for nothing
    ) -> Process:
        return LocalProcess(api.predictor, python)

    async def close(self) -> None:
        """There is nothing to let go of."""


def local_engine(environments: Path, emit: Emit, *, log_form: str = "text") -> LocalEngine:
    """The engine of this machine.

    Args:
        environments: the folder for the environments of APIs that bring requirements.
        emit: is told of each environment that is made.
        log_form: how replicas write into the server's log.
    """
    environments_of = Environments(environments, emit, uv=shutil.which("uv"))
    return LocalEngine(environments=environments_of, log_form=log_form)
