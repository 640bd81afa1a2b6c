"""Logins that have been ended: rows that every member keeps in memory. Promises LO."""

from __future__ import annotations

from asyncio import Future
from functools import partial

from ringback.core.clock import Instant
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction


class Logouts:
    """A `store.contract.Logouts`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def end(self, login: str, until: Instant) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            # The earlier of the two: a time of day set forward must bring nobody back.
            tx.execute(self._sql["forget_logouts"], {"now": min(session.clock.now(), session.steady())})
            tx.execute(self._sql["log_out"], {"login": login, "until": until})
            session.meeting.news.call(Topic.LOGOUTS)
            tx.after(partial(session.retell_logouts, tx.execute(self._sql["logouts"]).fetchall()))

        return session.commits.write(write)

    def has_ended(self, login: str) -> bool:
        return login in self._session.logouts
