"""Registered endpoints as rows: what every backend writes into its table and reads back.

Columns: key, url, apis, settings, secrets, created_at, and removed_at, revision where they are asked for.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ringback.core.clock import Instant
from ringback.core.netguard import Trust
from ringback.core.registration import Registration, keys_of, with_keys
from ringback.core.rotation import EndpointKey
from ringback.core.spec import BodyFormat, Endpoint, Event, Order

Columns = dict[str, str | int | bytes | None]

ERASED: Final[Columns] = {"apis": None, "settings": b"{}", "secrets": b"[]"}
"""What a removed endpoint's row holds of what it was: no secret outlives it."""


def columns(registration: Registration) -> Columns:
    """What is written for one."""
    endpoint, apis = registration.endpoint, registration.apis
    settings = {
        "events": sorted(endpoint.events),
        "format": endpoint.format.value,
        "headers": dict(endpoint.headers),
        "timeout_seconds": endpoint.timeout_seconds,
        "retry_seconds": endpoint.retry_seconds,
        "concurrency": endpoint.concurrency,
        "rate_per_second": endpoint.rate_per_second,
        "inline_limit_bytes": endpoint.inline_limit_bytes,
        "order": endpoint.order.value,
    }
    return {
        "key": endpoint.key,
        "url": endpoint.url,
        "apis": None if apis is None else json.dumps(sorted(apis)),
        "settings": json.dumps(settings).encode(),
        "secrets": json.dumps([[key.secret, key.signs_until] for key in keys_of(endpoint)]).encode(),
        "created_at": registration.created_at,
    }


def registration(row: tuple[Any, ...]) -> Registration:
    """What was written, from its columns in their order."""
    key, url, apis, settings_column, secrets, created_at, *_ = row
    settings = json.loads(settings_column)
    endpoint = Endpoint(
        key=key,
        url=url,
        trust=Trust.GUEST,
        events=frozenset(map(Event, settings["events"])),
        format=BodyFormat(settings["format"]),
        headers=settings["headers"],
        timeout_seconds=settings["timeout_seconds"],
        retry_seconds=tuple(settings["retry_seconds"]),
        concurrency=settings["concurrency"],
        rate_per_second=settings["rate_per_second"],
        inline_limit_bytes=settings["inline_limit_bytes"],
        order=Order(settings["order"]),
    )
    keys = (EndpointKey(secret=secret, signs_until=until) for secret, until in json.loads(secrets))
    return Registration(
        endpoint=with_keys(endpoint, keys),
        apis=None if apis is None else frozenset(json.loads(apis)),
        created_at=Instant(created_at),
    )
