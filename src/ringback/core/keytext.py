"""How keys of Standard Webhooks are written: a prefix and base64.

A malformed one is refused with its likely cause and its cure, and never repeated in the message.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from ringback.core.errors import SpecError

SHARED: Final = "whsec_"
"""A secret that sender and receiver share."""
SIGNING: Final = "whsk_"
"""The sender's Ed25519 key."""
PUBLIC: Final = "whpk_"
"""The receiver's Ed25519 key."""

_PREFIXES: Final = (SHARED, SIGNING, PUBLIC)
_LENGTHS: Final = {SHARED: range(24, 65), SIGNING: (32, 64), PUBLIC: (32,)}
_EXPECTED: Final = {
    SHARED: "whsec_ and the base64 of 24 to 64 random bytes",
    SIGNING: "whsk_ and the base64 of an Ed25519 seed (32 bytes) or of seed and public key (64 bytes)",
    PUBLIC: "whpk_ and the base64 of an Ed25519 public key (32 bytes)",
}
_HEX: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Fa-f])(?:[0-9a-f]{32,}|[0-9A-F]{32,})")
"""One case, digits and letters: random bytes look so in base64 once in 10^19 keys."""
_NO_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=]")
_QUOTES: Final = "\"'`“”‘’"


def separate(keys: str | Iterable[str]) -> tuple[str, ...]:
    """Several keys, one by one: separated by white space, or given as a list; doubles once."""
    texts = [keys] if isinstance(keys, str) else keys
    return tuple(dict.fromkeys(piece for text in texts for piece in text.split()))


def encode(prefix: str, raw: bytes) -> str:
    """The key's text, with padding: the Rust library demands it."""
    return prefix + base64.b64encode(raw).decode()


def decode(text: str, *wanted: str) -> bytes:
    """The bytes behind a key with one of the wanted prefixes.

    Raises:
        SpecError: it is none; the message says what it looks like instead, and what was expected.
    """
    prefix = next((each for each in wanted if text.startswith(each)), None)
    if prefix is None:
        raise SpecError(f"the secret {_wrong_start(text, wanted)}")
    code = text.removeprefix(prefix)
    raw = base64_bytes(code)
    if not raw or _HEX.fullmatch(code):
        raise SpecError(f"the secret after {prefix} {_wrong_code(code)}")
    if len(raw) not in _LENGTHS[prefix]:
        raise SpecError(f"the secret holds {len(raw)} bytes{_wrong_length(raw, prefix)}; expected {_EXPECTED[prefix]}")
    return raw


def base64_bytes(text: str) -> bytes | None:
    """The bytes behind standard base64, padded or not; None if it is something else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _wrong_start(text: str, wanted: tuple[str, ...]) -> str:
    """What a text is that starts with none of the wanted prefixes."""
    version, _, rest = text.partition(",")
    is_signature = version in {"v1", "v1a"}
    likely = wanted[0]
    expected = "expected " + ", or ".join(_EXPECTED[each] for each in wanted)
    readings = (
        (not text, f"is empty; {expected}"),
        (is_signature and rest.startswith(_PREFIXES), f"starts with '{version},' as a signature does; leave that out"),
        (is_signature, f"is a signature ({version},…); give the key it was made with"),
        (text.startswith(PUBLIC), "is a public key (whpk_), which cannot sign; it belongs to the receiver"),
        (text.startswith(SIGNING), "is a signing key (whsk_), which belongs to the sender alone"),
        (text.startswith(SHARED), "is shared (whsec_), which has no public key"),
        (text.lower().startswith(_PREFIXES), "has its prefix in capitals; write it in lower case"),
        (text[:1] in _QUOTES, "begins with a quotation mark; leave the quotation marks out"),
        (text.startswith("-----"), f"is a PEM file; {expected}"),
        (_HEX.fullmatch(text), f"is hexadecimal; write {likely} and those bytes in base64"),
        (
            len(base64_bytes(text) or b"") in _LENGTHS[likely],
            f"does not start with {likely}, but looks like what follows it; write {likely} in front",
        ),
    )
    return _first(readings, f"does not start with {' or '.join(wanted)}; {expected}")


def _wrong_code(code: str) -> str:
    """What stands after a good prefix, when it is not base64."""
    odd = _NO_BASE64.search(code)
    if odd is None:
        nothing = (not code, "is nothing: a space may have slipped in, or a variable was empty")
        hexadecimal = (_HEX.fullmatch(code), "is hexadecimal; write those bytes in base64")
        return _first((nothing, hexadecimal), "is not base64: a part is missing, or two were joined")
    readings = (
        (code.startswith(_PREFIXES), "has a second prefix; write one of the two"),
        (odd[0] in ",;", f"has a {odd[0]!r} in it; write a space between one secret and the next"),
        (not code[odd.start() :].strip(_QUOTES), "ends with a quotation mark; leave the quotation marks out"),
        (
            not _NO_BASE64.search(code.replace("-", "+").replace("_", "/")),
            "is in the URL-safe alphabet; write + for each - and / for each _",
        ),
    )
    return _first(readings, f"is not base64: character {odd.start() + 1} of it is not of that alphabet")


def _first(readings: Iterable[tuple[object, str]], otherwise: str) -> str:
    return next((words for applies, words in readings if applies), otherwise)


def _wrong_length(raw: bytes, prefix: str) -> str:
    """What a key of another length may be."""
    if prefix == SHARED:
        return ", too few to be safe" if len(raw) < _LENGTHS[SHARED][0] else ", more than Standard Webhooks allows"
    return ", as a signing key (whsk_) does" if prefix == PUBLIC and len(raw) == _LENGTHS[SIGNING][1] else ""
