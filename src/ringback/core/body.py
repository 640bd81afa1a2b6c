"""A webhook's body: the exact bytes, made once, when the event happens, and stored as they are.

Format `cortex` is the seed document's body; its keys and their order are part of the interface. The others carry that
body as their data: `standard` in the envelope that Standard Webhooks advises (section "Payload structure"),
`cloudevents` as a structured CloudEvent, `cloudevents-binary` with the envelope in headers (CloudEvents 1.0, HTTP
binding, sections 3.1 and 3.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringback.core.clock import Instant, isoformat
from ringback.core.spec import BodyFormat, Event
from ringback.core.workload import Completed, Failed, Outcome

CONTENT_TYPES: Final[Mapping[BodyFormat, str]] = {
    BodyFormat.CORTEX: "application/json",
    BodyFormat.STANDARD: "application/json",
    BodyFormat.CLOUDEVENTS: "application/cloudevents+json",
    BodyFormat.CLOUDEVENTS_BINARY: "application/json",
}


_BARE: Final = frozenset({BodyFormat.CORTEX, BodyFormat.CLOUDEVENTS_BINARY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What every format tells of an event besides its outcome."""

    event: Event
    message_id: str
    api: str
    workload_id: str
    at: Instant


def event_of(outcome: Outcome) -> Event:
    """The event a terminal outcome announces."""
    return Event.COMPLETED if isinstance(outcome, Completed) else Event.FAILED


def cortex_body(workload_id: str, outcome: Outcome, at: Instant, result_url: str | None = None) -> bytes:
    """The body of a terminal event, UTF-8 JSON; with a URL in the result's place, if there is one.

    A completed workload's result is embedded as the JSON text the predictor's process made of it, so
    what a receiver parses is what predict returned, integers of any size included.
    """
    head = b'{"id":' + _text(workload_id)
    match outcome:
        case Completed(result=result):
            tail = b',"timestamp":"' + isoformat(at).encode() + b'"}'
            told = b'"result":' + result if result_url is None else b'"result_url":' + _text(result_url)
            return head + b',"status":"completed",' + told + tail
        case Failed(type=kind, message=message):
            error = b'{"type":' + _text(kind) + b',"message":' + _text(message) + b"}"
            return head + b',"status":"failed","error":' + error + b"}"


def body_of(form: BodyFormat, told: Told, outcome: Outcome, result_url: str | None = None) -> bytes:
    """The body of a terminal event, UTF-8 JSON, for endpoints of that format."""
    data = cortex_body(told.workload_id, outcome, told.at, result_url)
    if form in _BARE:
        return data
    when = b'"' + isoformat(told.at).encode() + b'"'
    match form:
        case BodyFormat.STANDARD:
            return b'{"type":"' + type_of(told.event).encode() + b'","timestamp":' + when + b',"data":' + data + b"}"
        case _:
            attributes = cloudevent(told.message_id, told.api, told.workload_id, told.event)
            head = json.dumps(attributes, separators=(",", ":")).encode()[:-1]
            return head + b',"time":' + when + b',"datacontenttype":"application/json","data":' + data + b"}"


def type_of(event: Event) -> str:
    """An event's type, as envelopes name it."""
    return f"workload.{event.value}"


def cloudevent(message_id: str, api: str, workload_id: str, event: Event) -> dict[str, str]:
    """The attributes of a CloudEvent, but its time; the id is that of the webhook, the same at every attempt."""
    return {
        "specversion": "1.0",
        "id": message_id,
        "source": f"/{api}",
        "type": f"ringback.{type_of(event)}",
        "subject": workload_id,
    }


def _text(value: str) -> bytes:
    # ASCII escapes: a lone surrogate in an exception's message must not make the body unencodable.
    return json.dumps(value).encode("ascii")
