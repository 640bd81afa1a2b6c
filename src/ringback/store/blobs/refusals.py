"""What an object store's own words mean to whoever starts a server. Pure.

obstore tells of a refusal in text: the status, and the server's XML behind it.
"""

from __future__ import annotations

import re
from typing import Final

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([^<]{1,80})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,200})</Message>")
_REASON_CHARACTERS: Final = 300
_MISSING: Final = frozenset({404, 410})
_DENIED: Final = frozenset({401, 403})
_PASSING: Final = frozenset({408, 425, 429})
"""What a server says of the moment, and not of the request."""


def reason_of(error: BaseException) -> str:
    """The part of obstore's words that is for people: its first line, without the XML of a server's answer."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return line.partition(": <?xml")[0][:_REASON_CHARACTERS]


def cure_of(error: BaseException) -> str | None:
    """Why the place is refused for good, and what to do about it; None if it may work the next moment."""
    words = str(error)
    found = _STATUS.search(words)
    status = 0 if found is None else int(found[1])
    if not 300 <= status < 500 or status in _PASSING:
        return None
    told = _told_by_the_server(words, status)
    if status in _MISSING:
        return f"there is no such place ({told}): make it, or name another with --blobs"
    if status in _DENIED:
        return (
            f"it does not let this server in ({told}): see to the credentials in the server's environment, and that "
            "they may list, read, write and delete there"
        )
    return f"it does not take what it is asked ({told}): see to region and endpoint in the server's environment"


def _told_by_the_server(words: str, status: int) -> str:
    code, message = _CODE.search(words), _MESSAGE.search(words)
    parts = [each[1].strip().rstrip(".") for each in (code, message) if each is not None]
    return ": ".join(parts) or f"status {status}"
