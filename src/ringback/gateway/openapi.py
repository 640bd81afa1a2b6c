"""The OpenAPI 3.1 document: the routes of every served API, and in `webhooks` what its receivers get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ringback import __version__
from ringback.core.batch import CONTENT_TYPE
from ringback.core.queueing import HIGHEST_PRIORITY, LOWEST_PRIORITY
from ringback.core.spec import Api, Event
from ringback.core.workload import Status
from ringback.gateway import wishes
from ringback.gateway.openapi_batches import BATCH_SCHEMAS, batch_header, batch_paths
from ringback.gateway.openapi_parts import JSON, parameter, problems
from ringback.gateway.openapi_webhooks import WEBHOOK_SCHEMAS, webhook_paths
from ringback.gateway.schemas import SCHEMAS

_SUMMARIES: Final = {
    Event.STARTED: "A replica has begun with a workload",
    Event.PROGRESS: "A workload has come further; at most once a second",
    Event.OUTPUT: "A workload has yielded a value",
    Event.COMPLETED: "A workload completed",
    Event.FAILED: "A workload failed",
    Event.CANCELED: "A workload was canceled",
    Event.BATCH_COMPLETED: "Every workload of a batch has ended",
}
_BODIES: Final = {
    Event.COMPLETED: "Completed",
    Event.FAILED: "Failed",
    Event.CANCELED: "Canceled",
    Event.BATCH_COMPLETED: "BatchCompleted",
}


def openapi(apis: Sequence[Api]) -> dict[str, Any]:
    """The document for these APIs."""
    paths: dict[str, Any] = {}
    for api in apis:
        paths |= _paths(api)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ringback", "version": __version__},
        "paths": {**paths, **_server_paths()},
        "webhooks": {event.value: _webhook(event) for event in Event},
        "components": {
            "schemas": {**SCHEMAS, **WEBHOOK_SCHEMAS, **BATCH_SCHEMAS},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths(api: Api) -> dict[str, Any]:
    at, tag = f"/{api.endpoint}", {"tags": [api.name]}
    workload_id = parameter("id", "path", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"})
    wait = parameter("wait", "query", {"type": "number", "minimum": 0}, "Seconds to hold the answer until it ends.")
    listing = [
        parameter("status", "query", {"type": "string", "enum": [status.value for status in Status]}),
        parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}),
        parameter("cursor", "query", {"type": "string"}),
    ]
    return {
        at: {
            "post": {
                **tag,
                "summary": "Submit a workload, or a batch of them",
                **_submit(CONTENT_TYPE),
            },
            "get": {
                **tag,
                "summary": "List workloads, newest first",
                "parameters": listing,
                "responses": _answers("Page", "400"),
            },
        },
        f"{at}/{{id}}": {
            "parameters": [workload_id],
            "put": {**tag, "summary": "Submit a workload under an id of your own", **_submit()},
            "get": {
                **tag,
                "summary": "Read a workload",
                "parameters": [wait],
                "responses": _answers("Workload", "400", "404", "410"),
            },
            "delete": {
                **tag,
                "summary": "Erase a workload and all that is kept of it; one that has not ended is canceled",
                "responses": _answers("Erased", "404"),
            },
        },
        f"{at}/{{id}}/result": _bytes(tag, workload_id, "Read the result alone, or a range of it", JSON),
        f"{at}/{{id}}/payload": _bytes(tag, workload_id, "Read what was submitted, or a range of it"),
        **_asked(at, tag, workload_id),
        **_followed(at, tag, workload_id),
    }


def _bytes(tag: dict[str, Any], workload_id: dict[str, Any], summary: str, *kinds: str) -> dict[str, Any]:
    """A route that answers with bytes as they are kept."""
    return {
        "parameters": [workload_id],
        "get": {
            **tag,
            "summary": summary,
            "parameters": [parameter("Range", "header", {"type": "string"}, "bytes=0-99: one range of bytes.")],
            "responses": {
                "200": {"description": "All of it", "content": {kind: {} for kind in (*kinds, "*/*")}},
                "206": {"description": "The range", "content": {"*/*": {}}},
                **problems("404", "410", "416"),
            },
        },
    }


def _asked(at: str, tag: dict[str, Any], workload_id: dict[str, Any]) -> dict[str, Any]:
    """What is done to a workload after its submit."""
    return {
        f"{at}/{{id}}/cancel": {
            "parameters": [workload_id],
            "post": {
                **tag,
                "summary": "Have a workload end as canceled; repeating it is harmless",
                "responses": _answers("Standing", "404", "409", "410"),
            },
        },
        f"{at}/{{id}}/retry": {
            "parameters": [workload_id],
            "post": {
                **tag,
                "summary": "Have a failed or canceled workload run again under its id",
                "responses": _answers("Standing", "404", "409", "410", "503"),
            },
        },
    }


def _submit(*more: str) -> dict[str, Any]:
    """A submit; one that may come as a batch is given its content type."""
    return {
        "parameters": [*_submit_headers(), *([batch_header()] if more else [])],
        "requestBody": _payload(*more),
        "responses": _answers("Accepted", "400", "404", "409", "413", "415", "422", "503"),
    }


def _submit_headers() -> list[dict[str, Any]]:
    """What a submit may ask for."""
    steps = {"type": "integer", "minimum": LOWEST_PRIORITY, "maximum": HIGHEST_PRIORITY, "default": 0}
    text = {"type": "string"}
    named = {**text, "maxLength": 255}
    return [
        parameter("Idempotency-Key", "header", named),
        parameter("Ringback-Webhook", "header", {**text, "format": "uri"}, "A URL to ring besides the file's own."),
        parameter("Ringback-Webhook-Events", "header", text, "Which events, comma-separated."),
        parameter("Ringback-Order-Key", "header", named, "For order: fifo."),
        parameter("Ringback-Timeout", "header", text, "30s: at most the API's own time-out."),
        parameter(wishes.PRIORITY, "header", steps, "Higher first; a step is worth a minute of waiting."),
        parameter(wishes.DELAY, "header", text, "Not to begin before: 30s, 5m, 1h30m."),
        parameter(wishes.EXPIRES, "header", text, "The longest wait in the queue, after which it fails: expired."),
        parameter(wishes.TENANT, "header", named, "Whose share of the replicas it takes."),
    ]


def _followed(at: str, tag: dict[str, Any], workload_id: dict[str, Any]) -> dict[str, Any]:
    """A workload as it happens."""
    failures = problems("400", "404", "410", "503")
    known = "The id of the last event that is known; only what came after it is sent."
    number = {"type": "integer", "minimum": 0}
    events = {
        "summary": "Follow a workload: status, progress, output and log as server-sent events, to its end",
        "parameters": [
            parameter("Last-Event-ID", "header", number, known),
            parameter("after", "query", number, f"{known} The header goes first."),
        ],
        "responses": {
            "200": {
                "description": "Events, each with a growing id and JSON data; comments when nothing else comes",
                "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Happening"}}},
            },
            "204": {"description": "It is over, and nothing came after that id"},
            **failures,
        },
    }
    logs = {
        "summary": "What predict printed and logged",
        "parameters": [
            parameter("attempt", "query", {"type": "integer", "minimum": 1}, "Of this attempt alone."),
            parameter("follow", "query", {"type": "boolean"}, "Go on until it ends."),
        ],
        "responses": {"200": {"description": "The text", "content": {"text/plain": {}}}, **failures},
    }
    return {
        f"{at}/{{id}}/events": {"parameters": [workload_id], "get": {**tag, **events}},
        f"{at}/{{id}}/logs": {"parameters": [workload_id], "get": {**tag, **logs}},
    }


def _server_paths() -> dict[str, Any]:
    def plain(summary: str, kind: str = JSON, *failures: str) -> dict[str, Any]:
        answer = {"200": {"description": summary, "content": {kind: {}}}}
        return {"get": {"tags": ["server"], "summary": summary, "responses": {**answer, **problems(*failures)}}}

    ready = plain("Whether the server does its part: the store in reach, its own replicas taking work")
    ready["get"]["responses"]["503"] = {
        "description": "Not ready; the body says why",
        "content": {JSON: {}},
    }
    return {
        "/healthz": plain("Whether the server is alive"),
        "/readyz": ready,
        "/metrics": plain("Metrics for Prometheus", "text/plain"),
        "/openapi.json": plain("This document"),
        "/.well-known/ringback/jwks.json": plain(
            "The Ed25519 keys that verify what is signed with a whsk_ key (RFC 7517)", "application/jwk-set+json"
        ),
        "/-/apis": plain("What is served, and how it stands"),
        **_overview_paths(),
        **webhook_paths(),
        **batch_paths(),
    }


def _overview_paths() -> dict[str, Any]:
    """Workloads as an operator sees them."""
    text = {"type": "string"}
    api = parameter("api", "query", text, "Only those of this API.")
    search = [
        api,
        parameter("status", "query", {"type": "string", "enum": [status.value for status in Status]}),
        parameter("q", "query", text, "Words in the id, the idempotency key or the error."),
        parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}),
        parameter("cursor", "query", text),
    ]
    tags, one = {"tags": ["workloads"]}, [parameter("id", "path", text), api]
    return {
        "/-/workloads": {
            "get": {
                **tags,
                "summary": "Workloads of all APIs, newest first",
                "parameters": search,
                "responses": _answers("Page", "400", "404"),
            }
        },
        "/-/workloads/{id}": {
            "get": {
                **tags,
                "summary": "One workload with its attempts, its deliveries' states and its timing",
                "parameters": one,
                "responses": _answers("Record", "400", "404", "410"),
            }
        },
    }


def _webhook(event: Event) -> dict[str, Any]:
    headers = [
        parameter("webhook-id", "header", {"type": "string"}, "One per event, the same at every attempt."),
        parameter("webhook-timestamp", "header", {"type": "integer"}, "Seconds since 1970, of this attempt."),
        parameter("ringback-sequence", "header", {"type": "integer"}, "Higher for a later event of the workload."),
        parameter("ringback-attempt", "header", {"type": "integer"}, "1 for the first attempt of this webhook."),
        parameter(
            "webhook-signature",
            "header",
            {"type": "string"},
            "Standard Webhooks: v1 (HMAC-SHA256) for each whsec_ secret, v1a (Ed25519) for each whsk_ key.",
        ),
    ]
    schema = _BODIES.get(event, "News")
    body = {"required": True, "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
    return {
        "post": {
            "summary": _SUMMARIES[event],
            "parameters": headers,
            "requestBody": body,
            "responses": {"2XX": {"description": "Received; anything else is tried again."}},
        }
    }


def _payload(*more: str) -> dict[str, Any]:
    kinds = (JSON, "text/plain", "application/octet-stream", *more)
    return {"required": True, "content": {kind: {} for kind in kinds}}


def _answers(schema: str, *failures: str) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"200": {"description": schema, "content": content}, **problems(*failures)}
