"""What the servers on one store must agree on: one short digest for each API of a server's file. Pure.

In it is what one server's word binds the others by: names and paths, time-outs, retries, retention, scaling, and whom
webhooks go to and how. Not in it is what a host may well have of its own: the predictor with its paths, environment and
configuration, what a replica asks of the machine, and secrets, which a role that does not send has no use for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from ringback.core.spec import Api, Endpoint

_OF_THE_HOST: Final = frozenset({"predictor", "compute", "webhooks"})
_SECRET: Final = frozenset({"url", "secret", "former", "headers"})
_DIGITS: Final = 12


def digests(apis: Iterable[Api]) -> dict[str, str]:
    """By its name, what stands for each API."""
    return {api.name: _digest(api) for api in apis}


def differing(own: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """The names of the APIs that only one of two servers has, or that each has otherwise."""
    return sorted(name for name in {*own, *theirs} if own.get(name) != theirs.get(name))


def count_differing(own: Mapping[str, str], name: str, others: Iterable[Mapping[str, str]]) -> int:
    """How many of the others have this API otherwise, or not at all."""
    return sum(theirs.get(name) != own.get(name) for theirs in others)


def _digest(api: Api) -> str:
    told = {field.name: _told(getattr(api, field.name)) for field in fields(api) if field.name not in _OF_THE_HOST}
    told["webhooks"] = [_endpoint(endpoint) for endpoint in api.webhooks]
    text = json.dumps(told, sort_keys=True, default=sorted)  # sets are all that JSON does not know
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    told = {each.name: getattr(endpoint, each.name) for each in fields(endpoint) if each.name not in _SECRET}
    return {**told, "url": endpoint.shown_url, "headers": sorted(endpoint.headers)}


def _told(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
