"""The OpenAPI document's part on batches, and on what is done to many workloads at once."""

from __future__ import annotations

from typing import Any, Final

from ringback.core.batch import CONTENT_TYPE, BatchStatus
from ringback.core.selection import MOVABLE, Move
from ringback.core.workload import Status
from ringback.gateway.openapi_parts import JSON, json_body, parameter, problems, reference

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
    "Swept": {
        "type": "object",
        "description": "What one request has come to. As long as there is a cursor there is more: send it along.",
        "required": ["cursor"],
        "properties": {
            "changed": {
                "type": "integer",
                "description": "How many are canceled, told to stop, or in the queue again.",
            },
            "stopping": {"type": "integer", "description": "How many of those run, and have been told to stop."},
            "matched": {"type": "integer", "description": "With dry_run, instead: how many are meant."},
            "cursor": {"type": ["string", "null"]},
            "wait_seconds": {"type": ["integer", "null"], "description": "The queue is full: when to go on."},
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
        **{
            f"{path}/{move.value}": _sweep(move, whose, *parameters)
            for move in Move
            for path, whose, parameters in (
                ("/-/batches/{id}", "a batch's workloads", [batch]),
                ("/-/workloads", "whatever is meant", []),
            )
        },
    }


def _route(summary: str, answer: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    responses = {"200": answer, **problems("400", "404")}
    return {"get": {"tags": ["batches"], "summary": summary, "parameters": list(parameters), "responses": responses}}


def _sweep(move: Move, whose: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    conditions: dict[str, Any] = {} if parameters else {"api": _TEXT, "batch": _TEXT}
    conditions |= {
        "status": {"enum": [status.value for status in MOVABLE[move]]},
        "tenant": _TEXT,
        "since": {**_TEXT, "description": "Ended, or submitted if it has not, then or later: 2h, or a moment."},
        "before": {**_TEXT, "description": "As since, earlier than that."},
        "q": {**_TEXT, "description": "Words in the id, the idempotency key or the error."},
        "dry_run": {"type": "boolean", "default": False, "description": "Only say how many."},
        "cursor": _TEXT,
    }
    return {
        "post": {
            "tags": ["batches" if parameters else "workloads"],
            "summary": f"{move.value.title()} {whose}",
            "parameters": list(parameters),
            "requestBody": json_body({"type": "object", "properties": conditions}, required=not parameters),
            "responses": {"200": _answer("Swept"), **problems("400", "404", "503")},
        }
    }


def _answer(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": {JSON: {"schema": reference(schema)}}}
