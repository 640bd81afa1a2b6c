"""One way for facts that cross every floor: what happened goes through `emit`, logs and metrics listen.

A part that emits neither knows nor waits for who listens.
"""

from __future__ import annotations

from typing import Protocol


class Emit(Protocol):
    """Tell that `fact` happened. Names are `noun.verb`; numbers carry their unit in their name."""

    def __call__(self, fact: str, /, **details: object) -> None: ...


def silent(fact: str, /, **details: object) -> None:
    """An `Emit` that nobody listens to."""
