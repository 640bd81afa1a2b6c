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
_ANEW_WRITES: Final = 1_000


class Plans:
    """When those of one connection are to be made anew: after a thousand writes, then after twice as many, and so on.

    Those made while tables were small are for small tables, and nothing else has them made anew before an analysis.
    """

    def __init__(self) -> None:
        """They are made from now on."""
        self._good_for = _ANEW_WRITES
        self._left = self._good_for

    def have_served(self, writes: int) -> bool:
        """So many more writes; whether plans are to be made anew now, and count as such then."""
        self._left -= writes
        if self._left > 0:
            return False
        self._good_for *= 2
        self._left = self._good_for
        return True
