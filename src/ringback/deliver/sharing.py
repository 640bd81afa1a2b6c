"""Which dispatcher an endpoint is meant for: the same answer everywhere, little moves when one comes or goes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b


def chosen(endpoint: str, members: Sequence[str]) -> str:
    """The member that is to send to the endpoint, of at least one.

    The highest of a hash of both (rendezvous hashing, Thaler and Ravishankar 1996): a member that comes takes its share
    from all others, and one that goes leaves its own to all others.
    """
    return max(members, key=lambda member: blake2b(f"{member} {endpoint}".encode(), digest_size=8).digest())
