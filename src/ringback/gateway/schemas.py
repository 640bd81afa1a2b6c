"""The JSON that the routes answer with and that receivers get, as schemas for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from ringback.core.workload import Ending, Status

_ERROR: Final = {
    "type": "object",
    "required": ["type", "message"],
    "properties": {
        "type": {"type": "string", "description": "The exception's class name, or one of Ringback's own words."},
        "message": {"type": "string"},
    },
}
_PROGRESS: Final = {
    "type": "object",
    "properties": {"fraction": {"type": "number"}, "message": {"type": ["string", "null"]}},
}

SCHEMAS: Final[dict[str, Any]] = {
    "Accepted": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}},
    },
    "Standing": {
        "type": "object",
        "required": ["id", "status"],
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string", "enum": [status.value for status in Status]},
        },
    },
    "Erased": {
        "type": "object",
        "required": ["id", "erased"],
        "properties": {"id": {"type": "string"}, "erased": {"const": True}},
    },
    "Error": _ERROR,
    "Workload": {
        "type": "object",
        "required": ["id", "status"],
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string", "enum": [status.value for status in Status]},
            "result": {"description": "What predict returned; present when completed."},
            "result_url": {"type": "string", "format": "uri", "description": "In the place of a large result."},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it completed."},
            "error": {"$ref": "#/components/schemas/Error"},
            "progress": _PROGRESS,
        },
    },
    "Summary": {
        "type": "object",
        "required": ["id", "status", "attempt", "submitted_at"],
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string", "enum": [status.value for status in Status]},
            "attempt": {"type": "integer"},
            "submitted_at": {"type": "string", "format": "date-time"},
            "started_at": {"type": ["string", "null"], "format": "date-time"},
            "finished_at": {"type": ["string", "null"], "format": "date-time"},
            "error": {"$ref": "#/components/schemas/Error"},
        },
    },
    "Attempt": {
        "type": "object",
        "required": ["number", "started_at", "ended_at", "ran_seconds", "ended"],
        "properties": {
            "number": {"type": ["integer", "null"], "description": "null: it ended without having begun."},
            "started_at": {"type": ["string", "null"], "format": "date-time"},
            "ended_at": {"type": ["string", "null"], "format": "date-time"},
            "ran_seconds": {"type": ["number", "null"]},
            "ended": {"enum": ["running", *(ending.value for ending in Ending)]},
            "error": {"$ref": "#/components/schemas/Error"},
        },
    },
    "Record": {
        "allOf": [{"$ref": "#/components/schemas/Summary"}],
        "type": "object",
        "required": ["api", "path", "payload", "timing", "attempts", "deliveries"],
        "properties": {
            "api": {"type": "string"},
            "path": {"type": "string"},
            "due_at": {"type": ["string", "null"], "format": "date-time", "description": "While it is in the queue."},
            "expires_at": {"type": ["string", "null"], "format": "date-time"},
            "position": {"type": ["integer", "null"], "description": "In its tenant's line; 1 is next."},
            "priority": {"type": "integer"},
            "tenant": {"type": ["string", "null"]},
            "progress": {"anyOf": [_PROGRESS, {"type": "null"}]},
            "payload": {"type": "object", "description": "content_type and bytes"},
            "result": {"type": ["object", "null"], "description": "bytes, and the path it can be read at"},
            "checkpoint": {"type": ["object", "null"], "description": "bytes: what its next attempt may go on from"},
            "raised": {"type": "integer", "description": "How often predict has raised or timed out."},
            "losses": {"type": "integer", "description": "How often a replica has died under it."},
            "idempotency_key": {"type": ["string", "null"]},
            "order_key": {"type": ["string", "null"]},
            "trace_id": {"type": ["string", "null"]},
            "timing": {
                "type": "object",
                "description": "waited_seconds, ran_seconds (all attempts together), total_seconds",
                "additionalProperties": {"type": ["number", "null"]},
            },
            "attempts": {"type": "array", "items": {"$ref": "#/components/schemas/Attempt"}},
            "deliveries": {
                "type": "object",
                "description": "How many of its webhooks stand in each state.",
                "additionalProperties": {"type": "integer"},
            },
        },
    },
    "Page": {
        "type": "object",
        "required": ["workloads", "cursor"],
        "properties": {
            "workloads": {"type": "array", "items": {"$ref": "#/components/schemas/Summary"}},
            "cursor": {"type": ["string", "null"]},
        },
    },
    "Completed": {
        "type": "object",
        "required": ["id", "status", "timestamp"],
        "properties": {
            "id": {"type": "string"},
            "status": {"const": "completed"},
            "result": {},
            "result_url": {"type": "string", "format": "uri", "description": "In the place of a large result."},
            "timestamp": {"type": "string", "format": "date-time"},
        },
    },
    "Failed": {
        "type": "object",
        "required": ["id", "status", "error"],
        "properties": {
            "id": {"type": "string"},
            "status": {"const": "failed"},
            "error": {"$ref": "#/components/schemas/Error"},
        },
    },
    "Canceled": {
        "type": "object",
        "required": ["id", "status"],
        "properties": {"id": {"type": "string"}, "status": {"const": "canceled"}},
    },
    "News": {
        "type": "object",
        "description": "What happens on the way to an outcome.",
        "required": ["id", "status", "event", "sequence", "timestamp"],
        "properties": {
            "id": {"type": "string"},
            "status": {"const": "in_progress"},
            "event": {"enum": ["started", "progress", "output"]},
            "sequence": {"type": "integer", "description": "Higher for a later event of the workload."},
            "timestamp": {"type": "string", "format": "date-time"},
            "progress": _PROGRESS,
            "index": {"type": "integer", "description": "Of an output: 0 for the attempt's first."},
            "output": {"description": "What predict has yielded; null when it is over the inline limit."},
            "output_bytes": {"type": "integer", "description": "The size of an output that is left out."},
        },
    },
    "Happening": {
        "type": "object",
        "description": "The data of one server-sent event; which properties it has depends on its `event`.",
        "required": ["attempt", "at"],
        "properties": {
            "attempt": {"type": "integer", "description": "0 before the first."},
            "at": {"type": ["string", "null"], "format": "date-time"},
            "status": {"type": "string", "enum": [status.value for status in Status]},
            "error": {"$ref": "#/components/schemas/Error"},
            "fraction": {"type": "number"},
            "message": {"type": ["string", "null"]},
            "index": {"type": "integer", "description": "Of an output: 0 for the attempt's first."},
            "output": {"description": "What predict has yielded; null when it is too large for the journal."},
            "output_bytes": {"type": "integer", "description": "The size of an output that is left out."},
            "line": {"type": "integer", "description": "On which line of the attempt's log the text begins, from 1."},
            "text": {"type": "string", "description": "One after the other, these make up the log."},
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    },
}
