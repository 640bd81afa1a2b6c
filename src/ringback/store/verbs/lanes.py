"""The verbs of who sends to which endpoint: take_lane, leave_lane, note_tripped, orphans, forget_lanes. Promises LA."""

from __future__ import annotations

from asyncio import Future

from ringback.store.values import TakenLane
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction


class Lanes:
    """Writes to the table of lanes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def take(self, endpoint: str) -> Future[TakenLane | None]:
        session = self._session

        def write(tx: Transaction) -> TakenLane | None:
            # This member's row first: whoever strikes it off waits, and frees its lanes only then.
            if tx.execute(self._sql["hold_member"], {"member": session.member}).rowcount == 0:
                raise session.declared_dead()
            row = {"endpoint": endpoint, "member": session.member}
            if tx.execute(self._sql["has_another_sender"], row).fetchall():
                return None
            taken = tx.execute(self._sql["take_lane"], row).fetchall()
            if not taken:
                return None
            [(takes, tripped)] = taken
            return TakenLane(number=takes, is_tripped=bool(tripped))

        return session.commits.write(write)

    def leave(self, endpoint: str, taken: TakenLane) -> Future[None]:
        session = self._session
        row = {"endpoint": endpoint, "member": session.member, "takes": taken.number}

        def write(tx: Transaction) -> None:
            if tx.execute(self._sql["leave_lane"], row).rowcount:
                session.meeting.due.call(endpoint)

        return session.commits.write(write)

    def note_tripped(self, endpoint: str, *, is_tripped: bool) -> Future[None]:
        session = self._session
        row = {"endpoint": endpoint, "member": session.member, "tripped": int(is_tripped)}

        def write(tx: Transaction) -> None:
            if tx.execute(self._sql["note_tripped"], row).rowcount:
                session.meeting.news.call(Topic.TRIPPED)
                session.hear_of_tripped(tx)

        return session.commits.write(write)

    async def orphans(self) -> frozenset[str]:
        return frozenset(endpoint for (endpoint,) in await self._session.read("orphans"))

    def forget(self) -> Future[None]:
        def write(tx: Transaction) -> None:
            tx.execute(self._sql["forget_lanes"])
            self._session.meeting.news.call(Topic.TRIPPED)
            self._session.hear_of_tripped(tx)

        return self._session.commits.write(write)
