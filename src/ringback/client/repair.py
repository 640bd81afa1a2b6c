"""Requests about webhooks and the endpoints they go to. No I/O: both clients send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from ringback.client.protocol import Request, path_of
from ringback.core.errors import Unreachable

TRIAL_SECONDS: Final = 60.0
"""How long a trial may take: the endpoint's own time-out, which the server knows."""

Verb = Literal["enable", "disable", "test"]
Undelivered = Literal["park", "erase"]


def deliveries(*, endpoint: str | None, state: str | None, limit: int, cursor: str | None) -> Request:
    asked = {"endpoint": endpoint, "state": state, "limit": str(limit), "cursor": cursor}
    query = {name: value for name, value in asked.items() if value is not None}
    return Request(method="GET", path="/-/deliveries", query=query)


def delivery(delivery_id: str) -> Request:
    return Request(method="GET", path=path_of("-", "deliveries", delivery_id))


def replay(delivery_id: str) -> Request:
    return _posted(path_of("-", "deliveries", delivery_id, "replay"), {})


def skip(delivery_id: str) -> Request:
    return _posted(path_of("-", "deliveries", delivery_id, "skip"), {})


def recover(endpoint: str, since: str | None) -> Request:
    return _posted("/-/deliveries/recover", {"endpoint": endpoint, **({} if since is None else {"since": since})})


def endpoints() -> Request:
    return Request(method="GET", path="/-/endpoints")


def endpoint(key: str, verb: Verb) -> Request:
    held = TRIAL_SECONDS if verb == "test" else 0.0
    return _posted(_path_of(key, verb), {}, held_seconds=held)


def add_endpoint(url: str, settings: Mapping[str, Any]) -> Request:
    return replace(_posted("/-/endpoints", {"url": url, **settings}), is_repeatable=False)


def change_endpoint(key: str, settings: Mapping[str, Any]) -> Request:
    return replace(_posted(_path_of(key), settings), method="PATCH")


def rotate_endpoint(key: str, settings: Mapping[str, Any]) -> Request:
    return replace(_posted(_path_of(key, "rotate"), settings), is_repeatable=False)


def remove_endpoint(key: str, undelivered: Undelivered) -> Request:
    return Request(method="DELETE", path=_path_of(key), query={"undelivered": undelivered})


def object_of(value: Any) -> dict[str, Any]:
    """The JSON object an answer is.

    Raises:
        Unreachable: it is something else.
    """
    if not isinstance(value, dict):
        raise Unreachable("the server answered with something else than was asked for; is it another server?")
    return value


def _path_of(key: str, *verb: str) -> str:
    return path_of("-", "endpoints", *key.split("/"), *verb)


def _posted(path: str, body: Mapping[str, Any], *, held_seconds: float = 0.0) -> Request:
    headers = {"content-type": "application/json"}
    content = json.dumps(body).encode()
    return Request(method="POST", path=path, headers=headers, content=content, held_seconds=held_seconds)
