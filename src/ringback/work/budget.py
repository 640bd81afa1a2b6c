"""How many more replicas the machine bears: shared by all APIs of one member, so that none grows at another's expense.

What the file says of `min_replicas` and `init_replicas` is the operator's own word, and is not held back here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ringback.core.quantities import about_size
from ringback.core.spec import Compute
from ringback.work.machine import Machine, look

_MEMORY_SHARE: Final = 0.95
"""Of the machine's memory, for replicas; the rest is for the server and whatever else runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many more there may be, and what would have to be larger for one more than that."""

    more: int
    short_of: str


class Budget:
    """Keeps account of what replicas were promised."""

    def __init__(self, look_at: Callable[[], Machine] | None = look) -> None:
        """Nothing is promised yet.

        Args:
            look_at: how large the machine is; None where somebody else keeps account, as a cluster does.
        """
        self._look = look_at
        self._promised: dict[str, tuple[Compute, int]] = {}

    def note(self, api: str, compute: Compute, replicas: int) -> None:
        """Remember how many replicas an API has from now on."""
        self._promised[api] = (compute, replicas)

    def forget(self, api: str) -> None:
        """The API is served no longer."""
        self._promised.pop(api, None)

    def room(self, compute: Compute, *, replica_bytes: int | None) -> Room | None:
        """How many more replicas with these needs there may be; None when nothing is known that would limit them.

        Args:
            compute: what the file says one needs.
            replica_bytes: the size of the largest there is, for an API whose file does not say.
        """
        if self._look is None:
            return None
        machine = self._look()
        rooms = [
            *self._by_cores(compute, machine),
            *self._by_memory(compute, machine),
            *_by_size(compute, machine, replica_bytes),
        ]
        return min(rooms, key=lambda room: room.more, default=None)

    def _by_cores(self, compute: Compute, machine: Machine) -> list[Room]:
        if compute.cpu is None:
            return []
        promised = sum((each.cpu or 0.0) * count for each, count in self._promised.values())
        left = machine.cores - promised
        short = f"{machine.cores:g} cores, of which {promised:g} are promised, at {compute.cpu:g} each (compute.cpu)"
        return [Room(more=_times(left, compute.cpu), short_of=short)]

    def _by_memory(self, compute: Compute, machine: Machine) -> list[Room]:
        if compute.mem_bytes is None or machine.memory_bytes is None:
            return []
        promised = sum((each.mem_bytes or 0) * count for each, count in self._promised.values())
        left = machine.memory_bytes * _MEMORY_SHARE - promised
        short = (
            f"{about_size(machine.memory_bytes)} of memory, of which {about_size(promised)} are promised, "
            f"at {about_size(compute.mem_bytes)} each (compute.mem)"
        )
        return [Room(more=_times(left, compute.mem_bytes), short_of=short)]


def _by_size(compute: Compute, machine: Machine, replica_bytes: int | None) -> list[Room]:
    if compute.mem_bytes is not None or not replica_bytes or None in {machine.memory_bytes, machine.spare_bytes}:
        return []
    assert machine.memory_bytes is not None
    assert machine.spare_bytes is not None
    left = machine.spare_bytes - machine.memory_bytes * (1 - _MEMORY_SHARE)
    short = f"{about_size(machine.spare_bytes)} of spare memory, at {about_size(replica_bytes)} each as measured"
    return [Room(more=_times(left, replica_bytes), short_of=short)]


def _times(whole: float, part: float) -> int:
    return max(0, int(whole / part + 1e-9))
