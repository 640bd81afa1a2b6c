"""Inboxes and what is captured in them: requests byte for byte, and how each was answered. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from ringback.core.clock import Instant
from ringback.core.script import Act, Script, Step, as_json, script_of

PATH: Final = "/-/inspector"
"""Where the inspector answers."""
CAPTURE_PATH: Final = f"{PATH}/in"
"""Under this, with an inbox's id behind it, any request is captured."""

MOST_KEPT: Final = 100_000
BYTES_KEPT: Final = 64 * 2**20
MOST_BYTES_KEPT: Final = 4 * 2**30
BODY_LIMIT_BYTES: Final = 2**20
MOST_BODY_LIMIT_BYTES: Final = 16 * 2**20
MOST_INBOXES: Final = 1_000
PREVIEW_BYTES: Final = 2_048
"""What listings bring of a body."""
FORWARDS_KEPT: Final = 10
"""Of one capture, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxSettings:
    """What an inbox's owner has asked for."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What webhooks are verified with; any of them may. Not checked: a malformed one is told in the verdict."""
    former_secrets: tuple[str, ...] = field(default=(), repr=False)
    """What `secrets` were before: a signature under one of these is an old key's."""
    script: Script = ()
    forward_url: str | None = None
    keep: int = 1_000
    """Captures; the newest are kept."""
    keep_bytes: int = BYTES_KEPT
    """Of heads and bodies together; the newest are kept, and the very last always."""
    body_limit_bytes: int = BODY_LIMIT_BYTES
    """What is kept of one body; more is counted and left out."""


DEFAULTS: Final = InboxSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """A place that captures requests."""

    id: str
    """The unguessable part of its URL: who knows it may send."""
    name: str
    created_at: Instant
    captured: int
    """How many requests it has taken in; the number of the last."""
    dropped: int
    """How many of those, the oldest, are kept no longer."""
    change: int
    """How often anything in it has changed; see `Capture.change`."""
    kept_bytes: int
    last_at: Instant | None
    """When the last request came."""
    settings: InboxSettings

    @property
    def path(self) -> str:
        """The path of its URL."""
        return inbox_path(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request as it came in."""

    received_at: Instant
    read_us: int
    """From its head to the last byte of its body."""
    method: str
    target: str
    """What stood behind the inbox's id: the rest of the path and the query, as sent."""
    http_version: str
    peer: str
    """`host:port`."""
    head: bytes
    """Its header lines, `Name: value` and CRLF each, in their order."""
    body: bytes
    size_bytes: int
    """Of the whole body."""
    is_cut: bool = False
    """Whether only the beginning of the body is kept."""
    message_id: str | None = None
    """Its `webhook-id`."""

    def within(self, body_limit_bytes: int) -> Arrival:
        """The same with no more of its body than that."""
        if len(self.body) <= body_limit_bytes:
            return self
        return replace(self, body=self.body[:body_limit_bytes], is_cut=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A request that has been captured."""

    number: int
    """Of its capture."""
    step: Step
    """How it is to be answered."""
    settings: InboxSettings
    """The inbox's, as they stood when it was captured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of the sender."""

    act: Act
    status: int | None = None
    """The status it was answered; None: none yet, or none at all."""
    duration_us: int | None = None
    """From the request's last byte to the end; None while it lasts, and for what is answered at once."""
    detail: str | None = None
    """What was odd about it, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """A captured request sent on, or sent once more, and what came back."""

    url: str
    started_at: Instant
    duration_us: int
    is_replay: bool
    status: int | None = None
    error: str | None = None
    """Why there is no answer, in one sentence."""
    head: bytes = b""
    body: bytes = b""
    is_cut: bool = False
    """Whether `body` is only the beginning of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A captured request as a reader sees it."""

    inbox_id: str
    number: int
    """Counts the inbox's requests from 1, without a gap."""
    change: int
    """Counts what happens in the inbox: a capture gets the next one when it comes, and again whenever it changes."""
    arrival: Arrival
    """In listings with no more than the first `PREVIEW_BYTES` of its body."""
    answered: Answered
    forwards: tuple[Forwarded, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What captures are looked for by; every part that is given must hold."""

    number: int | None = None
    message_id: str | None = None
    method: str | None = None
    status: int | None = None
    header: str | None = None
    """Stands somewhere in the header lines, in whatever case (of ASCII)."""
    body: bytes | None = None
    """Stands somewhere in what was kept of the body, byte for byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePage:
    """Some captures, newest first, and where the next page begins."""

    captures: tuple[Capture, ...]
    cursor: str | None


def inbox_path(inbox_id: str) -> str:
    """The path of an inbox's URL."""
    return f"{CAPTURE_PATH}/{inbox_id}"


def header_lines(head: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values of a captured head, as they came."""
    lines = (line.partition(b": ") for line in head.split(b"\r\n") if line)
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, _, value in lines)


def header(head: bytes, name: str) -> str | None:
    """The first value under a name, in whatever case it was written."""
    wanted = name.lower()
    return next((value for each, value in header_lines(head) if each.lower() == wanted), None)


# ── As bytes of the store ───────────────────────────────────────────────────────────────────────


def settings_to_bytes(settings: InboxSettings) -> bytes:
    """What `settings_from_bytes` reads."""
    return json.dumps(
        {
            "secrets": settings.secrets,
            "former_secrets": settings.former_secrets,
            "script": as_json(settings.script),
            "forward_url": settings.forward_url,
            "keep": settings.keep,
            "keep_bytes": settings.keep_bytes,
            "body_limit_bytes": settings.body_limit_bytes,
        }
    ).encode()


@lru_cache(maxsize=256)
def settings_from_bytes(raw: bytes) -> InboxSettings:
    """The settings as they were kept."""
    kept: dict[str, Any] = json.loads(raw)
    return InboxSettings(
        secrets=tuple(kept["secrets"]),
        former_secrets=tuple(kept["former_secrets"]),
        script=script_of(kept["script"]),
        forward_url=kept["forward_url"],
        keep=kept["keep"],
        keep_bytes=kept["keep_bytes"],
        body_limit_bytes=kept["body_limit_bytes"],
    )


def forwards_to_bytes(forwards: Iterable[Forwarded]) -> bytes:
    """What `forwards_from_bytes` reads: the latest `FORWARDS_KEPT`."""
    return json.dumps(
        [
            [
                each.url,
                each.started_at,
                each.duration_us,
                each.is_replay,
                each.status,
                each.error,
                base64.b64encode(each.head).decode(),
                base64.b64encode(each.body).decode(),
                each.is_cut,
            ]
            for each in tuple(forwards)[-FORWARDS_KEPT:]
        ]
    ).encode()


def forwards_from_bytes(raw: bytes | None) -> tuple[Forwarded, ...]:
    """The forwards as they were kept."""
    return tuple(
        Forwarded(
            url=url,
            started_at=Instant(started_at),
            duration_us=duration_us,
            is_replay=is_replay,
            status=status,
            error=error,
            head=base64.b64decode(head),
            body=base64.b64decode(body),
            is_cut=is_cut,
        )
        for url, started_at, duration_us, is_replay, status, error, head, body, is_cut in json.loads(raw or b"[]")
    )
