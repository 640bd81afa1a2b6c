"""What all lanes of a dispatcher send with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringback.deliver.flow import PROBE_SECONDS
from ringback.deliver.sender import Dialling


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The same for every endpoint."""

    dialling: Dialling
    chance: Callable[[], float]
    """Spreads retries."""
    probe_seconds: float = PROBE_SECONDS
    """From a breaker's opening to the first probe."""
