"""What one server does of all there is to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A part of the work, which any number of servers on one store may have."""

    GATEWAY = "gateway"
    """Takes in workloads and answers for them, whoever runs them."""
    WORKER = "worker"
    """Runs them on replicas."""
    DISPATCHER = "dispatcher"
    """Sends the webhooks."""


EVERY_ROLE: Final = frozenset(Role)


def written(roles: Iterable[Role]) -> str:
    """As on the command line, always in the same order."""
    given = frozenset(roles)
    return ",".join(role.value for role in Role if role in given)


def known_roles(text: str) -> frozenset[Role]:
    """Roles as `written`, but for those that only a newer release has."""
    return frozenset(role for role in Role if role.value in text.split(","))


def read_roles(text: str) -> frozenset[Role]:
    """Roles from their names, between commas or blanks.

    Raises:
        ValueError: there is none, or one that nobody has; the message names those there are.
    """
    names = text.replace(",", " ").lower().split()
    known = {role.value for role in Role}
    for name in names:
        if name not in known:
            raise ValueError(f"{name[:40]!r} is no role; there are {', '.join(Role)}")
    if not names:
        raise ValueError(f"a server without a role does nothing; name some of {', '.join(Role)}")
    return frozenset(map(Role, names))
