"""Batches in a list, and one with its counts, its workloads and its webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.batch import BATCHES, Batch
from ringback.core.workload import Status
from ringback.dashboard.asked import Asked, Known, View
from ringback.pages import CURSOR, pager

_PAGE: Final = 50
_WORKLOADS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Those of a batch that stand alike."""

    status: Status
    number: int
    percent: float
    """Of the whole batch."""


class Batches:
    """Makes the pages about batches."""

    def __init__(self, known: Known) -> None:
        self._known = known

    async def list(self, asked: Asked) -> View:
        """A page of batches, newest first."""
        api = asked.choice("api", set(self._known.apis))
        page = await self._known.store.batches.find(api, limit=_PAGE, cursor=asked.query.get(CURSOR) or None)
        kept = {"api": api or ""}
        return View(
            template="dashboard/batches.html",
            values={
                "apis": list(self._known.apis),
                "wanted": kept,
                "batches": [(each, portions(each)) for each in page.batches],
                "pager": pager(asked.query, page.cursor, kept),
            },
            marks="/-/ui/batches",
        )

    async def one(self, asked: Asked) -> View:
        """One batch; its workloads in the order of its lines, all or those of one status."""
        status = asked.choice("status", set(Status))
        batch = await self._known.store.batches.get(asked.places["id"])
        page, deliveries = await asyncio.gather(
            self._known.store.batches.page(
                batch.seq,
                status=Status(status) if status else None,
                limit=_WORKLOADS,
                cursor=asked.query.get(CURSOR) or None,
            ),
            self._known.store.deliveries(BATCHES, batch.id),
        )
        kept = {"status": status or ""}
        return View(
            template="dashboard/batch.html",
            values={
                "batch": batch,
                "portions": portions(batch),
                "wanted": kept,
                "workloads": page.workloads,
                "pager": pager(asked.query, page.cursor, kept),
                "deliveries": deliveries,
            },
            marks="/-/ui/batches",
        )


def portions(batch: Batch) -> Sequence[Portion]:
    """How the workloads of a batch stand, in the order in which a bar shows them; what there is none of, too."""
    counts = batch.counts
    numbers = {
        Status.COMPLETED: counts.completed,
        Status.FAILED: counts.failed,
        Status.CANCELED: counts.canceled,
        Status.IN_PROGRESS: batch.in_progress,
        Status.IN_QUEUE: max(0, counts.total - counts.ended - batch.in_progress),
    }
    return [
        Portion(status=status, number=number, percent=100.0 * number / max(1, counts.total))
        for status, number in numbers.items()
    ]
