"""What a store's journals hold."""

from __future__ import annotations

from ringback.core.journal import Happening, LogText, Moved, Said
from ringback.store.contract import Store
from support.stores import API


async def happenings_of(store: Store, workload_id: str, api: str = API) -> list[Happening]:
    """All that has happened to a workload."""
    found: list[Happening] = []
    while True:
        more = await store.happenings(api, workload_id, after=found[-1].id if found else 0, room=100, timeout_seconds=0)
        found += more.happenings
        if more.is_over or not more.happenings:
            return found


async def entries_of(store: Store, workload_id: str) -> list[object]:
    """What predict has said, in order."""
    return [each.what for each in await happenings_of(store, workload_id) if not isinstance(each.what, Moved)]


async def log_of(store: Store, workload_id: str) -> str:
    """The text of a workload's log, with its marks."""
    text = LogText()
    return "".join(
        text.add(each.attempt, each.what)
        for each in await happenings_of(store, workload_id)
        if isinstance(each.what, Said)
    )
