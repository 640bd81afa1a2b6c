"""Deliveries and endpoints as the control plane's answers tell of them. No secret has a place in any of it."""

from __future__ import annotations

from typing import Any, Final

from ringback.core.clock import SECOND, Instant, isoformat
from ringback.core.delivery import Attempt, DeliveryRecord, Pause
from ringback.core.keys import public_keys
from ringback.core.keytext import SIGNING
from ringback.core.quantities import format_duration, format_rate, format_size
from ringback.core.registration import Removed, keys_of
from ringback.core.rotation import EndpointKey, active
from ringback.core.urls import shown_url
from ringback.gateway.directory import Known, Origin
from ringback.store.contract import Backlog

ID_PREFIX: Final = "dlv_"
TRIPPED: Final = "tripped"
"""The state of an endpoint that does not work, which is left alone but for one request at a time."""
_PROBED: Final = "it fails; one request at a time finds out whether it works again"

# ── Endpoints ───────────────────────────────────────────────────────────────────────────────────


def endpoint(
    known: Known, pause: Pause | None, backlog: Backlog | None, now: Instant, *, is_tripped: bool
) -> dict[str, Any]:
    """One endpoint, how it is to be treated, and how it stands."""
    it, apis = known.endpoint, known.apis
    state, reason = (TRIPPED, _PROBED) if is_tripped else ("active", None)
    if pause is not None:
        state, reason = pause.kind.value, pause.reason
    return {
        "endpoint": it.key,
        "origin": known.origin.value,
        "api": apis[0] if apis is not None and len(apis) == 1 else None,
        "apis": ["*"] if apis is None else list(apis),
        "url": it.shown_url,
        "events": sorted(it.events),
        "format": it.format.value,
        "headers": sorted(it.headers),
        "timeout": format_duration(it.timeout_seconds),
        "retry": [format_duration(wait) for wait in it.retry_seconds],
        "concurrency": it.concurrency,
        "rate_limit": None if it.rate_per_second is None else format_rate(it.rate_per_second),
        "inline_limit": format_size(it.inline_limit_bytes),
        "order": it.order.value,
        "signed": it.secret is not None,
        "keys": [_key(key) for key in active(keys_of(it), now)],
        "created_at": None if known.created_at is None else isoformat(known.created_at),
        "state": state,
        "reason": reason,
        "since": None if pause is None else isoformat(pause.since),
        **_standing(backlog, now),
    }


def removed(gone: Removed, backlog: Backlog | None, now: Instant) -> dict[str, Any]:
    """What is left of one that was removed."""
    told = _left(gone.key, Origin.REGISTERED, shown_url(gone.url), "removed by hand")
    return {**told, "since": isoformat(gone.removed_at), **_standing(backlog, now)}


def missing(key: str, backlog: Backlog, now: Instant) -> dict[str, Any]:
    """What waits for one that has gone from the file."""
    reason = "not in this server's file; what is pending waits for it to be back"
    return {**_left(key, Origin.FILE, "", reason), **_standing(backlog, now)}


def _left(key: str, origin: Origin, url: str, reason: str) -> dict[str, Any]:
    return {
        "endpoint": key,
        "origin": origin.value,
        "api": None,
        "apis": [],
        "url": url,
        "events": [],
        "signed": False,
        "keys": [],
        "state": "removed",
        "reason": reason,
        "since": None,
    }


def _standing(backlog: Backlog | None, now: Instant) -> dict[str, Any]:
    oldest = backlog.oldest_at if backlog is not None else None
    return {
        "pending": 0 if backlog is None else backlog.pending,
        "parked": 0 if backlog is None else backlog.parked,
        "oldest_seconds": None if oldest is None else max(0, now - oldest) / SECOND,
    }


def _key(key: EndpointKey) -> dict[str, Any]:
    """What may be known of a key: of a pair, the half that verifies."""
    is_pair = key.secret.startswith(SIGNING)
    return {
        "signature": "v1a" if is_pair else "v1",
        "public_key": public_keys(key.secret)[0] if is_pair else None,
        "signs_until": None if key.signs_until is None else isoformat(key.signs_until),
    }


# ── Deliveries ──────────────────────────────────────────────────────────────────────────────────


def summary(record: DeliveryRecord, pause: Pause | None, *, is_tripped: bool) -> dict[str, Any]:
    """One delivery, and what keeps it back, if its endpoint is at rest or does not work."""
    return {
        "id": f"{ID_PREFIX}{record.seq}",
        "endpoint": record.endpoint,
        "url": record.url,
        "api": record.api,
        "workload": record.workload_id,
        "webhook_id": record.message_id,
        "event": record.event.value,
        "sequence": record.sequence,
        "order_key": record.order_key,
        "behind": None if record.behind is None else f"{ID_PREFIX}{record.behind}",
        "holds_up": record.holds_up,
        "state": record.state.value,
        "at_rest": None if pause is None or record.state.is_settled else pause.reason,
        "tripped": is_tripped and pause is None and not record.state.is_settled,
        "reason": record.reason,
        "tries": record.tries,
        "created_at": isoformat(record.created_at),
        "due_at": None if record.state.is_settled or record.due_at is None else isoformat(record.due_at),
        "settled_at": None if record.settled_at is None else isoformat(record.settled_at),
    }


def whole(record: DeliveryRecord, pause: Pause | None, *, is_tripped: bool) -> dict[str, Any]:
    return {**summary(record, pause, is_tripped=is_tripped), "attempts": [_attempt(each) for each in record.attempts]}


def _attempt(made: Attempt) -> dict[str, Any]:
    return {
        "number": made.number,
        "started_at": isoformat(made.started_at),
        "duration_ms": made.duration_us / 1_000,
        "outcome": made.outcome.value,
        "unknown": made.outcome.is_unknown,
        "status": made.status,
        "detail": made.detail,
        "address": made.address,
        "phases_ms": {
            "dns": _milliseconds(made.trace.dns_us),
            "connect": _milliseconds(made.trace.connect_us),
            "wait": _milliseconds(made.trace.wait_us),
            "read": _milliseconds(made.trace.read_us),
        },
        "request_head": _lines(made.trace.request_head),
        "response_head": _lines(made.trace.response_head),
        "response_begin": made.trace.excerpt.decode("utf-8", "replace"),
    }


def _milliseconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1_000


def _lines(head: bytes) -> list[str]:
    return [line for line in head.decode("latin-1").split("\r\n") if line]
