"""A webhook's body: the exact bytes, made once, when the event happens, and stored as they are.

Format `cortex` is the seed document's body; its keys and their order are part of the interface. What is told on the way
to an outcome has the same shape. The other formats carry that body as their data: `standard` in the envelope that
Standard Webhooks advises (section "Payload structure"), `cloudevents` as a structured CloudEvent, `cloudevents-binary`
with the envelope in headers (CloudEvents 1.0, HTTP binding, sections 3.1 and 3.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from ringback.core.batch import BatchCompleted
from ringback.core.clock import Instant, isoformat
from ringback.core.spec import BodyFormat, Event
from ringback.core.workload import Canceled, Completed, Failed, News, Outcome, Output, Progress, Started

CONTENT_TYPES: Final[Mapping[BodyFormat, str]] = {
    BodyFormat.CORTEX: "application/json",
    BodyFormat.STANDARD: "application/json",
    BodyFormat.CLOUDEVENTS: "application/cloudevents+json",
    BodyFormat.CLOUDEVENTS_BINARY: "application/json",
}

_BARE: Final = frozenset({BodyFormat.CORTEX, BodyFormat.CLOUDEVENTS_BINARY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What every format tells of an event besides what happened."""

    event: Event
    message_id: str
    api: str
    workload_id: str
    at: Instant
    sequence: int = 1
    """The event's place among those of its workload."""


Happened = Outcome | News | BatchCompleted
"""What a webhook tells of."""


def event_of(happened: Happened) -> Event:
    """The event that announces it."""
    return _EVENTS[type(happened)]


_EVENTS: Final[Mapping[type, Event]] = {
    Started: Event.STARTED,
    Progress: Event.PROGRESS,
    Output: Event.OUTPUT,
    Completed: Event.COMPLETED,
    Failed: Event.FAILED,
    Canceled: Event.CANCELED,
    BatchCompleted: Event.BATCH_COMPLETED,
}


def cortex_body(told: Told, happened: Happened, result_url: str | None = None) -> bytes:
    """An event's body, UTF-8 JSON; with a URL in the result's place, if there is one.

    A result or an output is embedded as the JSON text the predictor's process made of it, so what a receiver
    parses is what predict returned, integers of any size included.
    """
    head = b'{"id":' + _text(told.workload_id)
    match happened:
        case Completed(result=result):
            tail = b',"timestamp":"' + isoformat(told.at).encode() + b'"}'
            content = b'"result":' + result if result_url is None else b'"result_url":' + _text(result_url)
            return head + b',"status":"completed",' + content + tail
        case Failed(type=kind, message=message):
            error = b'{"type":' + _text(kind) + b',"message":' + _text(message) + b"}"
            return head + b',"status":"failed","error":' + error + b"}"
        case Canceled():
            return head + b',"status":"canceled"}'
        case BatchCompleted():
            return _batch_body(told, happened)
        case _:
            return head + _on_the_way(told, happened)


def _batch_body(told: Told, completed: BatchCompleted) -> bytes:
    """A batch has no `id` key, so that no receiver takes it for a workload."""
    said = {
        "batch": told.workload_id,
        "api": completed.api,
        "status": "completed",
        "event": told.event.value,
        "counts": asdict(completed.counts),
        "timestamp": isoformat(told.at),
    }
    return json.dumps(said, separators=(",", ":")).encode()


def without_its_value(told: Told, output: Output) -> bytes:
    """The body of an output that is too large to be told inline: its size stands in its place."""
    left_out = Output(index=output.index, value=b'null,"output_bytes":%d' % len(output.value))
    return cortex_body(told, left_out)


def _on_the_way(told: Told, news: News) -> bytes:
    """What follows the id when a workload has not ended: which event this is, and its place among others."""
    when = isoformat(told.at).encode()
    head = b',"status":"in_progress","event":"%b","sequence":%d,"timestamp":"%b"' % (
        told.event.value.encode(),
        told.sequence,
        when,
    )
    match news:
        case Progress(fraction=fraction, message=message):
            note = b'{"fraction":%b,"message":%b}' % (json.dumps(fraction).encode(), _text(message))
            return head + b',"progress":' + note + b"}"
        case Output(index=index, value=value):
            return head + b',"index":%d,"output":%b}' % (index, value)
        case Started():
            return head + b"}"


def enveloped(form: BodyFormat, told: Told, data: bytes) -> bytes:
    """The body of an event for endpoints of that format, around the one of format `cortex`."""
    if form in _BARE:
        return data
    when = b'"' + isoformat(told.at).encode() + b'"'
    if form is BodyFormat.STANDARD:
        head = b'{"type":"%b","timestamp":%b,"sequence":%d' % (type_of(told.event).encode(), when, told.sequence)
    else:
        attributes = json.dumps(cloudevent(told), separators=(",", ":")).encode()[:-1]
        head = attributes + b',"time":' + when + b',"datacontenttype":"application/json"'
    return head + b',"data":' + data + b"}"


def type_of(event: Event) -> str:
    """An event's type, as envelopes name it."""
    return event.value if event is Event.BATCH_COMPLETED else f"workload.{event.value}"


def cloudevent(told: Told) -> dict[str, str]:
    """The attributes of a CloudEvent, but its time; the id is that of the webhook, the same at every attempt.

    The sequence is padded, so that it can be compared as text (CloudEvents, extension "Sequence").
    """
    return {
        "specversion": "1.0",
        "id": told.message_id,
        "source": f"/{told.api}",
        "type": f"ringback.{type_of(told.event)}",
        "subject": told.workload_id,
        "sequence": f"{told.sequence:010}",
    }


def _text(value: str | None) -> bytes:
    # ASCII escapes: a lone surrogate in an exception's message must not make the body unencodable.
    return json.dumps(value).encode("ascii")
