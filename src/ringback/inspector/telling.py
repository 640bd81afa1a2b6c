"""Inboxes and captures as JSON: what the API answers, the stream brings and an export holds."""

from __future__ import annotations

import base64
from typing import Any, Final

from ringback.core.clock import Instant, isoformat
from ringback.core.diagnosis import Finding
from ringback.core.inbox import Capture, Forwarded, Inbox, header, header_lines
from ringback.core.script import as_json
from ringback.inspector.judging import Secrets

_EXCERPT_CHARACTERS: Final = 160


def inbox_told(inbox: Inbox, base_url: str, secrets: Secrets) -> dict[str, Any]:
    """An inbox; its secrets are not told, only whether there are any, and where from."""
    settings = inbox.settings
    return {
        "id": inbox.id,
        "name": inbox.name,
        "url": base_url + inbox.path,
        "created_at": isoformat(inbox.created_at),
        "last_at": _moment(inbox.last_at),
        "captured": inbox.captured,
        "kept": inbox.captured - inbox.dropped,
        "kept_bytes": inbox.kept_bytes,
        "change": inbox.change,
        "verifies_with": secrets.source,
        "secrets": len(secrets.texts),
        "script": as_json(settings.script),
        "forward": settings.forward_url,
        "keep": settings.keep,
        "keep_bytes": settings.keep_bytes,
        "body_limit": settings.body_limit_bytes,
    }


def summary_told(capture: Capture, finding: Finding) -> dict[str, Any]:
    """A capture in a listing."""
    arrival, answered = capture.arrival, capture.answered
    return {
        "inbox": capture.inbox_id,
        "number": capture.number,
        "change": capture.change,
        "received_at": isoformat(arrival.received_at),
        "method": arrival.method,
        "target": arrival.target,
        "peer": arrival.peer,
        "content_type": header(arrival.head, "content-type"),
        "size": arrival.size_bytes,
        "is_cut": arrival.is_cut,
        "webhook_id": arrival.message_id,
        "attempt": header(arrival.head, "ringback-attempt"),
        "verdict": finding_told(finding),
        "answer": {
            "act": answered.act.value,
            "status": answered.status,
            "duration_ms": _milliseconds(answered.duration_us),
            "detail": answered.detail,
        },
        "begins": excerpt(arrival.body),
        "forward": forward_told(capture.forwards[-1]) if capture.forwards else None,
    }


def whole_told(capture: Capture, finding: Finding) -> dict[str, Any]:
    """A capture with every header and its body: as text where it is UTF-8, and as base64 where it is not."""
    arrival = capture.arrival
    text = text_of(arrival.body)
    return {
        **summary_told(capture, finding),
        "http_version": arrival.http_version,
        "read_ms": arrival.read_us / 1_000,
        "headers": [list(pair) for pair in header_lines(arrival.head)],
        "body": text,
        "body_base64": None if text is not None else base64.b64encode(arrival.body).decode(),
        "forwards": [forward_told(each) for each in capture.forwards],
    }


def finding_told(finding: Finding) -> dict[str, Any]:
    """A verdict."""
    told = {"reason": finding.reason.value, "sentence": finding.sentence}
    return told if finding.skew_seconds is None else {**told, "skew_seconds": finding.skew_seconds}


def forward_told(forwarded: Forwarded) -> dict[str, Any]:
    """What came of sending a capture on."""
    text = text_of(forwarded.body)
    return {
        "url": forwarded.url,
        "replay": forwarded.is_replay,
        "started_at": isoformat(forwarded.started_at),
        "duration_ms": forwarded.duration_us / 1_000,
        "status": forwarded.status,
        "error": forwarded.error,
        "headers": [list(pair) for pair in header_lines(forwarded.head)],
        "body": text,
        "body_base64": None if text is not None else base64.b64encode(forwarded.body).decode(),
        "is_cut": forwarded.is_cut,
    }


def text_of(body: bytes) -> str | None:
    """The body as text; None when it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def excerpt(body: bytes) -> str | None:
    """The beginning of a body in one line; None when it is no text."""
    beginning = body[: 4 * _EXCERPT_CHARACTERS]
    try:
        text = beginning.decode()
    except UnicodeDecodeError as error:
        if error.start < len(beginning) - 3:  # else a character that is cut in two
            return None
        text = beginning[: error.start].decode()
    if "\0" in text:
        return None
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:_EXCERPT_CHARACTERS]


def _moment(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)


def _milliseconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1_000
