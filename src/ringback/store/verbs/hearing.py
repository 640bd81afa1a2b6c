"""Taking in what other members have written: what each keeps in memory, and the ends that somebody here waits for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Final

from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.session import Session

ALL: Final = frozenset(Topic)


class Hearing:
    """Reads what concerns this member."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def hear(self, topics: Collection[Topic] = ALL) -> None:
        """Find out what of these has changed, and answer who waits for an end, or for anything, of another member's.

        Raises:
            RingbackError: it cannot be found out now.
        """
        for topic in topics:
            await self._hear_of(topic)
        await self._tell_ended()
        self._session.meeting.stir_all()

    async def _hear_of(self, topic: Topic) -> None:
        session = self._session
        match topic:
            case Topic.ROSTER:
                session.retell_roster(await session.read("roster"))
            case Topic.REPLICAS:
                session.retell_replicas(await session.read("reports"))
            case Topic.PAUSES:
                session.retell_pauses(await session.read("pauses"))
            case Topic.TRIPPED:
                session.retell_tripped(await session.read("tripped"))
            case Topic.CANCELS:
                session.retell_cancels(await session.read("cancels_asked", member=session.member))
            case Topic.ENDPOINTS:
                session.retell_endpoints(await session.read("endpoints_since", revision=session.registry.revision))
            case Topic.LOGOUTS:
                session.retell_logouts(await session.read("logouts"))

    async def _tell_ended(self) -> None:
        """Answer those who wait for a workload that another member has ended, or erased; however many wait, at once."""
        awaited: dict[str, list[str]] = defaultdict(list)
        for api, workload_id in self._session.meeting.awaited():
            awaited[api].append(workload_id)
        for api, ids in awaited.items():
            for (workload_id,) in await self._session.read("ended_of", api=api, ids=json.dumps(ids)):
                self._session.meeting.tell_ended(api, workload_id)
