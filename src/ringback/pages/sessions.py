"""Sessions of people who have typed an API key into the login page, and the tokens their forms carry.

A session is a signed cookie: who began it with which key, and until when. Nothing of it is stored, so it holds on every
member of the store and after a restart. It ends with its time, with its key, or by logging out, which alone is stored.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Awaitable, Iterable
from typing import Final, Protocol

from ringback.core.clock import SECOND, Clock, Instant

FORM_TOKEN_FIELD: Final = "form_token"  # noqa: S105 - a field's name
"""The field of a form that carries the token."""
FORM_TOKEN_HEADER: Final = "x-form-token"  # noqa: S105 - a header's name
"""The header that carries it when a script sends something else than a form."""

SESSION_SECONDS: Final = 12 * 3_600
"""How long a session lasts, used or not."""

_NOBODY: Final = "nobody"


class Ended(Protocol):
    """Remembers which sessions have been ended before their time, for as long as that lasts."""

    def end(self, login: str, until: Instant) -> Awaitable[None]: ...

    def has_ended(self, login: str) -> bool: ...


class Sessions:
    """Makes and judges sessions and form tokens."""

    def __init__(self, signing_key: bytes, api_keys: Iterable[str], clock: Clock, ended: Ended) -> None:
        self._clock = clock
        self._ended = ended
        self._session_key = hmac.digest(signing_key, b"ringback session", "sha256")
        self._form_key = hmac.digest(signing_key, b"ringback form", "sha256")
        self._marks = {_mark(self._session_key, key): key for key in api_keys}

    def begin(self, api_key: str) -> str | None:
        """The cookie of a new session, or None when that is none of the server's keys."""
        known = [mark for mark, key in self._marks.items() if hmac.compare_digest(key.encode(), api_key.encode())]
        if not known:
            return None
        until = self._clock.now() // SECOND + SESSION_SECONDS
        word = f"{secrets.token_urlsafe(16)}.{known[0]}.{until}"
        return f"{word}.{self._signature(word)}"

    def session_of(self, cookie: str) -> str | None:
        """The id of the session a cookie stands for; None when it does not hold, or no longer."""
        word, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._signature(word).encode(), signature.encode("utf-8", "replace")):
            return None
        session, mark, until = word.split(".")
        is_over = int(until) <= self._clock.now() // SECOND
        return None if is_over or mark not in self._marks or self._ended.has_ended(session) else session

    async def end(self, session: str) -> None:
        """Have a session hold no longer: here from now on, on the store's other members within moments."""
        await self._ended.end(session, Instant(self._clock.now() + SESSION_SECONDS * SECOND))

    def form_token(self, session: str | None) -> str:
        """What forms of a session carry; None stands for everyone who has none."""
        return _text(hmac.digest(self._form_key, (session or _NOBODY).encode(), "sha256"))

    def is_form_token(self, given: str, session: str | None) -> bool:
        """Whether a form was made by this server, for this session."""
        return hmac.compare_digest(self.form_token(session).encode(), given.encode("utf-8", "replace"))

    def _signature(self, word: str) -> str:
        return _text(hmac.digest(self._session_key, word.encode("utf-8", "replace"), "sha256"))


def _mark(key: bytes, api_key: str) -> str:
    """Names an API key without telling it."""
    return _text(hmac.digest(key, b"key " + api_key.encode(), "sha256"))[:11]


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
