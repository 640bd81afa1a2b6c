"""What follows when a run did not complete: once more, or the end. Pure; chance comes in as a number from 0 to 1.

Two budgets, never mixed: what predict itself does wrong, and replicas that die under a workload.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.core.retry import doubling_wait
from ringback.core.spec import Retries
from ringback.core.workload import ErrorType, Failed, Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Back to the queue."""

    spent: Spent
    why: Failed
    """How this attempt ended."""
    delay_seconds: float = 0.0


def after_raise(retries: Retries, raised: int, failure: Failed, chance: float) -> Again | Failed:
    """What follows `failure` (predict raised or timed out) when that had happened `raised` times before."""
    if raised + 1 >= retries.max_attempts or not is_forgiven(retries, failure):
        return failure
    wait = doubling_wait(retries.initial_seconds, retries.max_seconds, raised + 1, chance)
    return Again(spent=Spent.ATTEMPT, why=failure, delay_seconds=wait)


def is_forgiven(retries: Retries, failure: Failed) -> bool:
    """Whether such a failure is worth another attempt at all, by the names the file has."""
    names = failure.kinds | {failure.type}
    return not names & retries.never_on and (not retries.on or bool(names & retries.on))


def after_loss(retries: Retries, losses: int, how: str, kind: ErrorType = ErrorType.REPLICA_LOST) -> Again | Failed:
    """What follows a replica's death under a workload when that had happened `losses` times before.

    Args:
        retries: the API's budgets.
        losses: earlier deaths under this workload.
        how: what became of the replica this time, as a clause: "was killed by SIGKILL".
        kind: what that was; the last of them names the failure.
    """
    if losses + 1 < retries.max_losses:
        return Again(spent=Spent.LOSS, why=lost_failure(f"the replica running it {how}", kind))
    times = "once" if losses == 0 else f"{losses + 1} times"
    return lost_failure(f"the replica running it was lost {times}; the last one {how}", kind)


def lost_failure(message: str, kind: ErrorType = ErrorType.REPLICA_LOST) -> Failed:
    """What an attempt ends with whose replica died."""
    return Failed(type=kind.value, message=message)
