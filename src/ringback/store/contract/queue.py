"""The order of the queue, what a submit asks of it, and tenants' shares. Promises Q and T.

`claim` keeps them: Q1 to Q3, Q5 and T1 to T5 say what it takes, and in which order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from ringback.core.spec import Endpoint


class Queue(Protocol):
    """What is in the queue.

    Q1  Of what is due, the higher priority is claimed first; a step of it is worth a minute: what became due more than
        a minute for each step between them later stays behind.
    Q2  What is delayed is not claimed before its time; at its time it is, and its place is of that moment.
    Q3  What has not begun when its longest wait is over, counted from when it was due, is never claimed.
    Q5  An attempt that has begun ends that wait for good; what is put back untouched goes on with it.

    T1  While tenants wait for one API, each is served in its turn, however many each has submitted.
    T2  A tenant that comes new, or back, goes before those that were served lately: it waits for no backlog of others.
    T3  Within a tenant's share the order is that of Q1. Workloads without a tenant are one tenant's.
    T4  Whatever is due is claimed if there is room: no mark of whose turn it is strands anything.
    T5  The limit of W4 is each tenant's own.
    """

    def expire(self, api: str, endpoints: Sequence[Endpoint], room: int) -> Awaitable[int]:
        """End up to `room` workloads as `expired` whose longest wait is over; say how many. Any member may.

        Q4  Each ends once, however many members look, with a delivery for each endpoint that asked, as by `finish`.
        """
        ...

    def forget_tenants(self, apis: Sequence[str], room: int) -> Awaitable[int]:
        """Drop up to `room` rows about tenants that have had nothing to do for long; say how many.

        T6  What it drops changes neither what is claimed next nor what is counted.
        """
        ...

    async def position(self, api: str, workload_id: str, most: int) -> int | None:
        """Where a workload stands in its tenant's line; 1 is next.

        Q6  None when it is not in line, or behind more than `most`: no more rows than that are looked at.
        """
        ...
