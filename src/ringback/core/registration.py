"""Endpoints registered with a running server, beside those of its file and those that come with a submit. Pure.

The store keeps them, secrets included: who registers one has no file to keep them in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ringback.core.clock import Instant
from ringback.core.delivery import TRIAL_API
from ringback.core.keytext import separate
from ringback.core.rotation import EndpointKey, rotated
from ringback.core.spec import Endpoint

REGISTERED_PREFIX: Final = "ep_"
"""What the keys of registered endpoints begin with; no API can be called so."""

MOST_REGISTERED: Final = 1_000
"""Endpoints that may be registered at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One registered endpoint."""

    endpoint: Endpoint
    apis: frozenset[str] | None = None
    """Whose events it is told of; None: every API's."""
    created_at: Instant

    def is_told_of(self, api: str) -> bool:
        """Whether an API's events concern it at all."""
        return api != TRIAL_API and (self.apis is None or api in self.apis)


class Undelivered(StrEnum):
    """What becomes of the webhooks that have not reached an endpoint when it is removed."""

    PARK = "park"  # kept with their attempts and the reason
    ERASE = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What is left of an endpoint that was removed, as long as it has webhooks that are kept."""

    key: str
    url: str
    removed_at: Instant
    undelivered: Undelivered


def keys_of(endpoint: Endpoint) -> tuple[EndpointKey, ...]:
    """All of an endpoint's keys, those that a rotation has replaced last."""
    return (*(EndpointKey(secret=text) for text in separate(endpoint.secret or "")), *endpoint.former)


def with_keys(endpoint: Endpoint, keys: Iterable[EndpointKey]) -> Endpoint:
    """The endpoint with these keys and no others."""
    keys = tuple(keys)
    secret = " ".join(key.secret for key in keys if key.signs_until is None)
    return replace(endpoint, secret=secret or None, former=tuple(key for key in keys if key.signs_until is not None))


def rekeyed(registration: Registration, secret: str, *, now: Instant, overlap_seconds: float) -> Registration:
    """The registration once `secret` is its endpoint's key; those before sign on for the overlap.

    Raises:
        Conflict: too many keys would sign side by side.
    """
    endpoint = registration.endpoint
    keys = rotated(keys_of(endpoint), secret, now=now, overlap_seconds=overlap_seconds)
    return replace(registration, endpoint=with_keys(endpoint, keys))
