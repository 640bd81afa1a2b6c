"""Failures put into words: those a child tells of, believed only as far as they make sense, and those it cannot."""

from __future__ import annotations

from ringback.core.workload import ErrorType, Failed
from ringback.work.child.wire import WireError


def failure_in(told: dict[str, object]) -> Failed:
    """What a FAILED frame says.

    Raises:
        WireError: it is none.
    """
    kind, message = told.get("type"), told.get("message")
    if not isinstance(kind, str) or not isinstance(message, str):
        raise WireError("a failure without type and message")
    return Failed(type=kind, message=message, kinds=_kinds(told.get("kinds")))


def broken_in(told: dict[str, object]) -> tuple[str, str]:
    """What a BROKEN frame says: why a predictor does not load, and how that came about, in lines.

    Raises:
        WireError: it is none.
    """
    reason, traceback = told.get("reason"), told.get("traceback")
    if not isinstance(reason, str) or not isinstance(traceback, str):
        raise WireError("a word about a predictor that does not load, without reason and traceback")
    return reason, traceback


def _kinds(told: object) -> frozenset[str]:
    if told is None:
        return frozenset()
    if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        raise WireError("a failure whose kinds are no names")
    return frozenset(told)


def timeout_failure(seconds: float) -> Failed:
    """What a workload fails with whose predict took too long."""
    return Failed(type=ErrorType.TIMEOUT.value, message=f"predict ran longer than its time-out of {seconds:g} s")
