"""Ed25519 (RFC 8032) over raw bytes: the one file that knows the `cryptography` package.

Imported only where such a key is in use: a receiver with a shared secret never loads the package.
"""

from __future__ import annotations

from typing import ClassVar, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEED_BYTES: Final = 32

_FIELD: Final = 2**255 - 19
_ORDER_8_Y: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8_Y, _FIELD - _ORDER_8_Y})
"""The y of every point whose order divides 8: under such a key anyone can make a signature that holds."""


class SigningKey:
    """Signs; made from a seed of 32 bytes."""

    __slots__ = ("_private", "public")

    version: ClassVar = "v1a"

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: Final = self._private.public_key().public_bytes_raw()

    def sign(self, signed: bytes) -> bytes:
        return self._private.sign(signed)


class PublicKey:
    """Tells whether a signature is of the matching signing key; made from 32 bytes."""

    __slots__ = ("_public",)

    version: ClassVar = "v1a"

    def __init__(self, public: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(public)

    def accepts(self, signature: bytes, signed: bytes) -> bool:
        try:
            self._public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


def is_forgeable(public: bytes) -> bool:
    """Whether anyone can sign under this key, as under 32 zero bytes."""
    y = int.from_bytes(public, "little") & (2**255 - 1)  # the top bit is the sign of x
    return y % _FIELD in _SMALL_ORDER_Y
