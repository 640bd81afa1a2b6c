"""How long one attempt at a workload may run."""

from __future__ import annotations

from typing import Final

import orjson

from ringback.core.quantities import parse_duration
from ringback.core.spec import Api
from ringback.core.workload import Claimed

TIMEOUT_HEADER: Final = "ringback-timeout"
_MARK: Final = f'"{TIMEOUT_HEADER}"'.encode()


def run_limit(api: Api, claimed: Claimed) -> float:
    """Seconds: the API's own limit, or a shorter one that came with the submit among its headers."""
    if _MARK not in claimed.headers:
        return api.timeout_seconds
    try:
        wanted = parse_duration(str(orjson.loads(claimed.headers)[TIMEOUT_HEADER]))
    except (ValueError, LookupError, TypeError):  # the gateway has let in none that cannot be read
        return api.timeout_seconds
    return min(wanted, api.timeout_seconds)
