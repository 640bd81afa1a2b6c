"""Many workloads moved by what they have in common, a portion at a time. Promises X11 to X16."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

from ringback.core.selection import Selection
from ringback.core.spec import Endpoint
from ringback.store.values import Swept


class Selections(Protocol):
    """Cancel and retry for whatever is selected.

    Begin without a cursor, and go on with the one that comes back until it is None.

    X11  A portion is one transaction of at most `room` workloads; each is moved as by `cancel` or `retry` of its own.
    X12  Following the cursor comes to an end, meeting whatever was selected at the first call and stays so, once:
         nothing that was submitted later, and nothing twice, however it ends again meanwhile.
    X13  What is not as selected any more when its turn comes is left alone; to begin anew changes nothing twice.
    X14  One call looks at no more than `SEARCH_ROWS` workloads of each API and status: a portion may then be small, or
         empty, and have a cursor.
    """

    def cancel(
        self, selection: Selection, endpoints: Mapping[str, Sequence[Endpoint]], *, room: int, cursor: str | None
    ) -> Awaitable[Swept]:
        """Have some of those selected end as canceled; `endpoints` are each API's."""
        ...

    def retry(
        self, selection: Selection, limits: Mapping[str, int], *, room: int, cursor: str | None
    ) -> Awaitable[Swept]:
        """Have some of those selected run again, those first that were submitted first.

        X15  Where an API holds as many unfinished workloads as its limit, it stops, with a cursor that leads on there
             and when to come again; what it has moved stays so. Those of batches have no limit, as by `retry`.
        """
        ...

    def count(self, selection: Selection, *, cursor: str | None) -> Awaitable[Swept]:
        """How many there are, by API, without moving any.

        X16  It is what the same portions of `cancel` or `retry` would move, if nothing else happened.
        """
        ...
