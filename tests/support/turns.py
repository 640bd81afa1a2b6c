"""Whose turn it is, in plain dictionaries: the part of the model that shares an API among its tenants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TypeVar

from ringback.core.queueing import TURNS_AHEAD

T = TypeVar("T")


@dataclass(slots=True)
class Turn:
    """One tenant's: the lowest is next."""

    number: int
    is_waiting: bool = True
    """A hint: whoever is found to have nothing is passed by."""


class Turns:
    """One API's, none before the first tenant has come."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    def enter(self, tenant: str) -> None:
        """A workload of the tenant stands in line."""
        if not self._turns:
            if not tenant:
                return
            self._turns[""] = Turn(1)  # served just now, as far as anybody knows
        known = self._turns.get(tenant)
        new = max(0, *(each.number for each in self._turns.values())) - TURNS_AHEAD
        if known is None:
            self._turns[tenant] = Turn(new)
        elif not known.is_waiting:
            known.number, known.is_waiting = max(known.number, new), True

    def take(self, room: int, take: Callable[[str, int], list[T]]) -> list[T]:
        """Up to `room` of what `take` brings of each tenant, one of each in its turn."""
        lots: list[list[T]] = []
        while room > 0:
            waiting = [tenant for tenant, turn in self._turns.items() if turn.is_waiting]
            waiting.sort(key=lambda tenant: self._turns[tenant].number)  # equals in the order in which they came
            if not waiting:
                break
            share = room // len(waiting[:room])
            for tenant in waiting[:room]:
                lot = take(tenant, share)
                turn = self._turns[tenant]
                turn.is_waiting = len(lot) == share
                if lot:
                    turn.number = max(0, *(each.number for each in self._turns.values())) + 1
                lots.append(lot)
                room -= len(lot)
        return [each for each in chain.from_iterable(zip_longest(*lots)) if each is not None]
