"""How many replicas an API should have: Cortex's arithmetic in full, as one function of what was measured. Pure.

The steps and their order are those of Cortex 0.33's autoscaler; each place that differs from it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringback.core.spec import Api, Autoscaling

_DUST: Final = 1e-9
"""What a division may leave over: 2.1 / 0.7 must not ask for a fourth replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A number at a moment, in seconds of a clock that only goes forward."""

    at: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an autoscaler knows when it decides. All moments are of one clock that only goes forward."""

    now: float
    since: float
    """When it began to look: nothing changes before a stabilisation period has been seen in full."""
    in_flight: float
    """Workloads that wait or run, averaged over the window."""
    replicas: int
    """How many there are to be until now, those that still start included."""
    woken_at: float | None = None
    """When it was last woken from zero."""
    past: tuple[Sample, ...] = ()
    """Earlier recommendations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many replicas there should be, and what to remember for the next time."""

    replicas: int
    past: tuple[Sample, ...]


def first(rules: Autoscaling) -> int:
    """How many replicas an API starts with."""
    return rules.min_replicas if rules.init_replicas is None else rules.init_replicas


def target(api: Api) -> float:
    """Workloads in flight per replica aimed at: unless the file says otherwise, as many as one runs at once."""
    said = api.autoscaling.target_replica_concurrency
    return float(api.concurrency) if said is None else said


def average(samples: Iterable[Sample], *, now: float, window_seconds: float) -> float:
    """The mean of the samples of the last `window_seconds`; 0 when there is none."""
    values = [sample.value for sample in samples if sample.at > now - window_seconds]
    return sum(values) / len(values) if values else 0.0


def decide(rules: Autoscaling, aim: float, situation: Situation) -> Decision:
    """How many replicas there should be now.

    1. As many as `in_flight / aim`, rounded up; within the tolerances, as many as there are.
    2. In one step no further down than `max_downscale_factor`, no further up than `max_upscale_factor`; by one always.
    3. From `min_replicas` to `max_replicas`.
    4. Down to no fewer than the highest recommendation of the last `downscale_stabilization_period`, up to no more than
       the lowest of the last `upscale_stabilization_period`. Here Cortex lets an old high recommendation that was never
       followed open the way down; this does not.
    5. One stays for a downscale period after a wake from zero.

    The bounds of step 3 hold at once, whatever step 4 says: when the file changes, they are the operator's word.
    """
    now, current = situation.now, situation.replicas
    recommended = _bounded(rules, _damped(rules, _tolerated(rules, situation.in_flight / aim, current), current))
    kept = max(rules.downscale_stabilization_seconds, rules.upscale_stabilization_seconds)
    past = (
        *(each for each in situation.past if each.at >= now - kept),
        Sample(at=now, value=recommended),
    )
    request = current
    if recommended < current:
        period = rules.downscale_stabilization_seconds
        if now - situation.since >= period:
            request = min(current, max(_since(past, now - period)))
        if situation.woken_at is not None and now - situation.woken_at < period:
            request = max(request, 1)
    elif recommended > current:
        period = rules.upscale_stabilization_seconds
        if now - situation.since >= period:
            request = max(current, min(_since(past, now - period)))
    return Decision(replicas=_bounded(rules, request), past=past)


def part(request: int, *, current: int, own: int, place: int, members: int) -> int:
    """How many replicas one of several members keeps when there are to be `request` of them instead of `current`.

    Shares are even, earlier places take what is left over. Nobody gives up replicas while more are wanted, nor starts
    any while fewer are, and nobody goes further than all of them together; so the sum comes to `request` step by step.
    """
    share = request // members + (place < request % members)
    if request > current:
        return max(own, min(share, own + request - current))
    if request < current:
        return min(own, max(share, own + request - current))
    return own


def _tolerated(rules: Autoscaling, raw: float, current: int) -> int:
    if current * (1 - rules.downscale_tolerance) < raw < current * (1 + rules.upscale_tolerance):
        return current
    return math.ceil(raw - _DUST)


def _damped(rules: Autoscaling, recommended: int, current: int) -> int:
    floor = min(current - 1, math.ceil(current * rules.max_downscale_factor - _DUST))
    ceiling = max(current + 1, math.ceil(current * rules.max_upscale_factor - _DUST))
    return max(floor, min(ceiling, recommended))


def _bounded(rules: Autoscaling, replicas: int) -> int:
    return max(rules.min_replicas, min(rules.max_replicas, replicas))


def _since(past: Iterable[Sample], moment: float) -> list[int]:
    return [int(each.value) for each in past if each.at >= moment]
