"""The inbox page's rows: one for each message, with all its requests in a line; one for each request without an id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.clock import Instant
from ringback.core.diagnosis import Finding, Reason
from ringback.core.inbox import PATH, Answered, Arrival, Capture, Forwarded, Inbox, header
from ringback.core.script import Act
from ringback.inspector.desk import Desk
from ringback.inspector.telling import excerpt

_SHOWN_OF_MESSAGE: Final = 12
_MOST_OF_MESSAGE: Final = 200

_VERDICTS: Final = {
    Reason.GOOD: ("good", "verified"),
    Reason.OLD_KEY: ("warn", "old key"),
    Reason.CLOCK_SKEW: ("warn", "clock"),
    Reason.WRONG_KEY: ("bad", "wrong key"),
    Reason.BODY_ALTERED: ("bad", "body altered"),
    Reason.NO_MATCH: ("bad", "no match"),
    Reason.WRONG_VERSION: ("bad", "other version"),
    Reason.UNSIGNED: ("warn", "unsigned"),
    Reason.MALFORMED: ("bad", "malformed"),
    Reason.CUT: ("wait", "cut"),
    Reason.MALFORMED_SECRET: ("bad", "malformed secret"),
    Reason.NO_SECRET: ("wait", "no secret"),
}
_ACTS: Final = {
    Act.HANG: "hung",
    Act.HANG_AFTER_HEADERS: "hung after headers",
    Act.RESET: "reset",
    Act.RESET_AFTER_HEADERS: "reset after headers",
    Act.DRIP: "dripped",
    Act.ENDLESS: "endless",
    Act.RELAY: "relayed",
}
_REDIRECTS: Final = range(300, 400)
_SUCCESSES: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A word with its colour and, when pointed at, a sentence."""

    kind: str
    words: str
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One request of a message: how it was answered."""

    number: int
    path: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message, or one request that is of none."""

    key: str
    """Names the row on its page."""
    number: int
    """Of its newest request."""
    path: str
    message_path: str | None
    at: Instant
    method: str
    target: str
    message_id: str | None
    begins: str
    size_bytes: int
    verdict: Mark
    chips: Sequence[Chip]
    earlier: int
    """Requests of the message that are not shown."""
    forward: Mark | None


def verdict_mark(finding: Finding) -> Mark:
    """A verdict as a word."""
    kind, words = _VERDICTS[finding.reason]
    if finding.skew_seconds is not None:
        words = f"clock {finding.skew_seconds:+d} s"
    return Mark(kind=kind, words=words, sentence=finding.sentence)


def answer_mark(answered: Answered) -> Mark:
    """How a sender was answered, as a word."""
    act = _ACTS.get(answered.act)
    words = " ".join(each for each in (str(answered.status or ""), act or "") if each) or "not yet"
    kind = "bad"
    if answered.status in _SUCCESSES and answered.act in {Act.ANSWER, Act.RELAY, Act.DRIP}:
        kind = "good"
    elif answered.status in _REDIRECTS:
        kind = "warn"
    if answered.status is None and answered.act in {Act.ANSWER, Act.RELAY}:
        kind = "wait"
    return Mark(kind=kind, words=words, sentence=answered.detail or "")


def forward_mark(forwards: Sequence[Forwarded]) -> Mark | None:
    """What came of sending it on the last time."""
    if not forwards:
        return None
    last = forwards[-1]
    verb = "replayed" if last.is_replay else "forwarded"
    if last.status is None:
        return Mark(kind="bad", words=f"{verb}: no answer", sentence=last.error or "")
    kind = "good" if last.status in _SUCCESSES else "bad"
    return Mark(kind=kind, words=f"{verb}: {last.status}", sentence=last.url)


def key_of(capture: Capture, *, is_grouped: bool) -> str:
    """Names the row a capture stands in: its message's, or its own."""
    message_id = capture.arrival.message_id
    return str(capture.number) if message_id is None or not is_grouped else f"m {message_id}"


async def rows_of(desk: Desk, inbox: Inbox, captures: Sequence[Capture]) -> list[Row]:
    """A row for each of some captures, in their order."""
    return [await _row(desk, inbox, each, [each], key=key_of(each, is_grouped=False)) for each in captures]


async def rows_of_messages(
    desk: Desk, inbox: Inbox, captures: Sequence[Capture], *, upto: int | None = None, are_news: bool = False
) -> list[Row]:
    """A row for each message of some captures, newest first: it stands where its newest request does.

    Args:
        desk: judges, and knows the rest of each message.
        inbox: theirs.
        captures: newest first.
        upto: the number of the newest request there was when they were listed: a message that has had another since
            still stands among them. None: it does not, as it stands on a page before this one.
        are_news: whether the rows of all their messages are wanted, also of those that have a newer request.
    """
    rows: list[Row] = []
    done: set[str] = set()
    for capture in captures:
        message_id = capture.arrival.message_id
        if message_id is None:
            rows.append(await _row(desk, inbox, capture, [capture], key=key_of(capture, is_grouped=True)))
            continue
        if message_id in done:
            continue
        done.add(message_id)
        found = await desk.store.inboxes.of_message(message_id, _MOST_OF_MESSAGE)
        own = [each for each in found if each.inbox_id == inbox.id and (upto is None or each.number <= upto)] or [
            capture
        ]
        if are_news or own[-1].number <= capture.number:
            rows.append(await _row(desk, inbox, own[-1], own, key=key_of(capture, is_grouped=True)))
    return rows


async def _row(desk: Desk, inbox: Inbox, capture: Capture, requests: Sequence[Capture], *, key: str) -> Row:
    """The row of a capture, the newest of these requests of its message."""
    arrival = capture.arrival
    message_id = arrival.message_id
    shown = requests[-_SHOWN_OF_MESSAGE:]
    return Row(
        key=key,
        number=capture.number,
        path=path_of(capture),
        message_path=None if message_id is None else message_path(message_id),
        at=arrival.received_at,
        method=arrival.method,
        target=arrival.target,
        message_id=message_id,
        begins=_begins(arrival),
        size_bytes=arrival.size_bytes,
        verdict=verdict_mark(await desk.judge.judge(inbox, capture)),
        chips=[Chip(number=each.number, path=path_of(each), mark=answer_mark(each.answered)) for each in shown],
        earlier=len(requests) - len(shown),
        forward=forward_mark(capture.forwards),
    )


def _begins(arrival: Arrival) -> str:
    if not arrival.size_bytes:
        return "no body"
    return excerpt(arrival.body) or header(arrival.head, "content-type") or "bytes"


def path_of(capture: Capture) -> str:
    """Where a capture's page is."""
    return f"{PATH}/{capture.inbox_id}/{capture.number}"


def message_path(message_id: str) -> str:
    """Where a message's page is, as a path; to be percent-encoded where it is written."""
    return f"{PATH}/messages/{message_id}"
