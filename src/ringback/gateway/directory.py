"""Where every endpoint is found by its key, whoever named it: the file, a registration, a submit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ringback.core.clock import Instant
from ringback.core.errors import Conflict, UnknownEndpoint
from ringback.core.registration import REGISTERED_PREFIX, Removed
from ringback.core.spec import GUEST_PREFIX, Api, Endpoint, guest_endpoint
from ringback.store.contract import Store


class Origin(StrEnum):
    """Who named an endpoint."""

    FILE = "file"
    REGISTERED = "registered"
    REQUEST = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One endpoint, and where it comes from."""

    endpoint: Endpoint
    origin: Origin
    apis: tuple[str, ...] | None
    """Whose events it is told of; None: every API's."""
    created_at: Instant | None = None


class Directory:
    """All endpoints that webhooks go to."""

    def __init__(self, store: Store, apis: Mapping[str, Api]) -> None:
        self._store = store
        self._files = {
            hook.key: Known(endpoint=hook, origin=Origin.FILE, apis=(api.name,))
            for api in apis.values()
            for hook in api.webhooks
        }

    def get(self, key: str) -> Known | None:
        """The endpoint of that key; None if nobody has named one."""
        if (known := self._files.get(key)) is not None:
            return known
        if key.startswith(GUEST_PREFIX):
            return _guest(key)
        registration = self._store.registered(key)
        if registration is None:
            return None
        apis = None if registration.apis is None else tuple(sorted(registration.apis))
        return Known(
            endpoint=registration.endpoint, origin=Origin.REGISTERED, apis=apis, created_at=registration.created_at
        )

    def find(self, key: str) -> Known:
        """The endpoint of that key.

        Raises:
            UnknownEndpoint: there is none, or no longer.
        """
        known = self.get(key)
        if known is None:
            names = ", ".join(sorted(self._files)) or "none"
            others = "; GET /-/endpoints has the registered ones" if self._store.registrations() else ""
            raise UnknownEndpoint(f"there is no endpoint {key[:80]!r}; those of the file are {names}{others}")
        return known

    def must_be_of(self, key: str, cure: Mapping[Origin, str]) -> None:
        """See that an endpoint was registered, for only such a one can be changed here.

        Raises:
            UnknownEndpoint: there is none of that key.
            Conflict: it was named otherwise; the message has the cure for that.
        """
        origin = self.find(key).origin
        if origin is not Origin.REGISTERED:
            raise Conflict(f"{key[:80]} {cure[origin]}")

    def named(self) -> list[str]:
        """The keys of the file's endpoints and of the registered ones."""
        return [*self._files, *(each.endpoint.key for each in self._store.registrations())]

    async def removed(self, key: str) -> Removed | None:
        """What is left of a registered endpoint that was removed."""
        if not key.startswith(REGISTERED_PREFIX):
            return None
        return next((each for each in await self._store.removed() if each.key == key), None)


def _guest(key: str) -> Known:
    return Known(endpoint=guest_endpoint(key.removeprefix(GUEST_PREFIX)), origin=Origin.REQUEST, apis=())
