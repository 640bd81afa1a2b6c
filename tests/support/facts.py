"""An `Emit` that a test can ask, and wait on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Facts:
    """Remembers facts, and lets a test wait for so many of a name."""

    seen: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, fact: str, /, **details: object) -> None:
        self.seen.append((fact, details))
        self.news.set()

    def of(self, fact: str) -> list[dict[str, object]]:
        return [details for name, details in self.seen if name == fact]

    async def wait_for(self, fact: str, count: int, *, within: float = 10) -> None:
        async with asyncio.timeout(within):
            while len(self.of(fact)) < count:
                self.news.clear()
                await self.news.wait()
