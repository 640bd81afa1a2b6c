"""The systems measured. Each starts itself in a folder and tells where to submit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A system that is up."""

    url: str
    """Where to submit."""
    pids: tuple[int, ...]
    """Its processes without their children."""
    first_accepted_seconds: float | None = None
    """From its start to the first workload it accepted, where that was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Something that takes workloads and rings back."""

    name: str
    start: Callable[[Path, int], AbstractContextManager[Running]]
    """Start in a folder, ringing a receiver's port. Raises `processes.NotThere`."""
    workloads: int
    """As many as keep it busy for some seconds."""
