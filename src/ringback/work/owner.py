"""What a replica tells, and whom: the words between a replica and whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from ringback.core.spec import Api
from ringback.core.workload import Claimed, ErrorType, Outcome, Progress
from ringback.work.files import Files, Stored

Teller_contra = TypeVar("Teller_contra", contravariant=True)
"""What a replica is to whoever keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One state of the file, as far as replicas go."""

    number: int
    api: Api
    python: Path
    """The interpreter."""


@dataclass(slots=True)
class Gone:
    """How a replica ended, and what it leaves behind."""

    how: str
    """As a clause: "was killed by SIGKILL"."""
    was_ready: bool
    kind: ErrorType = field(default=ErrorType.REPLICA_LOST, kw_only=True)
    """What that means for the workloads it was running."""
    by_force: bool = field(default=False, kw_only=True)
    """Whether it was killed because a workload had to end."""
    broken: str | None = None
    """The child's own sentence about why it could not start."""
    traceback: str = ""
    """How that came about, in lines; empty when nothing was raised."""
    timed_out: list[Claimed] = field(default_factory=list)
    lost: list[Claimed] = field(default_factory=list)
    """Running when it died."""
    canceled: list[Claimed] = field(default_factory=list)
    """Running, and wanted to end by somebody."""
    interrupted: list[Claimed] = field(default_factory=list)
    """Running when it was killed for another's sake."""
    untouched: list[Claimed] = field(default_factory=list)
    """Handed over, never begun."""

    @property
    def is_clean(self) -> bool:
        """Whether it had nothing to do any more."""
        return not (self.timed_out or self.lost or self.canceled or self.interrupted)


class Owner(Protocol[Teller_contra]):
    """Whom a replica tells."""

    @property
    def files(self) -> Files:
        """Where its folder comes from."""
        ...

    def on_waiting(self, replica: Teller_contra) -> None:
        """It waits for something before it can begin, or does so no more."""
        ...

    def on_ready(self, replica: Teller_contra, load_us: int) -> None: ...

    def on_began(self, claimed: Claimed) -> None:
        """The child has come to a workload that it was handed."""
        ...

    def wants_outputs(self, claimed: Claimed) -> bool:
        """Whether anybody wants to know of each value that a generator yields."""
        ...

    def on_output(self, claimed: Claimed, index: int, value: bytes) -> None: ...

    def on_outcome(
        self, replica: Teller_contra, claimed: Claimed, outcome: Outcome | Stored, run_us: int | None
    ) -> None:
        """It has ended, after so many microseconds; None when it had not begun."""
        ...

    def on_said(self, claimed: Claimed, left_out: int, text: str) -> None:
        """It has printed text, after so many lines that were left out."""
        ...

    def on_overheard(self, replica: Teller_contra, claimed: Claimed | None, text: str) -> None:
        """A replica has printed text that it could not tell of itself: as this workload, if it is known."""
        ...

    def on_progress(self, claimed: Claimed, progress: Progress) -> None: ...

    def on_checkpoint(self, replica: Teller_contra, number: int, claimed: Claimed, data: bytes) -> None:
        """It wants this kept for its next attempt; the replica is to be told when it is."""
        ...

    def on_resume(self, replica: Teller_contra, number: int, claimed: Claimed) -> None:
        """It wants what was kept last; the replica is to be told."""
        ...

    def on_metric(self, metric: dict[str, object]) -> None: ...

    def on_returned(self, replica: Teller_contra, claimed: list[Claimed]) -> None:
        """Workloads that wait behind a long one, or would have to, and could run elsewhere."""
        ...

    def on_gone(self, replica: Teller_contra, gone: Gone) -> None: ...
