"""What may be kept and shown of an exchange: the endpoint's secrets are left out of both sides of it. Pure.

A secret is what an endpoint's URL and headers have that would let somebody else in: who is named in front of its host,
and the values of headers and of its query that are named like one. Receivers send these back, in pages that show the
request and in redirects, so they are left out of answers as well. Of a request, no value of its query is shown at all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from urllib.parse import SplitResult, unquote, unquote_plus

from ringback.core.spec import Endpoint
from ringback.core.urls import LEFT_OUT, without_values
from ringback.deliver.answer import Answer, Exchange

_SECRET_NAME: Final = re.compile(
    r"auth|cookie|key|secret|token|pass|pwd|sign|credential|session|bearer|jwt|private", re.IGNORECASE
)
_SHOWN_INSTEAD: Final = b"(left out)"
_SHORTEST: Final = 4
"""Shorter ones are left where they are found in an answer: they are found in anything."""


def shown(request_line: str, header_lines: Iterable[str]) -> bytes:
    """A request's head without its secrets."""
    verb, target, version = request_line.split(" ")
    lines = [f"{verb} {without_values(target)} {version}", *map(_shown_line, header_lines)]
    return "\r\n".join(lines).replace(LEFT_OUT, "(left out)").encode("latin-1", "replace")


def _shown_line(line: str) -> str:
    name, _, _ = line.partition(": ")
    return f"{name}: (left out)" if _SECRET_NAME.search(name) is not None else line


def _is_secret(part: str) -> bool:
    """Whether a part of a query is named like a secret, or has no name at all."""
    name, equals, _ = part.partition("=")
    return not equals or _SECRET_NAME.search(name) is not None


def _spellings(part: str) -> tuple[str, str]:
    """What a part of a query says, as it is written and as it is read."""
    name, equals, value = part.partition("=")
    said = value if equals else name
    return said, unquote_plus(said)


class Discretion:
    """Knows one endpoint's secrets, so that they are found wherever they turn up."""

    __slots__ = ("_secrets",)

    def __init__(self, url: SplitResult, endpoint: Endpoint) -> None:
        texts = {text for part in url.query.split("&") if _is_secret(part) for text in _spellings(part)}
        texts |= {text for part in (url.username, url.password) if part for text in (part, unquote(part))}
        if url.username is not None:
            pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
            texts.add(base64.b64encode(pair.encode()).decode())
        for name, value in endpoint.headers.items():
            if _SECRET_NAME.search(name) is not None:
                texts |= {value, value.partition(" ")[2]}  # with its scheme, as Bearer, and without
        found = {text.strip().encode() for text in texts}
        # The longest first: what contains another is left out as a whole.
        self._secrets = tuple(sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True))

    def of(self, exchange: Exchange) -> Exchange:
        """The exchange as it may be kept. Of one that went well nothing is kept that could have secrets in it."""
        answer = exchange.result
        if not self._secrets or not isinstance(answer, Answer) or answer.is_success:
            return exchange
        location = answer.location
        kept = replace(
            answer,
            head=self._without(answer.head),
            excerpt=self._without(answer.excerpt),
            location=None if location is None else self._without(location.encode()).decode("utf-8", "replace"),
        )
        return replace(exchange, result=kept)

    def _without(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, _SHOWN_INSTEAD)
        return self._without_its_beginning(data)

    def _without_its_beginning(self, data: bytes) -> bytes:
        """Where the data was cut, a secret may have been cut with it."""
        for secret in self._secrets:
            for length in range(len(secret) - 1, _SHORTEST - 1, -1):
                if data.endswith(secret[:length]):
                    return data[:-length] + _SHOWN_INSTEAD
        return data
