"""The OpenAPI document's part on batches."""

from __future__ import annotations

from typing import Any, Final

from ringback.core.batch import CONTENT_TYPE, BatchStatus
from ringback.core.workload import Status
from ringback.gateway.openapi_parts import JSON, parameter, problems, reference

_TEXT: Final = {"type": "string"}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_COUNTS: Final = {"type": "object", "additionalProperties": {"type": "integer"}}

BATCH_SCHEMAS: Final[dict[str, Any]] = {
    "BatchAccepted": {
        "type": "object",
        "required": ["batch", "ids"],
        "properties": {
            "batch": _TEXT,
            "ids": {"type": "array", "items": _TEXT, "description": "In the order of the lines."},
        },
    },
    "Batch": {
        "type": "object",
        "required": ["batch", "api", "status", "counts", "submitted_at", "finished_at"],
        "properties": {
            "batch": _TEXT,
            "api": _TEXT,
            "status": {"enum": [status.value for status in BatchStatus]},
            "counts": _COUNTS,
            "submitted_at": _MOMENT,
            "finished_at": {"type": ["string", "null"], "format": "date-time"},
        },
    },
    "Batches": {
        "type": "object",
        "required": ["batches", "cursor"],
        "properties": {
            "batches": {"type": "array", "items": reference("Batch")},
            "cursor": {"type": ["string", "null"]},
        },
    },
    "BatchCompleted": {
        "type": "object",
        "description": "Told when the last workload has ended, however.",
        "required": ["batch", "api", "status", "event", "counts", "timestamp"],
        "properties": {
            "batch": _TEXT,
            "api": _TEXT,
            "status": {"const": "completed"},
            "event": {"const": "batch.completed"},
            "counts": _COUNTS,
            "timestamp": _MOMENT,
        },
    },
}


def batch_header() -> dict[str, Any]:
    """The header of a submit that makes it a batch."""
    meaning = f"true: the body is {CONTENT_TYPE}, one workload a line, and the answer a BatchAccepted."
    return parameter("Ringback-Batch", "header", {**_TEXT, "enum": ["true", "false"]}, meaning)


def batch_paths() -> dict[str, Any]:
    """Batches as they stand."""
    batch = parameter("id", "path", _TEXT)
    pages = [
        parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1_000}),
        parameter("cursor", "query", _TEXT),
    ]
    status = parameter("status", "query", {**_TEXT, "enum": [status.value for status in Status]})
    lines = {"description": "Each as a poll tells of it, in the order of the lines", "content": {CONTENT_TYPE: {}}}
    return {
        "/-/batches": _route("Batches, newest first", _answer("Batches"), parameter("api", "query", _TEXT), *pages),
        "/-/batches/{id}": _route("A batch with its counts", _answer("Batch"), batch),
        "/-/batches/{id}/workloads": _route("A batch's workloads", _answer("Page"), batch, status, *pages),
        "/-/batches/{id}/results": _route("All results of a batch", lines, batch),
    }


def _route(summary: str, answer: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    responses = {"200": answer, **problems("400", "404")}
    return {"get": {"tags": ["batches"], "summary": summary, "parameters": list(parameters), "responses": responses}}


def _answer(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": {JSON: {"schema": reference(schema)}}}
