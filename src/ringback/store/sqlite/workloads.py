"""The verbs that move workloads: submit, claim, finish, requeue, progress. Promises W, C, F, R, P."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Mapping, Sequence
from functools import partial

from ringback.core.body import Told, body_of, event_of
from ringback.core.clock import Instant, after
from ringback.core.delivery import Delivery
from ringback.core.errors import IdTaken, LeaseLost, QueueFull
from ringback.core.links import RESULTS_PATH, signed_link
from ringback.core.spec import BodyFormat, Endpoint
from ringback.core.workload import (
    Claimed,
    Completed,
    Held,
    Outcome,
    Progress,
    Spent,
    Submission,
)
from ringback.store.contract import Accepted
from ringback.store.sqlite import rows
from ringback.store.sqlite.commits import Transaction
from ringback.store.sqlite.session import Session

_QUEUE_FULL_RETRY_SECONDS = 1
_LINK_SECONDS = 7 * 86_400.0
_LINK_SLACK_SECONDS = 86_400.0
"""A link holds for a week, and always for a day longer than its webhook may be on its way."""


class Workloads:
    """Writes to the table of workloads, and the deliveries that an end brings forth."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    # ── Taking in ───────────────────────────────────────────────────────────────────────────────

    def submit(self, submission: Submission, limit: int | None) -> Future[Accepted]:
        return self._session.commits.write(lambda tx: self._submit(tx, submission, limit))

    def _submit(self, tx: Transaction, submission: Submission, limit: int | None) -> Accepted:
        session, api = self._session, submission.api
        named = submission.id is not None or submission.idempotency_key is not None
        mark = rows.fingerprint(submission.content_type, submission.payload) if named else None
        if mark is not None:
            known = self._known(tx, submission, mark)
            if known is not None:
                return known
        if limit is not None and session.unfinished(tx, api) >= limit:
            raise QueueFull(
                f"{api} holds {limit} unfinished workloads, as many as its replicas may; try again soon",
                retry_after_seconds=_QUEUE_FULL_RETRY_SECONDS,
            )
        now = session.clock.now()
        workload_id = submission.id or session.ids.new()
        tx.execute(
            self._sql["insert_workload"],
            {
                "api": api,
                "id": workload_id,
                "due_at": session.steady(),
                "now": now,
                "trace_id": submission.trace_id,
                "key": submission.idempotency_key,
                "fingerprint": mark,
                "content_type": submission.content_type,
                "headers": submission.headers,
                "payload": submission.payload,
                "webhooks": rows.guests_column(submission.webhooks),
            },
        )
        session.count(api, +1)
        session.meeting.queued.call(api)
        return Accepted(id=workload_id, created=True)

    def _known(self, tx: Transaction, submission: Submission, mark: bytes) -> Accepted | None:
        """The earlier submit under the same id or key, if there was one with the same content."""
        for statement, column, value in (
            ("find_by_id", "id", submission.id),
            ("find_by_key", "key", submission.idempotency_key),
        ):
            if value is None:
                continue
            found = tx.execute(self._sql[statement], {"api": submission.api, column: value}).fetchall()
            if not found:
                continue
            [(workload_id, earlier, seq)] = found
            if (earlier or self._fingerprint_of(tx, seq)) != mark or submission.id not in {None, workload_id}:
                what = "id" if column == "id" else "Idempotency-Key"
                raise IdTaken(f"the {what} {value!r} already stands for workload {workload_id} with another payload")
            return Accepted(id=workload_id, created=False)
        return None

    def _fingerprint_of(self, tx: Transaction, seq: int) -> bytes | None:
        # Submits under an id of the store's own making skip the digest; it is made when somebody asks.
        kept = tx.execute(self._sql["read_payload"], {"seq": seq}).fetchall()
        return rows.fingerprint(*kept[0]) if kept else None

    # ── Running ─────────────────────────────────────────────────────────────────────────────────

    def claim(self, api: str, room: int) -> Future[tuple[list[Claimed], float | None]]:
        return self._session.commits.write(lambda tx: self._claim(tx, api, room))

    def _claim(self, tx: Transaction, api: str, room: int) -> tuple[list[Claimed], float | None]:
        session = self._session
        parameters = {"api": api, "now": session.steady(), "room": room}
        taken = tx.execute(
            self._sql["claim"], {**parameters, "member": session.member, "started_at": session.clock.now()}
        ).fetchall()
        if len(taken) > 1:
            taken.sort(key=rows.queue_order)
        following = tx.execute(self._sql["next_queued"], parameters).fetchall()
        return [rows.claimed(api, row) for row in taken], session.seconds_until(following[0][0]) if following else None

    def progress(self, held: Held, progress: Progress) -> Future[None]:
        message = None if progress.message is None else rows.storable(progress.message)

        def write(tx: Transaction) -> None:
            changed = tx.execute(
                self._sql["progress"], {**self._fence(held), "fraction": progress.fraction, "message": message}
            )
            self._must_hold(changed.rowcount, held)

        return self._session.commits.write(write)

    # ── Going back ──────────────────────────────────────────────────────────────────────────────

    def requeue(self, held: Held, spent: Spent, delay_seconds: float) -> Future[None]:
        session = self._session

        def write(tx: Transaction) -> None:
            due_at = after(session.steady(), delay_seconds) if delay_seconds > 0 else None
            changed = tx.execute(
                self._sql["requeue"],
                {
                    **self._fence(held),
                    "due_at": due_at,
                    "raised": spent is Spent.ATTEMPT,
                    "losses": spent is Spent.LOSS,
                },
            )
            self._must_hold(changed.rowcount, held)
            session.meeting.queued.call(held.api)

        return session.commits.write(write)

    # ── Ending ──────────────────────────────────────────────────────────────────────────────────

    def finish(self, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint]) -> Future[None]:
        return self._session.commits.write(lambda tx: self._finish(tx, held, outcome, endpoints))

    def _finish(self, tx: Transaction, held: Held, outcome: Outcome, endpoints: Sequence[Endpoint]) -> None:
        session = self._session
        now = session.clock.now()
        columns = rows.outcome_columns(outcome)
        ended = tx.execute(self._sql["finish"], {**self._fence(held), **columns, "now": now}).fetchall()
        if not ended:
            self._must_have_ended_so(tx, held, columns)
            return
        session.count(held.api, -1)
        event = event_of(outcome)
        [(trace_id, guests)] = ended
        if guests is not None:
            endpoints = (*endpoints, *rows.guests(guests))
        asked = [endpoint for endpoint in endpoints if event in endpoint.events]
        if asked:
            self._announce(tx, held, outcome, asked, now=now, trace_id=trace_id)
        tx.after(partial(session.meeting.tell_ended, held.api, held.id))

    def _announce(
        self,
        tx: Transaction,
        held: Held,
        outcome: Outcome,
        endpoints: Sequence[Endpoint],
        *,
        now: Instant,
        trace_id: str | None,
    ) -> None:
        """A delivery for each endpoint: in the outlet's hands where it has room, due for anyone otherwise."""
        session = self._session
        meeting = session.meeting
        due_at = session.steady()
        event, message_id = event_of(outcome), f"msg_{session.ids.new()}"
        told = Told(event=event, message_id=message_id, api=held.api, workload_id=held.id, at=now)
        bodies: dict[tuple[BodyFormat, str | None], bytes] = {}
        for endpoint in endpoints:
            form = endpoint.format, self._link(held, outcome, endpoint, now)
            body = bodies.get(form)
            if body is None:
                body = bodies[form] = body_of(endpoint.format, told, outcome, form[1])
            outlet = meeting.outlet if meeting.outlet is not None and meeting.outlet.has_room(endpoint.key) else None
            [(seq,)] = tx.execute(
                self._sql["insert_delivery"],
                {
                    "workload": held.seq,
                    "endpoint": endpoint.key,
                    "url": endpoint.url,
                    "message_id": message_id,
                    "event": event.value,
                    "due_at": due_at,
                    "holder": session.member if outlet is not None else None,
                    "now": now,
                    "body": body,
                },
            ).fetchall()
            if outlet is None:
                meeting.due.call(endpoint.key)
                continue
            delivery = Delivery(
                seq=seq,
                endpoint=endpoint.key,
                message_id=message_id,
                event=event,
                api=held.api,
                workload_id=held.id,
                body=body,
                tries=0,
                trace_id=trace_id,
                created_at=now,
            )
            tx.after(partial(outlet.put, delivery))

    def _link(self, held: Held, outcome: Outcome, endpoint: Endpoint, now: Instant) -> str | None:
        """Where the result is to be had, if it is too large for this endpoint's webhooks."""
        if not isinstance(outcome, Completed) or len(outcome.result) <= endpoint.inline_limit_bytes:
            return None
        until = after(now, max(_LINK_SECONDS, sum(endpoint.retry_seconds) + _LINK_SLACK_SECONDS))
        session = self._session
        return signed_link(session.public_url, f"{RESULTS_PATH}/{held.api}/{held.id}", session.link_key, until)

    def _must_have_ended_so(self, tx: Transaction, held: Held, columns: Mapping[str, object]) -> None:
        """Accept a repeated finish; refuse a late one, or one that says something else."""
        found = tx.execute(self._sql["read_end"], {"seq": held.seq}).fetchall()
        if found and not rows.is_erased(found[0]):
            workload = rows.workload(found[0])
            same = workload.attempt == held.attempt and rows.end_columns(found[0]) == columns
            if workload.status.is_terminal and same:
                return
        raise self._lost(held)

    # ── The fence ───────────────────────────────────────────────────────────────────────────────

    def _fence(self, held: Held) -> dict[str, object]:
        return {"seq": held.seq, "attempt": held.attempt, "member": self._session.member}

    def _must_hold(self, changed: int, held: Held) -> None:
        if changed == 0:
            raise self._lost(held)

    def _lost(self, held: Held) -> LeaseLost:
        return LeaseLost(f"attempt {held.attempt} of workload {held.id} is not this member's any more")
