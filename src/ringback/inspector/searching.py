"""What is typed to find captures: `status:500 header:x-shop id:msg_… method:PUT number:17`, and the body's words."""

from __future__ import annotations

import re
from typing import Final

from ringback.core.errors import InvalidParameter
from ringback.core.inbox import Search

_LONGEST: Final = 500
_PART: Final = re.compile(r'(?:(status|header|body|id|method|number):)?("[^"]*"|\S+)')


def search_of(text: str) -> Search:
    """The search that a text stands for. Words without a name in front stand in the body, as they are written.

    Raises:
        InvalidParameter: a status or a number is none, or a name comes twice.
    """
    if len(text) > _LONGEST:
        raise InvalidParameter(f"the search is longer than {_LONGEST} characters")
    named: dict[str, str] = {}
    words: list[str] = []
    for name, value in _PART.findall(text):
        plain = value[1:-1] if value[:1] == value[-1:] == '"' and len(value) > 1 else value
        if not name:
            words.append(plain)
        elif name in named:
            raise InvalidParameter(f"the search has {name}: twice")
        else:
            named[name] = plain
    if words:
        named.setdefault("body", "")
        named["body"] = " ".join(filter(None, (named["body"], *words)))
    body = named.get("body")
    return Search(
        number=_number(named, "number"),
        status=_number(named, "status"),
        message_id=named.get("id"),
        method=named["method"].upper() if "method" in named else None,
        header=named.get("header"),
        body=None if body is None else body.encode("utf-8", "replace"),
    )


def _number(named: dict[str, str], name: str) -> int | None:
    text = named.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise InvalidParameter(f"{name}:{text[:40]} is no number")
    return int(text)
