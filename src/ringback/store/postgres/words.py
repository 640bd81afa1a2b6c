"""What members tell each other with each commit: which queues, endpoints, inboxes and topics it concerns, or that
there was one.

A word is `member kind key`. Words are only hints: whoever misses them looks for itself every so often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.store.verbs.meeting import Meeting, Topic, Wakes

CHANNEL: Final = "ringback"
_TOPICS: Final = frozenset(Topic)
_MOST_BYTES: Final = 7_000
"""A word is at most 8,000 bytes (postgresql.org/docs/current/sql-notify.html)."""


class NotedWakes(Wakes):
    """Wakes that also remember what they were called for, to be told to other members."""

    __slots__ = ("noted",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.noted: set[str] = set()

    def call(self, key: str) -> None:
        self.noted.add(key)
        super().call(key)

    def call_for_others(self, key: str) -> None:
        """Call the key's wakes because another member said so."""
        super().call(key)

    def knows(self, key: str) -> bool:
        """Whether somebody here wants to be woken for the key."""
        return key in self._wakes

    def call_all(self) -> None:
        for key in self._wakes:
            self.call_for_others(key)


class Words:
    """Turns what a transaction has touched into words, and others' words into wakes."""

    def __init__(self, member: str, meeting: Meeting) -> None:
        loop = asyncio.get_running_loop()
        self._member = member
        self._meeting = meeting
        self._kinds = {kind: NotedWakes(loop) for kind in ("queued", "due", "captured", "news")}
        meeting.queued = self._kinds["queued"]
        meeting.due = self._kinds["due"]
        meeting.captured = self._kinds["captured"]
        meeting.news = self._kinds["news"]
        self.on_other: Callable[[], None] = lambda: None
        """Called when another member has written something that its words alone do not tell."""
        self._topics: set[Topic] = set()

    def spoken(self) -> list[str]:
        """What is to be told of a transaction that has written; forgets it."""
        return self.noted() or [f"{self._member} other "]

    def noted(self) -> list[str]:
        """Whom wakes were called for since the last time; forgets it."""
        told = [
            f"{self._member} {kind} {key}"
            for kind, wakes in self._kinds.items()
            for key in wakes.noted
            if len(key) < _MOST_BYTES
        ]
        for wakes in self._kinds.values():
            wakes.noted.clear()
        return told

    def hear(self, word: str) -> None:
        """Take in one word; this member's own are passed over."""
        member, _, rest = word.partition(" ")
        kind, _, key = rest.partition(" ")
        if member == self._member:
            return
        wakes = self._kinds.get(kind)
        if wakes is not None:
            wakes.call_for_others(key)
        if kind == "due" and not self._kinds["due"].knows(key):
            self._meeting.call_strangers()
        if kind == "news" and key in _TOPICS:
            self._topics.add(Topic(key))
        self.on_other()

    def topics(self) -> set[Topic]:
        """What others have given news of since the last time; forgets it."""
        found, self._topics = self._topics, set()
        return found
