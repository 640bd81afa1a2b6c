"""An inbox's settings as they are asked for, in JSON or by a form: checked, and put over what was there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ringback.core.errors import InvalidPayload
from ringback.core.inbox import (
    MOST_BODY_LIMIT_BYTES,
    MOST_BYTES_KEPT,
    MOST_KEPT,
    InboxSettings,
)
from ringback.core.keytext import separate
from ringback.core.quantities import parse_size
from ringback.core.script import script_of
from ringback.inspector.forwarding import forward_url

_KNOWN: Final = frozenset({"secret", "script", "forward", "keep", "keep_bytes", "body_limit"})

_LONGEST_NAME: Final = 80
_LONGEST_SECRETS: Final = 4_000
_FORMER_KEPT: Final = 5
_LEAST_BYTES_KEPT: Final = 64 * 1024


def changed(settings: InboxSettings, wanted: Mapping[str, Any]) -> InboxSettings:
    """The settings with what was asked for in place of what was there.

    Raises:
        InvalidPayload: a key is unknown, or a value is not what it must be; the message names it.
        ForbiddenTarget: the forward URL is none.
    """
    if unknown := wanted.keys() - _KNOWN:
        raise InvalidPayload(f"the key {min(unknown)[:40]!r} is not known here; known are {', '.join(sorted(_KNOWN))}")
    if "secret" in wanted:
        settings = _with_secret(settings, wanted["secret"])
    if "script" in wanted:
        settings = replace(settings, script=script_of(wanted["script"] or []))
    if "forward" in wanted:
        settings = replace(settings, forward_url=_url(wanted["forward"]))
    if "keep" in wanted:
        settings = replace(settings, keep=_whole(wanted["keep"], "keep", 1, MOST_KEPT))
    if "keep_bytes" in wanted:
        count = _size(wanted["keep_bytes"], "keep_bytes", _LEAST_BYTES_KEPT, MOST_BYTES_KEPT)
        settings = replace(settings, keep_bytes=count)
    if "body_limit" in wanted:
        count = _size(wanted["body_limit"], "body_limit", 0, MOST_BODY_LIMIT_BYTES)
        settings = replace(settings, body_limit_bytes=count)
    return settings


def name_of(name: object) -> str | None:
    """The name that was asked for, if one was.

    Raises:
        InvalidPayload: it is no text that can be one.
    """
    if name is None or name == "":
        return None
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not name.strip() or not name.isprintable():
        raise InvalidPayload(f"the name is no printable text of at most {_LONGEST_NAME} characters")
    return name.strip()


def _with_secret(settings: InboxSettings, value: object) -> InboxSettings:
    if value is not None and not isinstance(value, str):
        raise InvalidPayload("the secret is no text; send whsec_…, whpk_… or several with spaces between")
    if value is not None and (len(value) > _LONGEST_SECRETS or not value.isprintable()):
        raise InvalidPayload(f"the secret is longer than {_LONGEST_SECRETS} characters, or has some that no key has")
    secrets = separate(value or "")
    former = (*settings.secrets, *settings.former_secrets)
    kept = tuple(dict.fromkeys(each for each in former if each not in secrets))[:_FORMER_KEPT]
    return replace(settings, secrets=secrets, former_secrets=kept)


def _url(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidPayload("the forward URL is no text")
    return forward_url(value)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidPayload(f"{name}={str(value)[:40]} is no whole number from {least} to {most}")
    return value


def _size(value: object, name: str, least: int, most: int) -> int:
    try:
        count = parse_size(value) if isinstance(value, str) else _whole(value, name, least, most)
    except ValueError as error:
        raise InvalidPayload(f"{name}: {error}") from None
    return _whole(count, name, least, most)
