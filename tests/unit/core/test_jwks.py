"""The key set: the examples of the RFCs, and what our keys become."""

from __future__ import annotations

import base64

import pytest

from ringback import new_secret, new_signing_key, public_key
from ringback.core.errors import SpecError
from ringback.core.jwks import jwks
from support.signed import PUBLIC_KEY

X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
"""RFC 8037, appendix A.2; its thumbprint is in A.3."""


def whpk(x: str) -> str:
    return "whpk_" + base64.b64encode(base64.urlsafe_b64decode(x + "=")).decode()


def test_the_key_of_rfc_8037_has_the_thumbprint_it_is_said_to_have() -> None:
    thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    assert jwks([whpk(X)]) == {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": X, "kid": thumbprint, "use": "sig"}]}


def test_keys_keep_their_order_and_come_once() -> None:
    other = public_key(new_signing_key())

    assert [whpk(key["x"]) for key in jwks([PUBLIC_KEY, other, PUBLIC_KEY])["keys"]] == [PUBLIC_KEY, other]
    assert jwks([]) == {"keys": []}


@pytest.mark.parametrize("make", [new_secret, new_signing_key])
def test_nothing_but_a_public_key_is_ever_published(make: object) -> None:
    assert callable(make)
    with pytest.raises(SpecError):
        jwks([make()])
