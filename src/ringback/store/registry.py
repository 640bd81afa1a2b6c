"""Registered endpoints in memory: asked at every event, so that one nobody registered for costs a look in a dictionary.

Holds what was last committed and read; each backend says when that is.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringback.core.clock import Instant
from ringback.core.registration import Registration
from ringback.core.spec import Endpoint, Event


class Registry:
    """The registered endpoints as this member knows them.

    The store numbers all changes; `revision` is the last of those that were seen without a gap.
    """

    __slots__ = ("_asked", "_by_key", "_revisions", "_told", "revision")

    def __init__(self) -> None:
        self.revision = 0
        self._revisions: dict[str, int] = {}
        self._by_key: dict[str, Registration] = {}
        self._told: dict[str, tuple[Endpoint, ...]] = {}
        self._asked: dict[str, frozenset[Event]] = {}

    def get(self, key: str) -> Registration | None:
        return self._by_key.get(key)

    def all(self) -> tuple[Registration, ...]:
        """In the order in which they were registered."""
        return tuple(sorted(self._by_key.values(), key=lambda each: each.endpoint.key))

    def told_of(self, api: str) -> tuple[Endpoint, ...]:
        """The endpoints that an API's events concern, whichever of them they have asked for."""
        told = self._told.get(api)
        if told is None:
            told = self._told[api] = tuple(each.endpoint for each in self.all() if each.is_told_of(api))
        return told

    def asked(self, api: str) -> frozenset[Event]:
        """The events of an API that any of them has asked for."""
        asked = self._asked.get(api)
        if asked is None:
            asked = self._asked[api] = frozenset().union(*(each.events for each in self.told_of(api)))
        return asked

    def learn(self, revision: int, key: str, registration: Registration | None) -> bool:
        """Take in one change, unless it or a later one of that endpoint is known; None: it was removed.

        Returns:
            whether it was new.
        """
        if revision == self.revision + 1:
            self.revision = revision
        if revision <= self._revisions.get(key, 0):
            return False
        self._revisions[key] = revision
        if registration is None:
            self._by_key.pop(key, None)
        else:
            self._by_key[key] = registration
        self._told.clear()
        self._asked.clear()
        return True

    def catch_up(self, revision: int) -> None:
        """All changes up to this one have been taken in."""
        self.revision = max(self.revision, revision)

    def with_ended_keys(self, now: Instant) -> Iterable[str]:
        """The endpoints with a key that has signed for the last time."""
        for key, registration in self._by_key.items():
            if any(each.signs_until is not None and each.signs_until <= now for each in registration.endpoint.former):
                yield key
