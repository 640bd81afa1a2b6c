"""The verbs of membership and upkeep: heartbeat, take_over, leaving, erasing. Promises M, S and E."""

from __future__ import annotations

import os
from asyncio import Future
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from ringback.core.blob import SPACE_BYTES
from ringback.core.clock import after
from ringback.core.links import KEY_BYTES
from ringback.core.queueing import STEP
from ringback.core.roles import written
from ringback.core.workload import Claimed
from ringback.store.contract import About, ReplicaState
from ringback.store.moving import must_be_here
from ringback.store.verbs import rows
from ringback.store.verbs.blobs import BlobRows
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction


class Members:
    """Writes to the tables of members and replicas, and what is done on behalf of the dead."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql
        self._blobs = BlobRows(session)

    # ── Living ──────────────────────────────────────────────────────────────────────────────────

    def join(self) -> Future[None]:
        """Become a member.

        Raises:
            StoreMoved: the store is in another database, or on its way.
        """
        session = self._session

        def write(tx: Transaction) -> None:
            must_be_here(tx.execute(self._sql["move_notes"]).fetchall())
            self._find_timeline(tx)
            session.link_key = self._find_key(tx, "links", KEY_BYTES)
            session.blob_space = self._find_key(tx, "blobs", SPACE_BYTES).hex()
            lease_until = self._lease_until()
            row = {"member": session.member, "lease_until": lease_until, "roles": written(session.part.roles)}
            tx.execute(self._sql["join"], row)
            tx.after(partial(session.renewed, lease_until))
            session.meeting.news.call(Topic.ROSTER)
            session.hear_of_roster(tx)
            self._inherit_tallies(tx)
            self._hear_of_replicas(tx)
            session.hear_of_pauses(tx)
            session.hear_of_tripped(tx)
            known = tx.execute(self._sql["endpoints_since"], {"revision": session.registry.revision}).fetchall()
            tx.after(partial(session.retell_endpoints, known))
            tx.after(partial(session.retell_logouts, tx.execute(self._sql["logouts"]).fetchall()))

        return session.commits.write(write)

    def introduce(self, about: About) -> Future[None]:
        session, text = self._session, rows.written_about(about)

        def write(tx: Transaction) -> None:
            tx.execute(self._sql["introduce"], {"member": session.member, "about": text})
            session.meeting.news.call(Topic.ROSTER)

        return session.commits.write(write)

    def heartbeat(self) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            if session.is_adrift:
                raise session.adrift()
            lease_until = self._lease_until()
            renewed = tx.execute(self._sql["renew"], {"member": session.member, "lease_until": lease_until})
            if renewed.rowcount == 0:
                raise session.declared_dead()
            tx.after(partial(session.renewed, lease_until))
            tx.execute(self._sql["note_timeline"], {"epoch": session.clock.epoch, "seen": session.steady()})
            session.hear_of_roster(tx)
            self._hear_of_replicas(tx)
            asked = tx.execute(self._sql["cancels_asked"], {"member": session.member}).fetchall()
            tx.after(partial(session.retell_cancels, asked))  # again and again, should a word of it get lost

        return session.commits.write(write)

    def leave(self) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            tx.execute(self._sql["release_all"], {"member": session.member})
            self._strike_off(tx, session.member)

        return session.commits.write(write)

    def report(self, api: str, state: ReplicaState | None) -> Future[None]:
        session = self._session
        row: dict[str, object] = {"member": session.member, "api": api}
        if state is None:
            session.meeting.retract_replicas(session.member, api)
        else:
            session.meeting.tell_replicas(session.member, api, state)
            row |= {key: value for key, value in asdict(state).items() if key != "asleep"}

        def write(tx: Transaction) -> None:
            tx.execute(self._sql["report" if state is not None else "retract"], row)
            session.meeting.news.call(Topic.REPLICAS)

        return session.commits.write(write)

    def _hear_of_replicas(self, tx: Transaction) -> None:
        tx.after(partial(self._session.retell_replicas, tx.execute(self._sql["reports"]).fetchall()))

    def _find_timeline(self, tx: Transaction) -> None:
        """Join the timeline of this boot, or go on where that of the last one was seen, never before."""
        session = self._session
        epoch, now = session.clock.epoch, session.clock.now()
        lines = {known: (origin, seen) for known, origin, seen in tx.execute(self._sql["timelines"]).fetchall()}
        if epoch in lines:
            session.origin = lines[epoch][0]
            return
        seen = max((seen for _, seen in lines.values()), default=0)
        session.origin = max(now, seen) - session.clock.elapsed()
        tx.execute(self._sql["forget_timelines"])
        tx.execute(self._sql["begin_timeline"], {"epoch": epoch, "origin": session.origin, "seen": session.steady()})

    def _find_key(self, tx: Transaction, name: str, length: int) -> bytes:
        found = tx.execute(self._sql["key"], {"name": name}).fetchall()
        if found:
            return bytes(found[0][0])
        value = os.urandom(length)
        tx.execute(self._sql["make_key"], {"name": name, "value": value})
        return value

    # ── The dead ────────────────────────────────────────────────────────────────────────────────

    def take_over(self, apis: Sequence[str], room: int) -> Future[list[Claimed]]:
        return self._session.commits.write(lambda tx: self._take_over(tx, apis, room))

    def _take_over(self, tx: Transaction, apis: Sequence[str], room: int) -> list[Claimed]:
        session = self._session
        leases = dict(tx.execute(self._sql["everyone"]).fetchall())
        if leases.pop(session.member, None) is None:
            raise session.declared_dead()
        now = session.steady()
        dead = [member for member, until in leases.items() if until <= now or session.is_gone(tx, member)]
        for member in dead:
            self._strike_off(tx, member)
            tx.after(partial(session.forget, member))
        if dead:
            tx.execute(self._sql["release_dead"])
            self._inherit_tallies(tx)
            self._hear_of_replicas(tx)
            session.hear_of_roster(tx)
            session.meeting.due.call_all()
            tx.after(session.meeting.call_strangers)
        return self._take_workloads(tx, apis, room)

    def _take_workloads(self, tx: Transaction, apis: Sequence[str], room: int) -> list[Claimed]:
        taken: list[Claimed] = []
        for api in apis:
            found = tx.execute(
                self._sql["take_over_workloads"],
                {"api": api, "room": room - len(taken), "member": self._session.member, "step": STEP},
            ).fetchall()
            taken += [self._blobs.claimed(tx, api, row) for row in sorted(found, key=rows.queue_order)]
        for claimed in taken:
            place = {"seq": claimed.held.seq, "now": self._session.clock.now()}
            tx.execute(self._sql["note_lost"], place)
            tx.execute(self._sql["unstart"], place)
        return taken

    def _inherit_tallies(self, tx: Transaction) -> None:
        """Keep what those who are gone have counted, in one row for all of them."""
        tx.execute(self._sql["inherit_tallies"])
        tx.execute(self._sql["drop_inherited_tallies"])

    def _strike_off(self, tx: Transaction, member: str) -> None:
        tx.execute(self._sql["forget_replicas"], {"member": member})
        tx.execute(self._sql["leave"], {"member": member})
        tx.execute(self._sql["free_lanes"], {"member": member})  # last: see `Lanes.take`
        for topic in (Topic.ROSTER, Topic.REPLICAS):
            self._session.meeting.news.call(topic)

    def _lease_until(self) -> int:
        return after(self._session.steady(), self._session.lease_seconds)
