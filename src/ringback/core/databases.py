"""The address of a database: postgresql://user:password@host:port/database?parameters. Pure.

What is wrong with one is said without its password, also where it is the password that makes it unreadable.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

SCHEMES: Final = ("postgresql://", "postgres://")

_HALF_ENCODED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE: Final = (
    "in a user or password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25; "
    "or leave it out and set PGPASSWORD"
)
_SHOWN: Final = ("user", "host", "port")
"""What is told of the parameters, in messages and logs."""


def database_url(text: str) -> str:
    """The address as it was given, if it can be read in one way only.

    Raises:
        ValueError: it cannot; the message says what to write, and none of the password.
    """
    people, hosts, path, _ = _parts(text)
    if "#" in text or "@" in path or "@" in people or _HALF_ENCODED.search(people):
        raise ValueError(f"the address has a character that must be encoded: {_ENCODE}")
    if not all(map(_has_port, hosts.split(","))):
        raise ValueError(f"the address has a port that is no number from 1 to 65535. If that is no port: {_ENCODE}")
    if not path:
        raise ValueError("the address names no database; write postgresql://user:password@host/database")
    return text


def shown_database(url: str) -> str:
    """The address for messages: without its password, and without parameters that may hold one."""
    people, hosts, path, query = _parts(url)
    user = people.partition(":")[0]
    told = urlencode([(name, value) for name, value in parse_qsl(query) if name in _SHOWN], safe="/")
    return f"{url.partition('://')[0]}://{user + '@' if user else ''}{hosts}/{path}{'?' + told if told else ''}"


def _parts(url: str) -> tuple[str, str, str, str]:
    """User and password, hosts, the database's name, and the parameters."""
    address, _, query = url.partition("://")[2].partition("?")
    authority, _, path = address.partition("/")
    people, _, hosts = authority.rpartition("@")
    return people, hosts, path, query


def _has_port(host: str) -> bool:
    """Whether a host's port is one, or there is none; `[::1]:5432` has one."""
    _, colon, port = host.rpartition("]")[2].partition(":")
    return not colon or (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535)
