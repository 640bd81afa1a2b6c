"""Links to results that open without an API key, until they expire: what is too large for a webhook goes as one.

Pure. A link says until when it holds and is signed with a key of the store, so that none can be made up or prolonged.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Final

from ringback.core.clock import SECOND, Instant
from ringback.core.errors import LinkRefused

SIGNATURE: Final = "signature"
EXPIRES: Final = "expires"
KEY_BYTES: Final = 32
RESULTS_PATH: Final = "/-/results"
"""Where linked results are read: the API's name and the workload's id follow."""

LINK_SECONDS: Final = 7 * 86_400.0
"""How long a link holds, unless its webhook may be on its way for longer."""


def result_path(api: str, workload_id: str) -> str:
    """Where a workload's result is linked to."""
    return f"{RESULTS_PATH}/{api}/{workload_id}"


def signed_link(base: str, path: str, key: bytes, until: Instant) -> str:
    """The URL of `path` under `base` that holds until then.

    Args:
        base: scheme, host and port, and a path if there is one in front; without a slash at its end.
        path: with its slash in front.
        key: the store's own.
        until: when it stops to hold, to the second.
    """
    seconds = until // SECOND
    return f"{base}{path}?{EXPIRES}={seconds}&{SIGNATURE}={_signature(path, seconds, key)}"


def check_link(path: str, query: Mapping[str, str], key: bytes, now: Instant) -> None:
    """See that a link opened now is one that `signed_link` made.

    Raises:
        LinkRefused: it has expired, or somebody else made or changed it.
    """
    expires = query.get(EXPIRES, "")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise LinkRefused("the link does not say when it expires")
    given = query.get(SIGNATURE, "").encode("utf-8", "replace")
    if not hmac.compare_digest(_signature(path, int(expires), key).encode(), given):
        raise LinkRefused("the link's signature does not hold: it was changed on its way, or made by another store")
    if now // SECOND >= int(expires):
        raise LinkRefused("the link has expired; ask for the result with an API key")


def _signature(path: str, seconds: int, key: bytes) -> str:
    digest = hmac.digest(key, f"{path}\n{seconds}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
