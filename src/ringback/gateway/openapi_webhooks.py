"""The OpenAPI document's part on webhooks: deliveries seen and mended, endpoints registered, changed and tried out."""

from __future__ import annotations

from typing import Any, Final

from ringback.core.delivery import DeliveryState, PauseKind
from ringback.core.registration import Undelivered
from ringback.core.spec import BodyFormat, Event, Order
from ringback.gateway.directory import Origin
from ringback.gateway.openapi_parts import JSON, json_body, parameter, problems, reference
from ringback.gateway.telling import TRIPPED

_TEXT: Final = {"type": "string"}
_MOMENT: Final = {"type": ["string", "null"], "format": "date-time"}
_EVENTS: Final = {"type": "array", "items": {"type": "string", "enum": [event.value for event in Event]}}
_APIS: Final = {"type": "array", "items": _TEXT}
_SECRET: Final = {"type": "string", "description": "whsec_… or whsk_…; one is made if it is absent."}
_SIGNATURE: Final = {"type": "string", "enum": ["v1", "v1a"], "description": "Which kind of secret is made."}
_NAMED: Final = {
    "format": {"type": "string", "enum": [form.value for form in BodyFormat]},
    "timeout": {"type": "string", "description": "15s"},
    "retry": {"type": "array", "items": _TEXT, "description": "Waits after failed attempts: 5s, 5m, 30m."},
    "concurrency": {"type": "integer", "minimum": 1, "maximum": 1_000},
    "rate_limit": {"type": ["string", "null"], "description": "50/s"},
    "inline_limit": {"type": "string", "description": "256KiB"},
    "order": {"type": "string", "enum": [order.value for order in Order]},
}

WEBHOOK_SCHEMAS: Final[dict[str, Any]] = {
    "EndpointWanted": {
        "type": "object",
        "description": "Keys as in the file's webhook; null stands for a key's default.",
        "properties": {
            "url": {"type": "string", "format": "uri"},
            "api": {"description": "An API, several, or * for all, which is the default.", "anyOf": [_TEXT, _APIS]},
            "events": _EVENTS,
            "headers": {"type": "object", "additionalProperties": _TEXT},
            **_NAMED,
            "secret": _SECRET,
            "signature": _SIGNATURE,
        },
    },
    "Endpoint": {
        "type": "object",
        "required": ["endpoint", "origin", "url", "state", "pending", "parked"],
        "properties": {
            "endpoint": {"type": "string", "description": "Its key."},
            "origin": {"type": "string", "enum": [origin.value for origin in Origin]},
            "api": {"type": ["string", "null"], "description": "Its API, if it is told of a single one."},
            "apis": {"type": "array", "items": _TEXT, "description": "Whose events it is told of; * means all."},
            "url": _TEXT,
            "events": _EVENTS,
            "headers": {"type": "array", "items": _TEXT, "description": "The names of its own headers."},
            **_NAMED,
            "signed": {"type": "boolean"},
            "keys": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "signature": _SIGNATURE,
                        "public_key": {"type": ["string", "null"], "description": "whpk_…, of a v1a key."},
                        "signs_until": _MOMENT,
                    },
                },
            },
            "created_at": _MOMENT,
            "state": {"type": "string", "enum": ["active", TRIPPED, *(kind.value for kind in PauseKind), "removed"]},
            "reason": {"type": ["string", "null"]},
            "since": _MOMENT,
            "pending": {"type": "integer"},
            "parked": {"type": "integer"},
            "oldest_seconds": {"type": ["number", "null"]},
            "secret": {"type": "string", "description": "A shared secret, at its making and never again."},
        },
    },
}


def webhook_paths() -> dict[str, Any]:
    """The routes under `/-/deliveries` and `/-/endpoints`."""
    return {**_delivery_paths(), **_endpoint_paths()}


def _route(verb: str, summary: str, *parameters: dict[str, Any], failures: tuple[str, ...] = ()) -> dict[str, Any]:
    answer = {"200": {"description": summary, "content": {JSON: {}}}}
    told = {"tags": ["webhooks"], "summary": summary, "responses": {**answer, **problems(*failures)}}
    return {verb: {**told, "parameters": list(parameters)} if parameters else told}


def _delivery_paths() -> dict[str, Any]:
    states = {"type": "string", "enum": [state.value for state in DeliveryState]}
    delivery = parameter("id", "path", _TEXT, "As the list shows it: dlv_…")
    search = [
        parameter("endpoint", "query", _TEXT),
        parameter("state", "query", states),
        parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1_000}),
        parameter("cursor", "query", _TEXT),
        parameter("api", "query", _TEXT, "With id: all deliveries of one workload, with their attempts."),
        parameter("id", "query", _TEXT),
    ]
    recover = _route("post", "Send again all that an endpoint's schedule gave up on", failures=("400", "404"))
    properties = {"endpoint": _TEXT, "since": {"type": "string", "description": "2h, 7d, or an ISO 8601 moment"}}
    recover["post"]["requestBody"] = json_body({"type": "object", "required": ["endpoint"], "properties": properties})
    return {
        "/-/deliveries": _route("get", "Deliveries, newest first", *search, failures=("400", "404")),
        "/-/deliveries/recover": recover,
        "/-/deliveries/{id}": _route("get", "One delivery with its attempts", delivery, failures=("404",)),
        "/-/deliveries/{id}/replay": _route("post", "Send one delivery again", delivery, failures=("404", "409")),
        "/-/deliveries/{id}/skip": _route("post", "Let others pass a parked one", delivery, failures=("404", "409")),
    }


def _endpoint_paths() -> dict[str, Any]:
    at = "/-/endpoints/{key}"
    key = parameter("key", "path", _TEXT, "As the list shows it.")
    fate = {"type": "string", "enum": [fate.value for fate in Undelivered]}
    undelivered = parameter("undelivered", "query", fate, "What becomes of webhooks that have not arrived; park.")
    wanted = json_body(reference("EndpointWanted"))
    add = _told(_route("post", "Register an endpoint", failures=("400", "409", "422")), "201")
    change = _told(_route("patch", "Change a registered endpoint", failures=("400", "404", "409", "422")))
    rotate = _told(_route("post", "Replace its secret; both sign for a day", key, failures=("400", "404", "409")))
    overlap = {"type": "string", "description": "How long the old secret signs on, 7d at most; by default 24h."}
    properties = {"secret": _SECRET, "signature": _SIGNATURE, "overlap": overlap}
    add["post"]["requestBody"] = change["patch"]["requestBody"] = wanted
    rotate["post"]["requestBody"] = json_body({"type": "object", "properties": properties}, required=False)
    removed = _told(_route("delete", "Remove a registered endpoint", undelivered, failures=("400", "404", "409")))
    return {
        "/-/endpoints": {**_route("get", "The endpoints, and how they stand"), **add},
        at: {
            "parameters": [key],
            **_told(_route("get", "One endpoint, and how it stands", failures=("404",))),
            **change,
            **removed,
        },
        f"{at}/rotate": rotate,
        f"{at}/enable": _told(_route("post", "Take an endpoint up again", key, failures=("404",))),
        f"{at}/disable": _told(_route("post", "Put an endpoint to rest", key, failures=("404",))),
        f"{at}/test": _route("post", "Try an endpoint out", key, failures=("400", "404")),
    }


def _told(route: dict[str, Any], status: str = "200") -> dict[str, Any]:
    """The route, answering with an endpoint."""
    for told in route.values():
        answer = told["responses"].pop("200")
        told["responses"][status] = {**answer, "content": {JSON: {"schema": reference("Endpoint")}}}
    return route
