"""A webhook's body: the exact bytes, made once, when the event happens, and stored as they are.

Format `cortex` is the seed document's body; its keys and their order are part of the interface.
"""

from __future__ import annotations

import json

from ringback.core.clock import Instant, isoformat
from ringback.core.spec import Event
from ringback.core.workload import Completed, Failed, Outcome


def event_of(outcome: Outcome) -> Event:
    """The event a terminal outcome announces."""
    return Event.COMPLETED if isinstance(outcome, Completed) else Event.FAILED


def cortex_body(workload_id: str, outcome: Outcome, at: Instant) -> bytes:
    """The body of a terminal event, UTF-8 JSON.

    A completed workload's result is embedded as the JSON text the predictor's process made of it, so
    what a receiver parses is what predict returned, integers of any size included.
    """
    head = b'{"id":' + _text(workload_id)
    match outcome:
        case Completed(result=result):
            tail = b',"timestamp":"' + isoformat(at).encode() + b'"}'
            return head + b',"status":"completed","result":' + result + tail
        case Failed(type=kind, message=message):
            error = b'{"type":' + _text(kind) + b',"message":' + _text(message) + b"}"
            return head + b',"status":"failed","error":' + error + b"}"


def _text(value: str) -> bytes:
    # ASCII escapes: a lone surrogate in an exception's message must not make the body unencodable.
    return json.dumps(value).encode("ascii")
