"""What comes with a request of the control plane, checked: its method, a small object, a moment, a page's length."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ringback.core.clock import SECOND, Instant, after
from ringback.core.errors import InvalidParameter, InvalidPayload, MethodNotAllowed
from ringback.core.quantities import parse_duration
from ringback.gateway import incoming

_LIMIT: Final = 50
_LIMIT_MOST: Final = 1_000
_MOST_BODY_BYTES: Final = 64 * 1024


def must_be(request: Request, *methods: str) -> None:
    """Refuse other methods.

    Raises:
        MethodNotAllowed: it is one of them.
    """
    if request.method not in methods:
        raise MethodNotAllowed(f"{request.url.path} takes {' and '.join(methods)}", allowed=methods)


def limit_of(text: str | None) -> int:
    """How long a page is to be.

    Raises:
        InvalidParameter: that is no number from 1 to 1000.
    """
    if text is None:
        return _LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LIMIT_MOST):
        raise InvalidParameter(f"limit={text[:40]!r} is no whole number from 1 to {_LIMIT_MOST}")
    return int(text)


async def object_of(request: Request, known: AbstractSet[str], *, optional: bool = False) -> dict[str, Any]:
    """The request's body, a small JSON object with none but known keys; an empty one too if it is `optional`.

    Raises:
        InvalidPayload: it is not.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await incoming.body_of(headers, request.receive, _MOST_BODY_BYTES)
    if optional and not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidPayload("the body is not a JSON object")
    if unknown := value.keys() - known:
        raise InvalidPayload(f"the key {min(unknown)[:40]!r} is not known here; known are {', '.join(sorted(known))}")
    return value


def moment_of(name: str, wanted: object, now: Instant) -> Instant | None:
    """The moment under a key, from `2026-01-31T12:00:00+00:00` or from how long ago it is: `2h`; None without one.

    Raises:
        InvalidPayload: it is neither.
    """
    if wanted is None:
        return None
    text = str(wanted)
    try:
        return Instant(max(0, after(now, -parse_duration(text))))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPayload(f"{name}={text[:40]!r} is no moment; send 2h, 7d or 2026-01-31T12:00:00+00:00") from None
    return Instant(max(0, round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND)))


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(orjson.dumps(value), status, headers, media_type="application/json")
