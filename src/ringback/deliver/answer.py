"""What came of one request: an answer, or the way in which there was none. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from ringback.core.clock import SECOND, Instant
from ringback.core.delivery import AttemptClass

RETRY_AFTER_MOST_SECONDS: Final = 86_400.0

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXCERPT_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A receiver's answer, as much of it as matters."""

    status: int
    retry_after: str | None = None
    location: str | None = None
    excerpt: bytes = b""
    """The first bytes of the body."""
    head: bytes = b""
    """Its headers, as far as they are shown."""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def sentence(self) -> str:
        """What a failure's record says."""
        if self.location is not None and 300 <= self.status < 400:
            return f"answered {self.status}, a redirect to {self.location[:_EXCERPT_CHARACTERS]}, which is not followed"
        text = " ".join(self.excerpt.decode("utf-8", "replace").split())[:_EXCERPT_CHARACTERS]
        return f"answered {self.status}: {text}" if text else f"answered {self.status}"

    def retry_after_seconds(self, now: Instant) -> float | None:
        """`Retry-After` in either form (RFC 9110, section 10.2.3), at most a day; None when absent or unreadable."""
        text = (self.retry_after or "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit():
            seconds = float(text.lstrip("0")[:9] or 0)
        else:
            try:
                moment = parsedate_to_datetime(text)
            except (ValueError, OverflowError):  # whose numbers are larger than any date's
                return None
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            seconds = (moment - _EPOCH).total_seconds() - now / SECOND
        return min(max(seconds, 0.0), RETRY_AFTER_MOST_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The request did not end in an answer."""

    outcome: AttemptClass
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request's end, with how long it took and whom it reached."""

    result: Answer | NoAnswer
    duration_us: int
    address: str | None
    """`host:port` of the socket; None when there was no connection."""
    dns_us: int | None = None
    connect_us: int | None = None
    wait_us: int | None = None
    read_us: int | None = None
