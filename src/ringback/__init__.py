"""Ringback: long Python work behind HTTP, that rings you back when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.core.errors import RingbackError, VerificationError, WorkloadFailed
from ringback.core.keys import new_secret, new_signing_key, public_key
from ringback.core.verifying import verify

if TYPE_CHECKING:
    from ringback.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "Client",
    "RingbackError",
    "VerificationError",
    "WorkloadFailed",
    "__version__",
    "new_secret",
    "new_signing_key",
    "public_key",
    "verify",
]


def __getattr__(name: str) -> object:
    # The clients bring an HTTP library with them, which a receiver that only verifies does not need.
    if name in {"AsyncClient", "Client"}:
        from ringback import client  # noqa: PLC0415

        return getattr(client, name)
    raise AttributeError(f"module 'ringback' has no attribute {name!r}")
