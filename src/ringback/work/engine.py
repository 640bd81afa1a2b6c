"""What one machine gives to the replicas of all APIs: room, environments, and what is known of how they end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ringback.core.emit import Emit
from ringback.work.budget import Budget
from ringback.work.environments import Environments
from ringback.work.memory import Reaper


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The local engine: replicas are child processes of this one."""

    environments: Environments
    budget: Budget = field(default_factory=Budget)
    reaper: Reaper = field(default_factory=Reaper)
    logs_as_json: bool = False
    """How replicas write into the server's log what they print."""


def local_engine(environments: Path, emit: Emit, *, logs_as_json: bool = False) -> Engine:
    """The engine of this machine.

    Args:
        environments: the folder for the environments of APIs that bring requirements.
        emit: is told of each environment that is made.
        logs_as_json: how replicas write into the server's log.
    """
    return Engine(environments=Environments(environments, emit, uv=shutil.which("uv")), logs_as_json=logs_as_json)
