"""Public keys as a JSON Web Key Set (RFC 7517), for receivers that fetch them instead of being given them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from ringback.core.keytext import PUBLIC, decode


def jwks(public_keys: Iterable[str]) -> dict[str, Any]:
    """The set of these `whpk_` keys, each once, in the order given.

    Ed25519 keys are of type OKP (RFC 8037, section 2); `kid` is the thumbprint (RFC 7638), so it follows from
    the key and changes with it. `alg` is left out: it names JOSE algorithms, and a webhook is no JOSE object.

    Raises:
        SpecError: one is no public key.
    """
    return {"keys": [_jwk(decode(text, PUBLIC)) for text in dict.fromkeys(public_keys)]}


def _jwk(public: bytes) -> dict[str, str]:
    x = _base64url(public)
    # RFC 7638, section 3: the required members alone, sorted by name, without white space.
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": _base64url(thumbprint), "use": "sig"}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
