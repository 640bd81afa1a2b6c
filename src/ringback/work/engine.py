"""What one machine gives to the replicas of all APIs: room for them, and what is known of how they end."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.work.budget import Budget
from ringback.work.memory import Reaper


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The local engine: replicas are child processes of this one."""

    budget: Budget = field(default_factory=Budget)
    reaper: Reaper = field(default_factory=Reaper)
