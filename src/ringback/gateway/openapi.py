"""The OpenAPI 3.1 document: the routes of every served API, and in `webhooks` what its receivers get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ringback import __version__
from ringback.core.delivery import DeliveryState
from ringback.core.spec import OUTCOMES, Api, Event
from ringback.core.workload import Status
from ringback.gateway.schemas import SCHEMAS

_JSON: Final = "application/json"
_SUMMARIES: Final = {
    Event.STARTED: "A replica has begun with a workload",
    Event.PROGRESS: "A workload has come further; at most once a second",
    Event.OUTPUT: "A workload has yielded a value",
    Event.COMPLETED: "A workload completed",
    Event.FAILED: "A workload failed",
    Event.CANCELED: "A workload was canceled",
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
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths(api: Api) -> dict[str, Any]:
    at, tag = f"/{api.endpoint}", {"tags": [api.name]}
    workload_id = _parameter("id", "path", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"})
    wait = _parameter("wait", "query", {"type": "number", "minimum": 0}, "Seconds to hold the answer until it ends.")
    key = _parameter("Idempotency-Key", "header", {"type": "string", "maxLength": 255})
    url = {"type": "string", "format": "uri"}
    guest = _parameter("Ringback-Webhook", "header", url, "A URL to ring besides the file's own.")
    events = _parameter("Ringback-Webhook-Events", "header", {"type": "string"}, "Which events, comma-separated.")
    line = _parameter("Ringback-Order-Key", "header", {"type": "string", "maxLength": 255}, "For order: fifo.")
    submit = {
        "requestBody": _payload(),
        "responses": _answers("Accepted", "400", "404", "409", "413", "415", "422", "503"),
    }
    listing = [
        _parameter("status", "query", {"type": "string", "enum": [status.value for status in Status]}),
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}),
        _parameter("cursor", "query", {"type": "string"}),
    ]
    return {
        at: {
            "post": {**tag, "summary": "Submit a workload", "parameters": [key, guest, events, line], **submit},
            "get": {
                **tag,
                "summary": "List workloads, newest first",
                "parameters": listing,
                "responses": _answers("Page", "400"),
            },
        },
        f"{at}/{{id}}": {
            "parameters": [workload_id],
            "put": {**tag, "summary": "Submit a workload under an id of your own", **submit},
            "get": {
                **tag,
                "summary": "Read a workload",
                "parameters": [wait],
                "responses": _answers("Workload", "400", "404", "410"),
            },
        },
        f"{at}/{{id}}/result": {
            "parameters": [workload_id],
            "get": {
                **tag,
                "summary": "Read the result alone",
                "responses": {"200": {"description": "The result", "content": {_JSON: {}}}, **_problems("404", "410")},
            },
        },
        **_followed(at, tag, workload_id),
    }


def _followed(at: str, tag: dict[str, Any], workload_id: dict[str, Any]) -> dict[str, Any]:
    """A workload as it happens."""
    failures = _problems("400", "404", "410", "503")
    known = "The id of the last event that is known; only what came after it is sent."
    number = {"type": "integer", "minimum": 0}
    events = {
        "summary": "Follow a workload: status, progress, output and log as server-sent events, to its end",
        "parameters": [
            _parameter("Last-Event-ID", "header", number, known),
            _parameter("after", "query", number, f"{known} The header goes first."),
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
            _parameter("attempt", "query", {"type": "integer", "minimum": 1}, "Of this attempt alone."),
            _parameter("follow", "query", {"type": "boolean"}, "Go on until it ends."),
        ],
        "responses": {"200": {"description": "The text", "content": {"text/plain": {}}}, **failures},
    }
    return {
        f"{at}/{{id}}/events": {"parameters": [workload_id], "get": {**tag, **events}},
        f"{at}/{{id}}/logs": {"parameters": [workload_id], "get": {**tag, **logs}},
    }


def _server_paths() -> dict[str, Any]:
    def plain(summary: str, kind: str = _JSON, *failures: str) -> dict[str, Any]:
        answer = {"200": {"description": summary, "content": {kind: {}}}}
        return {"get": {"tags": ["server"], "summary": summary, "responses": {**answer, **_problems(*failures)}}}

    ready = plain("Whether every API has a replica that takes work")
    ready["get"]["responses"]["503"] = {"description": "Not every API is ready", "content": {_JSON: {}}}
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
        **_repair_paths(),
    }


def _overview_paths() -> dict[str, Any]:
    """Workloads as an operator sees them."""
    text = {"type": "string"}
    api = _parameter("api", "query", text, "Only those of this API.")
    search = [
        api,
        _parameter("status", "query", {"type": "string", "enum": [status.value for status in Status]}),
        _parameter("q", "query", text, "Words in the id, the idempotency key or the error."),
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}),
        _parameter("cursor", "query", text),
    ]
    tags, one = {"tags": ["workloads"]}, [_parameter("id", "path", text), api]
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


def _repair_paths() -> dict[str, Any]:
    """Webhooks seen and mended."""

    def route(verb: str, summary: str, *parameters: dict[str, Any], failures: tuple[str, ...] = ()) -> dict[str, Any]:
        answer = {"200": {"description": summary, "content": {_JSON: {}}}}
        told = {"tags": ["webhooks"], "summary": summary, "responses": {**answer, **_problems(*failures)}}
        return {verb: {**told, "parameters": list(parameters)} if parameters else told}

    text = {"type": "string"}
    states = {"type": "string", "enum": [state.value for state in DeliveryState]}
    delivery = _parameter("id", "path", text, "As the list shows it: dlv_…")
    endpoint = _parameter("key", "path", text, "As the list shows it.")
    search = [
        _parameter("endpoint", "query", text),
        _parameter("state", "query", states),
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1_000}),
        _parameter("cursor", "query", text),
        _parameter("api", "query", text, "With id: all deliveries of one workload, with their attempts."),
        _parameter("id", "query", text),
    ]
    recover = route("post", "Send again all that an endpoint's schedule gave up on", failures=("400", "404"))
    properties = {"endpoint": text, "since": {"type": "string", "description": "2h, 7d, or an ISO 8601 moment"}}
    schema = {"type": "object", "required": ["endpoint"], "properties": properties}
    recover["post"]["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return {
        "/-/deliveries": route("get", "Deliveries, newest first", *search, failures=("400", "404")),
        "/-/deliveries/recover": recover,
        "/-/deliveries/{id}": route("get", "One delivery with its attempts", delivery, failures=("404",)),
        "/-/deliveries/{id}/replay": route("post", "Send one delivery again", delivery, failures=("404",)),
        "/-/deliveries/{id}/skip": route("post", "Let others pass a parked one", delivery, failures=("404", "409")),
        "/-/endpoints": route("get", "The endpoints, and how they stand"),
        "/-/endpoints/{key}/enable": route("post", "Take an endpoint up again", endpoint, failures=("404",)),
        "/-/endpoints/{key}/disable": route("post", "Put an endpoint to rest", endpoint, failures=("404",)),
        "/-/endpoints/{key}/test": route("post", "Try an endpoint out", endpoint, failures=("400", "404")),
    }


def _webhook(event: Event) -> dict[str, Any]:
    headers = [
        _parameter("webhook-id", "header", {"type": "string"}, "One per event, the same at every attempt."),
        _parameter("webhook-timestamp", "header", {"type": "integer"}, "Seconds since 1970, of this attempt."),
        _parameter("ringback-sequence", "header", {"type": "integer"}, "Higher for a later event of the workload."),
        _parameter("ringback-attempt", "header", {"type": "integer"}, "1 for the first attempt of this webhook."),
        _parameter(
            "webhook-signature",
            "header",
            {"type": "string"},
            "Standard Webhooks: v1 (HMAC-SHA256) for each whsec_ secret, v1a (Ed25519) for each whsk_ key.",
        ),
    ]
    schema = event.value.capitalize() if event in OUTCOMES else "News"
    body = {"required": True, "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
    return {
        "post": {
            "summary": _SUMMARIES[event],
            "parameters": headers,
            "requestBody": body,
            "responses": {"2XX": {"description": "Received; anything else is tried again."}},
        }
    }


def _parameter(
    name: str, place: str, schema: dict[str, Any], description: str = "", *, required: bool = False
) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "in": place, "schema": schema}
    if place == "path" or required:
        told["required"] = True
    return {**told, "description": description} if description else told


def _payload() -> dict[str, Any]:
    return {"required": True, "content": {_JSON: {}, "text/plain": {}, "application/octet-stream": {}}}


def _answers(schema: str, *failures: str) -> dict[str, Any]:
    content = {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"200": {"description": schema, "content": content}, **_problems(*failures)}


def _problems(*statuses: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "A problem", "content": content} for status in statuses}
