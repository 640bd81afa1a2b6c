"""Keys of Standard Webhooks: making them, and the one interface under which HMAC and Ed25519 sign and verify."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from ringback.core.errors import SpecError
from ringback.core.keytext import PUBLIC, SHARED, SIGNING, decode, encode, separate

if TYPE_CHECKING:
    from ringback.core.ed25519 import SigningKey

_NEW_SECRET_BYTES: Final = 32
_BLOCK_BYTES: Final = 64
"""SHA-256's (FIPS 180-4, section 1)."""
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class Signs(Protocol):
    """What can make one entry of `webhook-signature`."""

    @property
    def version(self) -> str: ...

    def sign(self, signed: bytes) -> bytes: ...


class Accepts(Protocol):
    """What can judge one entry of `webhook-signature`."""

    @property
    def version(self) -> str: ...

    def accepts(self, signature: bytes, signed: bytes) -> bool: ...


class SharedKey:
    """HMAC-SHA256 under a secret that sender and receiver share.

    The key's part of both hashes is made once for all messages (RFC 2104, section 4).
    """

    __slots__ = ("_inner", "_outer")

    version: ClassVar = "v1"

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    def sign(self, signed: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return outer.digest()

    def accepts(self, signature: bytes, signed: bytes) -> bool:
        """In a time that does not tell where the two differ."""
        return hmac.compare_digest(signature, self.sign(signed))


def new_secret() -> str:
    """A fresh `whsec_` secret of 32 random bytes."""
    return encode(SHARED, os.urandom(_NEW_SECRET_BYTES))


def new_signing_key() -> str:
    """A fresh `whsk_` key: seed and public key, as other senders of Standard Webhooks write it."""
    from ringback.core import ed25519  # noqa: PLC0415 - see the head of that file

    seed = os.urandom(ed25519.SEED_BYTES)
    return encode(SIGNING, seed + ed25519.SigningKey(seed).public)


def public_key(signing_key: str) -> str:
    """The `whpk_` key that verifies what a `whsk_` key signs.

    Raises:
        SpecError: it is no such key.
    """
    return encode(PUBLIC, _signing_key(decode(signing_key.strip(), SIGNING)).public)


def public_keys(secrets: str | Iterable[str]) -> tuple[str, ...]:
    """The `whpk_` keys of the `whsk_` keys among an endpoint's secrets.

    Raises:
        SpecError: a `whsk_` key is malformed.
    """
    return tuple(public_key(text) for text in separate(secrets) if text.startswith(SIGNING))


def key_to_sign(text: str) -> Signs:
    """The key behind `whsec_…` or `whsk_…`.

    Raises:
        SpecError: it is neither; the message says what it looks like instead, and the cure.
    """
    raw = decode(text, SHARED, SIGNING)
    return SharedKey(raw) if text.startswith(SHARED) else _signing_key(raw)


def key_to_verify(text: str) -> Accepts:
    """The key behind `whsec_…` or `whpk_…`.

    Raises:
        SpecError: it is neither; the message says what it looks like instead, and the cure.
    """
    if text.startswith(SIGNING):
        raise SpecError(f"the secret is the sender's signing key (whsk_); a receiver needs {public_key(text)}")
    raw = decode(text, SHARED, PUBLIC)
    if text.startswith(SHARED):
        return SharedKey(raw)
    from ringback.core import ed25519  # noqa: PLC0415 - see the head of that file

    if ed25519.is_forgeable(raw):
        raise SpecError("under this public key (whpk_) anyone can sign; take the sender's own")
    return ed25519.PublicKey(raw)


def _signing_key(raw: bytes) -> SigningKey:
    from ringback.core import ed25519  # noqa: PLC0415 - see the head of that file

    seed, public = raw[: ed25519.SEED_BYTES], raw[ed25519.SEED_BYTES :]
    key = ed25519.SigningKey(seed)
    if public not in {b"", key.public}:
        raise SpecError("the signing key (whsk_) is damaged: its second half is not the public key of its first")
    return key
