"""What members tell each other with each commit: which queues, endpoints, inboxes and topics it concerns, or that
there was one.

A word is `member kind key`. Words are only hints: whoever misses them looks for itself every so often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from greenlet import getcurrent, greenlet

from ringback.store.verbs.meeting import Meeting, Topic, Wakes

CHANNEL: Final = "ringback"
_TOPICS: Final = frozenset(Topic)
_NEWS: Final = "news "
_MOST_BYTES: Final = 7_000
"""A word is at most 8,000 bytes (postgresql.org/docs/current/sql-notify.html)."""


class Noted:
    """What wakes have been called for within one transaction, or outside of any."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[tuple[NotedWakes, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, wakes: NotedWakes, key: str) -> None:
        self._calls[wakes, key] = None

    def words(self) -> list[str]:
        """What was noted, without the member's name."""
        return [f"{wakes.kind} {key}" for wakes, key in self._calls if len(key) < _MOST_BYTES]

    def come_true(self) -> None:
        """It is on disk: call those wakes that wait for that; forgets all."""
        calls, self._calls = self._calls, {}
        for wakes, key in calls:
            if wakes.waits:
                wakes.call_for_others(key)

    def forget(self) -> None:
        self._calls.clear()


class Writer(greenlet):
    """Carries out writes of one transaction after another; what they call wakes for is noted of that transaction."""

    noted: Noted


class NotedWakes(Wakes):
    """Wakes that also remember what they were called for, to be told to other members."""

    __slots__ = ("_outside", "kind", "waits")

    def __init__(self, loop: asyncio.AbstractEventLoop, kind: str, outside: Noted, *, waits: bool) -> None:
        """Begin without any.

        Args:
            loop: calls them.
            kind: of what is woken for.
            outside: has what they are called for outside of transactions.
            waits: whether those called within a transaction wait until it is on disk. The others may look at once: they
                look on the same connection.
        """
        super().__init__(loop)
        self.kind = kind
        self.waits = waits
        self._outside = outside

    def call(self, key: str) -> None:
        this = getcurrent()
        if isinstance(this, Writer):
            this.noted.add(self, key)
            if self.waits:
                return
        else:
            self._outside.add(self, key)
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
        self._outside = Noted()
        self._kinds = {
            kind: NotedWakes(loop, kind, self._outside, waits=kind != "queued")
            for kind in ("queued", "due", "captured", "news")
        }
        meeting.queued = self._kinds["queued"]
        meeting.due = self._kinds["due"]
        meeting.captured = self._kinds["captured"]
        meeting.news = self._kinds["news"]
        self.on_other: Callable[[], None] = lambda: None
        """Called when another member has written something that its words alone do not tell."""
        self._topics: set[Topic] = set()

    @property
    def is_alone(self) -> bool:
        """Whether nobody is to be told what there is to do. One who has just joined looks for that a little later."""
        roster = self._meeting.roster
        return len(roster) == 1 and self._member in roster

    def of(self, noted: Noted) -> list[str]:
        """What is to be told of a transaction that has written."""
        told = self._told(noted)
        return told if told or self.is_alone else [f"{self._member} other "]

    def outside(self) -> list[str]:
        """Whom wakes were called for outside of transactions since the last time; forgets it."""
        told = self._told(self._outside)
        self._outside.forget()
        return told

    def _told(self, noted: Noted) -> list[str]:
        words = noted.words()
        if words and self.is_alone:
            # One who has joined just now has read what everybody keeps, and does not read it all again so soon.
            words = [word for word in words if word.startswith(_NEWS)]
        return [f"{self._member} {word}" for word in words]

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
