"""Why a replica has ended: what its parent learns on the way, and the judgement once it is over."""

from __future__ import annotations

import signal
from typing import Final

from ringback.core.quantities import about_size
from ringback.core.workload import ErrorType
from ringback.work.memory import Reaper
from ringback.work.owner import Gone
from ringback.work.process import End

_BY_FORCE: Final = "was killed by the server: a workload had run past its time-out, or past the grace of its cancel"


class Cause:
    """What is known of one replica's end."""

    __slots__ = ("broken", "fault", "is_by_force", "is_killed", "over_memory")

    def __init__(self) -> None:
        """Nothing is wrong."""
        self.is_killed = False
        """Whether it was killed from here, for whatever reason."""
        self.is_by_force = False
        """Whether that was because a workload had to end."""
        self.broken: tuple[str | None, str] = None, ""
        """The child's own words about why it cannot start: the reason, and how that came about in lines."""
        self.fault: str | None = None
        """What it has done against the wire's rules, as a clause."""
        self.over_memory: str | None = None
        """How far it was over its limit, as a clause."""

    def exceeds(self, used_bytes: int, limit_bytes: int) -> None:
        """It uses more memory than it may."""
        used, limit = about_size(used_bytes), about_size(limit_bytes)
        self.over_memory = f"used {used} of memory, over its limit of {limit} (compute.mem)"

    def gone(self, end: End, reaper: Reaper, *, was_ready: bool) -> Gone:
        """How it ended, without the workloads it leaves.

        Args:
            end: how its process did.
            reaper: is asked about a SIGKILL that nobody here has sent.
            was_ready: whether it had begun to take work.
        """
        how, kind = self._judged(end, reaper)
        broken, traceback = (f"its replica {end.how}", "") if end.never_began else self.broken
        return Gone(how, was_ready, broken, traceback, kind=kind, by_force=self.is_by_force)

    def _judged(self, end: End, reaper: Reaper) -> tuple[str, ErrorType]:
        if self.over_memory is not None:
            return self.over_memory, ErrorType.OUT_OF_MEMORY
        if end.out_of_memory:
            return end.how, ErrorType.OUT_OF_MEMORY
        if end.code == -signal.SIGKILL and not self.is_killed and reaper.was_it():
            return "was killed by the kernel for lack of memory", ErrorType.OUT_OF_MEMORY
        return self.fault or (_BY_FORCE if self.is_by_force else end.how), ErrorType.REPLICA_LOST
