"""Taking in what other members have written: what each keeps in memory, and the ends that somebody here waits for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from ringback.store.verbs.meeting import Key, Topic
from ringback.store.verbs.rows import Row
from ringback.store.verbs.session import Session

ALL: Final = frozenset(Topic)


class Hearing:
    """Reads what concerns this member."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: dict[Key, Row] = {}
        """How those stood that somebody listens to, when it was last looked."""

    async def hear(self, topics: Collection[Topic] = ALL) -> None:
        """Find out what of these has changed, and answer who waits for an end, or for anything, of another member's.

        Raises:
            RingbackError: it cannot be found out now.
        """
        for topic in topics:
            await self._hear_of(topic)
        await self._tell_ended()
        await self._tell_happened()

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
        meeting = self._session.meeting
        for api, ids in _by_api(meeting.awaited()):
            for (workload_id,) in await self._session.read("ended_of", api=api, ids=json.dumps(ids)):
                meeting.tell_ended(api, workload_id)

    async def _tell_happened(self) -> None:
        """Have those look who listen to a workload that stands otherwise than when it was last looked, or is gone."""
        meeting = self._session.meeting
        standing: dict[Key, Row] = {}
        for api, ids in _by_api(meeting.listened_to()):
            found = await self._session.read("standings_of", api=api, ids=json.dumps(ids))
            standing |= {(api, row[0]): row for row in found}
            for key in ((api, each) for each in ids):
                if key not in standing or standing[key] != self._seen.get(key):
                    meeting.tell_happened(*key)
        self._seen = standing


def _by_api(keys: Iterable[Key]) -> Iterable[tuple[str, list[str]]]:
    """The ids of each API's workloads."""
    found: dict[str, list[str]] = defaultdict(list)
    for api, workload_id in keys:
        found[api].append(workload_id)
    return found.items()
