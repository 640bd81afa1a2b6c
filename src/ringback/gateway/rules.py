"""Who may ask, and for how much."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.core.netguard import Guard, Resolve
from ringback.gateway.guests import resolved
from ringback.store.blobs import Large


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who may ask, and for how much."""

    max_body_bytes: int
    api_keys: frozenset[str] = frozenset()
    """One of them must come with every request but the open ones; without any, none is asked for."""
    hosts: frozenset[str] | None = None
    """The names the server may be asked for by; None lets any pass."""
    guard: Guard = field(default_factory=Guard)
    """Where webhooks may lead that come with a request."""
    resolve: Resolve = resolved
    """What their names are looked up with."""
    large: Large | None = None
    """Where large payloads go; without it, none is taken in that does not fit a row."""
