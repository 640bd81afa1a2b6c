"""What a member owes the others: its own heartbeat, the work of the dead, the erasing of what is over, blobs included.

Judges lost workloads by the API's budgets; never runs one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ringback.core.batch import BATCHES
from ringback.core.delivery import TRIAL_API
from ringback.core.emit import Emit
from ringback.core.errors import CancelAsked, LeaseLost
from ringback.core.policy import Again, after_loss
from ringback.core.spec import Api
from ringback.core.workload import Canceled, Claimed, Outcome, Status
from ringback.store.blobs import remove_doomed
from ringback.store.contract import Blobs, Store
from ringback.upkeep.rounds import Pace, rounds

REAP_SECONDS: Final = 2.0
EXPIRY_SECONDS: Final = 1.0
BATCHES_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 60.0
TIDY_SECONDS: Final = 2.0
STRAYS_SECONDS: Final = 3_600.0
ERASE_LEAST_SECONDS: Final = 1.0
ERASE_MOST_SECONDS: Final = 60.0

_ROOM: Final = 256
_LINES: Final = 128
"""Lines of a batch that one transaction sees to."""

_TRIAL_SECONDS: Final = 86_400.0
"""How long the webhooks that only tried an endpoint out are kept."""

CAPTURE_SECONDS: Final = 7 * 86_400.0
"""How long requests captured by the inspector are kept, if not dropped for newer ones before."""

_HEARTBEATS_PER_LEASE: Final = 3
_ERASES_PER_RETENTION: Final = 10


def erase_seconds(apis: Iterable[Api]) -> float:
    """How long it may take until something is erased whose time is up: a tenth of the shortest retention, 1 to 60 s."""
    shortest = min((api.retention_seconds for api in apis), default=ERASE_MOST_SECONDS * _ERASES_PER_RETENTION)
    return min(max(shortest / _ERASES_PER_RETENTION, ERASE_LEAST_SECONDS), ERASE_MOST_SECONDS)


class Keeper:
    """Runs the rounds of upkeep over one open store, and the blobs beside it."""

    def __init__(
        self, store: Store, apis: Sequence[Api], emit: Emit, *, lease_seconds: float, blobs: Blobs | None = None
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._apis: Mapping[str, Api] = {api.name: api for api in apis}
        self._emit = emit
        self._lease_seconds = lease_seconds
        self._erasing = Pace(erase_seconds(apis))
        self._unjudged: list[tuple[Api, Claimed]] = []
        """Taken over from the dead; in this member's hands, so that nobody else will see to them."""

    def serve(self, apis: Sequence[Api]) -> None:
        """Judge by these from now on."""
        self._apis = {api.name: api for api in apis}
        self._erasing.change(erase_seconds(apis))

    async def run(self) -> None:
        """Keep up until cancelled.

        Raises:
            LeaseLost: others have declared this member dead; everything it holds must be dropped.
        """
        lost: BaseExceptionGroup[LeaseLost] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for name, act, pace in (
                    ("heartbeat", self._heartbeat, Pace(self._lease_seconds / _HEARTBEATS_PER_LEASE)),
                    ("reap", self.reap, Pace(REAP_SECONDS)),
                    ("expiry", self.expire, Pace(EXPIRY_SECONDS)),
                    ("retention", self.erase, self._erasing),
                    ("batches", self.mend, Pace(BATCHES_SECONDS)),
                    ("tenants", self.forget, Pace(FORGET_SECONDS)),
                    ("endpoints", self.tidy, Pace(TIDY_SECONDS)),
                    ("strays", self.sweep, Pace(STRAYS_SECONDS)),
                ):
                    group.create_task(rounds(name, act, pace=pace, emit=self._emit))
        except* LeaseLost as found:
            lost = found
        if lost is not None:  # not raised within `except*`: early releases of Python 3.11 make a group of it
            raise LeaseLost(str(lost.exceptions[0])) from lost

    async def reap(self) -> None:
        """Take over from the dead and judge each workload they left: run again, or `replica_lost`.

        Raises:
            RingbackError: the store could not be asked, or told of some; of these it is told in the next round.
        """
        await self._judge_all()
        while taken := await self._store.take_over(list(apis := self._apis), _ROOM):
            self._unjudged += [(apis[each.held.api], each) for each in taken]
            await self._judge_all()
            if len(taken) < _ROOM:
                return

    async def expire(self) -> None:
        """End what has waited in the queue for longer than its submit allows."""
        for api in self._apis.values():
            while ended := await self._store.expire(api.name, api.webhooks, _ROOM):
                for _ in range(ended):
                    self._emit("workload.finished", api=api.name, status=Status.FAILED.value, run_us=None)
                if ended < _ROOM:
                    break

    async def mend(self) -> None:
        """Go on with batches that somebody has left in the middle, and tell of those that nobody has told of."""
        while await self._store.batches.mend(_LINES):
            pass
        for api in self._apis.values():
            while await self._store.batches.tell(api.name, api.webhooks, _ROOM) == _ROOM:
                pass

    async def forget(self) -> None:
        """Drop what is known of tenants that have had nothing to do for long, and of batches that are long over."""
        while await self._store.forget_tenants(list(self._apis), _ROOM) == _ROOM:
            pass
        longest = max((api.retention_seconds for api in self._apis.values()), default=0.0)
        while await self._store.batches.forget(longest, _ROOM) == _ROOM:
            pass
        await self._store.forget_lanes()

    async def erase(self) -> None:
        """Erase what its API's retention no longer covers, and captures that are old."""
        retention = {name: api.retention_seconds for name, api in self._apis.items()}
        retention |= {TRIAL_API: _TRIAL_SECONDS, BATCHES: max(retention.values(), default=0.0)}
        while await self._store.erase_expired(retention, _ROOM) == _ROOM:
            pass
        while await self._store.inboxes.erase_expired(CAPTURE_SECONDS, _ROOM) == _ROOM:
            pass
        await self.clear()

    async def tidy(self) -> None:
        """See to what removed endpoints have not been sent, and to keys that have signed for the last time."""
        while await self._store.tidy_endpoints(_ROOM):
            pass

    async def clear(self) -> None:
        """Remove the blobs of what has been erased."""
        if self._blobs is not None and (removed := await remove_doomed(self._store, self._blobs)):
            self._emit("blobs.removed", why="erased", count=removed)

    async def sweep(self) -> None:
        """Remove blobs whose rows never came: whoever wrote them died in between."""
        if self._blobs is None:
            return
        async for keys in self._blobs.listed():
            if strays := await self._store.strays(keys):
                await self._blobs.remove(strays)
                self._emit("blobs.removed", why="stray", count=len(strays))

    async def _heartbeat(self) -> None:
        await self._store.heartbeat()

    async def _judge_all(self) -> None:
        waiting, self._unjudged = self._unjudged, []
        results = await asyncio.gather(*(self._judge(*each) for each in waiting), return_exceptions=True)
        errors = [result for result in results if result is not None]
        self._unjudged += [each for each, result in zip(waiting, results, strict=True) if result is not None]
        if errors:
            raise errors[0]

    async def _judge(self, api: Api, claimed: Claimed) -> None:
        verdict = after_loss(api.retries, claimed.losses, "went down with its server")
        try:
            if isinstance(verdict, Again):
                await self._store.requeue(claimed.held, spent=verdict.spent, delay_seconds=verdict.delay_seconds)
                self._emit("workload.requeued", api=api.name, spent=verdict.spent.value)
            else:
                await self._end(api, claimed, verdict)
        except CancelAsked:
            await self._end(api, claimed, Canceled())
        except LeaseLost:
            return  # another member was quicker, and judges it

    async def _end(self, api: Api, claimed: Claimed, outcome: Outcome) -> None:
        with contextlib.suppress(LeaseLost):
            status = await self._store.finish(claimed.held, outcome, api.webhooks)
            self._emit("workload.finished", api=api.name, status=status.value, run_us=None)
