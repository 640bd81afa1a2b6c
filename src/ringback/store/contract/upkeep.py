"""Retention, and the figures of queues. Promises E, S3, S4 and QA."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from ringback.store.values import Backlog, QueueDepth


class Upkeep(Protocol):
    """What is erased, and how much there is."""

    def erase_expired(self, retention_seconds: Mapping[str, float], room: int) -> Awaitable[int]:
        """Erase up to `room` workloads that have been over for longer than their API's retention; say how many.

        E1  Payload, result, error, journal, deliveries and attempts are gone; `get` raises `Erased`.
        E2  What is unfinished is never erased, nor what has a pending or parked delivery.
        E3  Retention counts from the last outcome: of the workload or of its deliveries, whichever is later.
        E4  The marker left behind, which lets `get` tell erased from unknown, is dropped after `MARKER_SECONDS`.
        """
        ...

    async def depths(self) -> Mapping[str, QueueDepth]:
        """Unfinished workloads by API."""
        ...

    async def in_flight(self, api: str, most: int) -> int:
        """Count the workloads of an API that wait or run, over all members, up to `most`.

        S3  What waits for its time is counted from then on, what has ended no longer; counting ends at `most`.
        S4  What this member has written before the call is counted.
        """
        ...

    async def queue_ages(self) -> Mapping[str, float]:
        """For how many seconds the oldest workload that waits to be taken has been due, by API.

        QA1  What is not due yet, or is running, makes no queue old; an API where nothing waits is left out.
        """
        ...

    async def backlogs(self) -> Mapping[str, Backlog]:
        """Undelivered deliveries by endpoint key."""
        ...


MARKER_SECONDS: float = 30 * 86_400.0
"""How long the marker of an erased workload is kept."""
