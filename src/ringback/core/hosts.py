"""The names a server goes by, against DNS rebinding: a page that has its own name resolve to 127.0.0.1 gets nowhere.

Pure. Only a server on loopback needs it: from elsewhere every request brings a key, which no foreign page has.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?")


def own_hosts(host: str, public_url: str, trusted: Iterable[str]) -> frozenset[str] | None:
    """The names under which a server that listens on `host` may be asked for; None when any will do."""
    if not is_loopback(host):
        return None
    public = urlsplit(public_url).hostname if public_url else None
    return LOOPBACK_NAMES | {host_name(host)} | ({public} if public else set()) | set(trusted)


def host_name(header: str) -> str:
    """The name in a Host header or in `--host`: in lower case, without port, brackets and the dot at its end."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    if text.count(":") > 1:
        return text
    return text.partition(":")[0].removesuffix(".")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trusted_names(text: str) -> frozenset[str]:
    """Host names, comma-separated, as they will be compared.

    Raises:
        ValueError: one is no name.
    """
    names = frozenset(host_name(entry) for entry in text.replace(",", " ").split())
    for name in names:
        if _NAME.fullmatch(name) is None and not _is_address(name):
            raise ValueError(f"{name[:80]!r} is no host name; write for example ringback.internal")
    return names


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
