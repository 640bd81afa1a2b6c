"""Which member sends to which endpoint: one at a time, so that its limits hold over all members. Promises LA."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from ringback.store.values import TakenLane


class Lanes(Protocol):
    """The right to send to an endpoint. Nothing in `take_due` asks for it: whoever sends sees to it first."""

    def take_lane(self, endpoint: str) -> Awaitable[TakenLane | None]:
        """Become the one who sends to an endpoint; None when another member is.

        LA1  At most one living member is it, whoever asks and when.
        LA2  It stays so until it leaves the lane, leaves the store, or is struck off; then whoever asks is next.
        LA3  The next is told whether it is the first, and what the last one said of the endpoint.
        """
        ...

    def leave_lane(self, endpoint: str, taken: TakenLane) -> Awaitable[None]:
        """Let another have an endpoint's lane. One that was taken since, by whomever, is left as it is.

        LA4  Whoever listens for what is due to the endpoint is called, as N1 says.
        """
        ...

    def note_tripped(self, endpoint: str, *, is_tripped: bool) -> Awaitable[None]:
        """Say whether the endpoint of a lane of this member works at all.

        LA5  `tripped` has it at once here, and for others after at most `NOTICE_SECONDS`. What a member says of a
            lane that is not its own is not heard.
        """
        ...

    @property
    def tripped(self) -> frozenset[str]:
        """The endpoints that do not work at all, as those who send to them say. From memory."""
        ...

    async def orphans(self) -> frozenset[str]:
        """The endpoints with deliveries that are pending and in nobody's hands, and to which nobody sends.

        LA6  Those and no others, due or not.
        """
        ...

    def forget_lanes(self) -> Awaitable[None]:
        """Forget lanes that nobody has and nothing waits for.

        LA7  What is known of an endpoint is kept as long as somebody has its lane, or something pending is left.
        """
        ...
