"""The verbs of registered endpoints: register, amend, remove, tidy_endpoints, removed. Promises Z."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ringback.core.clock import Instant, after
from ringback.core.errors import Conflict, UnknownEndpoint
from ringback.core.registration import MOST_REGISTERED, Registration, Removed, Undelivered, keys_of, with_keys
from ringback.core.rotation import active
from ringback.store import registrations
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.rows import Row
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction

_REMAINS_SECONDS: Final = 86_400.0
"""How long a removed endpoint's row stays at least: every member has heard of it long before."""

_REASON: Final = "the endpoint was removed before this arrived"


class Endpoints:
    """Writes to the table of endpoints, and what follows from them for deliveries."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def register(self, registration: Registration) -> Future[None]:
        columns = registrations.columns(registration)

        def write(tx: Transaction) -> None:
            revision = self._revision(tx)
            [(count,)] = tx.execute(self._sql["count_endpoints"]).fetchall()
            if count >= MOST_REGISTERED:
                raise Conflict(f"{count} endpoints are registered, as many as may be; remove one before")
            tx.execute(self._sql["insert_endpoint"], {**columns, "revision": revision})
            self._session.hear_of_endpoint(tx, registration.endpoint.key)

        return self._session.commits.write(write)

    def amend(self, key: str, change: Callable[[Registration], Registration]) -> Future[Registration]:
        return self._session.commits.write(lambda tx: self._amend(tx, key, change))

    def _amend(self, tx: Transaction, key: str, change: Callable[[Registration], Registration]) -> Registration:
        revision = self._revision(tx)
        row = self._row(tx, key)
        if row[6] is not None:
            raise UnknownEndpoint(f"the endpoint {key} was removed")
        changed = change(registrations.registration(row))
        columns = registrations.columns(changed)
        tx.execute(self._sql["change_endpoint"], {**columns, "revision": revision})
        self._session.hear_of_endpoint(tx, key)
        return changed

    def remove(self, key: str, undelivered: Undelivered) -> Future[None]:
        now = self._session.clock.now()

        def write(tx: Transaction) -> None:
            revision = self._revision(tx)
            self._row(tx, key)
            erased = {"now": now, "undelivered": undelivered.value, **registrations.ERASED}
            tx.execute(self._sql["remove_endpoint"], {"key": key, **erased, "revision": revision})
            tx.execute(self._sql["resume"], {"endpoint": key})
            self._session.meeting.news.call(Topic.PAUSES)
            self._session.hear_of_endpoint(tx, key)
            self._session.hear_of_pauses(tx)

        return self._session.commits.write(write)

    def _row(self, tx: Transaction, key: str) -> Row:
        found: list[Row] = tx.execute(self._sql["read_endpoint"], {"key": key}).fetchall()
        if not found:
            raise UnknownEndpoint(f"no endpoint {key[:80]!r} is registered")
        return found[0]

    def _revision(self, tx: Transaction) -> int:
        [(revision,)] = tx.execute(self._sql["next_revision"]).fetchall()
        return int(revision)

    # ── What is left to do ──────────────────────────────────────────────────────────────────────

    async def removed(self) -> tuple[Removed, ...]:
        return tuple(
            Removed(key=key, url=url, removed_at=Instant(removed_at), undelivered=Undelivered(undelivered))
            for key, url, removed_at, undelivered in await self._session.read("removed_endpoints")
        )

    async def tidy(self, room: int) -> int:
        # The earlier of the two: a time of day set forward must end nothing early.
        now = Instant(min(self._session.clock.now(), self._session.steady()))
        for key in list(self._session.registry.with_ended_keys(now)):
            await self.amend(key, lambda registration: _without_ended(registration, now))
        touched = 0
        for gone in await self.removed():
            touched += await self._tidy(gone, room - touched, after(now, -_REMAINS_SECONDS))
            if touched >= room:
                break
        return touched

    def _tidy(self, gone: Removed, room: int, until: Instant) -> Future[int]:
        session = self._session

        def write(tx: Transaction) -> int:
            if gone.undelivered is Undelivered.PARK:
                parked = {"key": gone.key, "now": session.clock.now(), "reason": _REASON, "room": room}
                touched = tx.execute(self._sql["park_of"], parked).rowcount
            else:
                touched = self._erase(tx, gone.key, room)
            if not touched:
                tx.execute(self._sql["forget_endpoint"], {"key": gone.key, "until": until})
                session.meeting.news.call(Topic.PAUSES)
                tx.execute(self._sql["resume"], {"endpoint": gone.key})  # its last attempt may have met a 410
            return touched

        return session.commits.write(write)

    def _erase(self, tx: Transaction, key: str, room: int) -> int:
        found = tx.execute(self._sql["undelivered_of"], {"key": key, "room": room}).fetchall()
        for (seq,) in found:
            tx.execute(self._sql["erase_attempts_of"], {"seq": seq})
            tx.execute(self._sql["erase_delivery"], {"seq": seq})
        return len(found)


def _without_ended(registration: Registration, now: Instant) -> Registration:
    endpoint = registration.endpoint
    return replace(registration, endpoint=with_keys(endpoint, active(keys_of(endpoint), now)))
