"""Where `emit` leads: every fact goes to whoever listens for it, in the order they came.

Listeners are quick and never raise; what a fact is worth is theirs to judge.
"""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[..., None]


class Facts:
    """An `Emit` that hands each fact, by its name, to its listeners."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: dict[str, tuple[Listener, ...]] = {}

    def listen(self, fact: str, listener: Listener) -> None:
        """Call `listener` with the details of every `fact` from now on."""
        self._listeners[fact] = (*self._listeners.get(fact, ()), listener)

    def __call__(self, fact: str, /, **details: object) -> None:
        for listener in self._listeners.get(fact, ()):
            listener(**details)
