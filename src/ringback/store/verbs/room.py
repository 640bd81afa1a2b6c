"""How much one API may hold. Promises W4 and X10."""

from __future__ import annotations

from typing import Final

from ringback.core.errors import QueueFull
from ringback.store.verbs.session import Session, Transaction

_RETRY_SECONDS: Final = 1


def make_room(session: Session, tx: Transaction, api: str, limit: int | None) -> None:
    """See that the API may hold one more unfinished workload; None: it may hold any number.

    Raises:
        QueueFull: it may not.
    """
    if limit is not None and session.unfinished(tx, api, "") >= limit:
        raise QueueFull(
            f"{api} holds {limit} unfinished workloads, as many as its replicas may; try again soon",
            retry_after_seconds=_RETRY_SECONDS,
        )
