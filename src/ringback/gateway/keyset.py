"""The public keys of all endpoints that are signed with Ed25519, of the file and registered ones, as they stand now."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from ringback.core.jwks import jwks
from ringback.core.keys import public_key, public_keys
from ringback.core.keytext import SIGNING
from ringback.core.registration import keys_of
from ringback.core.rotation import active
from ringback.core.spec import Api
from ringback.store.contract import Store


class KeySet:
    """A JWK set that follows registrations and rotations: a replaced key stays as long as it signs."""

    def __init__(self, store: Store, apis: Iterable[Api]) -> None:
        self._store = store
        self._files = tuple(key for api in apis for hook in api.webhooks for key in public_keys(hook.secret or ""))
        self._public: dict[str, str] = {}  # by signing key, as long as it signs

    def json(self) -> bytes:
        """The set as JSON text."""
        now = self._store.clock.now()
        signing = [
            key.secret
            for registration in self._store.registrations()
            for key in active(keys_of(registration.endpoint), now)
            if key.secret.startswith(SIGNING)
        ]
        self._public = {secret: self._public.get(secret) or public_key(secret) for secret in signing}
        return orjson.dumps(jwks((*self._files, *self._public.values())))
