"""How the database plans what writes run: down an index, whatever it knows of the tables; and anew as they grow."""

from __future__ import annotations

from typing import Final

_AS_WRITES: Final = "; ".join(
    f"SET {{0}} {setting}"
    for setting in (
        *(f"enable_{way} = off" for way in ("sort", "seqscan", "bitmapscan", "hashjoin", "mergejoin")),
        "random_page_cost = 0",
        "jit = off",
        "plan_cache_mode = force_generic_plan",
    )
)
"""Every statement of a write has an index to go down, in its order; a planner whose statistics are old, or who has none
yet, might read a whole queue and sort it instead: a quarter of a second for each claim at 200,000 waiting."""
FOR_ALL: Final = _AS_WRITES.format("SESSION")
"""Once on a connection of one's own; elsewhere with each transaction, for a pooler hands the connection on."""
BEGIN: Final = f"BEGIN; {_AS_WRITES.format('LOCAL')}"
COMMIT_AND_BEGIN: Final = f"COMMIT AND CHAIN; {_AS_WRITES.format('LOCAL')}"
DISCARD: Final = "DISCARD PLANS"
_ANEW_SECONDS: Final = 1.0


class Plans:
    """When those of one connection are to be made anew: after a second, then after twice as long, and so on.

    Those made while tables were small are for small tables, and nothing else has them made anew before an analysis.
    """

    def __init__(self, now: float) -> None:
        """They are made from `now` on, in seconds."""
        self._age = _ANEW_SECONDS
        self._until = now + self._age

    def are_old(self, now: float) -> bool:
        """Whether they are to be made anew now; they count as such then."""
        if now < self._until:
            return False
        self._age *= 2
        self._until = now + self._age
        return True
