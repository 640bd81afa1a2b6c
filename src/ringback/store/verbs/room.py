"""How much one API may hold. Promises W4, W6, T5 and X10."""

from __future__ import annotations

from ringback.core.errors import QueueFull
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Transaction


def make_room(session: Session, tx: Transaction, api: str, tenant: str, limit: int | None) -> None:
    """See that the API may hold one more unfinished workload of the tenant; None: it may hold any number.

    Raises:
        QueueFull: it may not; it tells when there may be room again.
    """
    if limit is None or session.unfinished(tx, api, tenant) < limit:
        return
    whose = f" of tenant {tenant}" if tenant else ""
    seconds = session.paces.wait_seconds(tx.execute, api, tenant)
    raise QueueFull(
        f"{api} holds {limit} unfinished workloads{whose}, as many as its replicas may; try again in {seconds} s",
        retry_after_seconds=seconds,
    )
