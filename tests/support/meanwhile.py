"""A store to whose readers something happens: between any two of its answers the world may move on."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

_PARTS: Final = frozenset({"batches", "inboxes"})

Act = Callable[[], Awaitable[Any]]


class Meanwhile:
    """Everything a store is, and after the n-th answer that was waited for, something else happens first."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._left = 0
        self._is_before = False
        self._act: Act | None = None

    def after(self, answers: int, act: Act) -> None:
        """Have `act` happen once, after so many answers from now."""
        self._left, self._act, self._is_before = answers, act, False

    def before(self, answers: int, act: Act) -> None:
        """Have `act` happen once, while the one who asks for the n-th answer from now is kept waiting for it."""
        self._left, self._act, self._is_before = answers, act, True

    async def at_last(self) -> bool:
        """Have it happen now if it has not; whether it had."""
        had = self._act is None
        await self._happen()
        return had

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return _Part(self, found) if name in _PARTS else self.counting(found)

    def counting(self, verb: Any) -> Any:
        """A verb whose answer is counted; one that answers at once is left as it is."""
        if not callable(verb):
            return verb

        def called(*args: Any, **more: Any) -> Any:
            answer = verb(*args, **more)
            return self._counted(answer) if inspect.isawaitable(answer) else answer

        return called

    async def _counted(self, answer: Awaitable[Any]) -> Any:
        if self._is_before:
            await self._count()
            return await answer
        try:
            return await answer
        finally:
            await self._count()

    async def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            await self._happen()

    async def _happen(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            await act()


class _Part:
    """One part of it, counted with the rest."""

    def __init__(self, whole: Meanwhile, part: Any) -> None:
        self._whole = whole
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return self._whole.counting(getattr(self._part, name))
