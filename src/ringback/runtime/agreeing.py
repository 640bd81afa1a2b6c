"""Whether the other servers on the store serve the same file: told once when one does not, and once when all do again.

While a new file is rolled out they differ for a while, and nothing is wrong; for good, it is a slip that nobody sees.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

from ringback.core.agreement import differing, digests
from ringback.core.emit import Emit
from ringback.core.errors import RingbackError
from ringback.core.retry import doubling_wait
from ringback.core.spec import Api
from ringback.store.contract import About, Store

_MEANING: Final = "as while a new file is rolled out; if it stays so, give all servers the same"
_RETRY_SECONDS: Final = 0.25
_RETRY_MOST_SECONDS: Final = 10.0


class Agreement:
    """One member's file against those of the others."""

    def __init__(self, store: Store, emit: Emit) -> None:
        """Nothing is compared before `serve`."""
        self._store = store
        self._emit = emit
        self._own: Mapping[str, str] = {}
        self._told: set[frozenset[tuple[str, str]]] = set()
        """The files that this one differs from and that a line was written of."""
        self._saying: asyncio.Task[None] | None = None

    def serve(self, apis: Sequence[Api]) -> None:
        """Tell the others what this server serves from now on, until the store has heard it; look what they serve."""
        if self._saying is None:
            self._store.on_roster(self._look)
        self.stop()
        self._own = digests(apis)
        self._saying = asyncio.create_task(self._say(), name="ringback-introduction")
        self._told.clear()
        self._look()

    def stop(self) -> None:
        """Tell nothing any more."""
        if self._saying is not None:
            self._saying.cancel()

    async def _say(self) -> None:
        about = About(server=f"{socket.gethostname()}, process {os.getpid()}", apis=self._own)
        failures = 0
        while True:
            try:
                await self._store.introduce(about)
            except RingbackError as error:
                failures += 1
                self._emit("store.fault", act="telling the others what is served here", error=error)
            else:
                return
            await asyncio.sleep(doubling_wait(_RETRY_SECONDS, _RETRY_MOST_SECONDS, failures, 0.0))

    def _look(self) -> None:
        found = [(fellow.about, differing(self._own, fellow.about.apis)) for fellow in self._store.fellows()]
        others = [(about, names) for about, names in found if names]
        for about, names in others:
            file = frozenset(about.apis.items())
            if file not in self._told:
                self._told.add(file)
                self._emit("file.differs", server=about.server, apis=", ".join(names), meaning=_MEANING)
        if self._told and not others:
            self._told.clear()
            self._emit("file.agrees", servers=len(found) + 1)
