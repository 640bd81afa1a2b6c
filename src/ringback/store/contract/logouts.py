"""Logins to the pages that somebody has ended before their time. Promises LO."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from ringback.core.clock import Instant


class Logouts(Protocol):
    """What sessions are over, although their cookie would still hold: `pages.sessions` asks."""

    def end(self, login: str, until: Instant) -> Awaitable[None]:
        """Have a login hold no longer; at `until` its time is over anyway.

        LO1  By this member once the awaitable is done, by every other after at most `NOTICE_SECONDS`, and after
             reopening.
        LO2  Those whose time is over are forgotten when another is ended; setting the time of day forgets none early.
        """
        ...

    def has_ended(self, login: str) -> bool:
        """Whether somebody has ended it. From memory."""
        ...
