"""Why a replica has ended, from what its parent knows and how its process did."""

from __future__ import annotations

import signal

import pytest

from ringback.core.workload import ErrorType
from ringback.work.cause import Cause
from ringback.work.memory import Reaper
from ringback.work.process import End

KILLED = End(how="was killed by SIGKILL", code=-signal.SIGKILL)


def reaper(*, has_killed: bool) -> Reaper:
    """The kernel's count as it was at first, and as it is from then on."""
    counts = iter([7])
    return Reaper(kills=lambda: next(counts, 8 if has_killed else 7))


@pytest.mark.parametrize(
    ("end", "is_killed", "has_killed", "kind", "how"),
    [
        (KILLED, False, True, ErrorType.OUT_OF_MEMORY, "was killed by the kernel for lack of memory"),
        (KILLED, False, False, ErrorType.REPLICA_LOST, KILLED.how),
        (KILLED, True, True, ErrorType.REPLICA_LOST, KILLED.how),
        (End(how="exited with status 3", code=3), False, True, ErrorType.REPLICA_LOST, "exited with status 3"),
        (End(how="used too much", out_of_memory=True), False, False, ErrorType.OUT_OF_MEMORY, "used too much"),
    ],
    ids=["by-the-kernel", "by-hand", "from-here", "by-itself", "on-its-host"],
)
def test_the_kernel_is_to_blame_for_what_nobody_here_has_killed(
    end: End, is_killed: bool, has_killed: bool, kind: ErrorType, how: str
) -> None:
    cause = Cause()
    cause.is_killed = is_killed
    gone = cause.gone(end, reaper(has_killed=has_killed), was_ready=True)
    assert (gone.how, gone.kind, gone.by_force, gone.was_ready) == (how, kind, False, True)


def test_what_was_known_before_says_more_than_the_signal() -> None:
    cause = Cause()
    cause.is_killed = cause.is_by_force = True
    gone = cause.gone(KILLED, reaper(has_killed=True), was_ready=True)
    assert (gone.by_force, "past its time-out" in gone.how) == (True, True)
    cause.fault = "sent what is no answer"
    assert cause.gone(KILLED, reaper(has_killed=False), was_ready=True).how == "sent what is no answer"
    cause.exceeds(3 << 30, 2 << 30)
    gone = cause.gone(KILLED, reaper(has_killed=False), was_ready=True)
    assert gone.how == "used 3GiB of memory, over its limit of 2GiB (compute.mem)"
    assert gone.kind is ErrorType.OUT_OF_MEMORY


def test_one_that_never_began_has_no_words_of_its_own() -> None:
    cause = Cause()
    assert cause.gone(KILLED, reaper(has_killed=False), was_ready=False).broken is None
    cause.broken = ("no model", "Traceback")
    gone = cause.gone(KILLED, reaper(has_killed=False), was_ready=False)
    assert (gone.broken, gone.traceback) == ("no model", "Traceback")
    never = End(how="could not be started by Ray", never_began=True)
    gone = cause.gone(never, reaper(has_killed=False), was_ready=False)
    assert (gone.broken, gone.traceback) == ("its replica could not be started by Ray", "")
