"""Standard Webhooks 1.0.0, the sender's side: signatures v1 (HMAC-SHA256) and v1a (Ed25519).

Source of every rule: standard-webhooks, `spec/standard-webhooks.md`, sections "Webhook headers" and
"Signature scheme". The signed bytes are `<webhook-id>.<webhook-timestamp>.<body>`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

from ringback.core.errors import SpecError
from ringback.core.keys import key_to_sign
from ringback.core.keytext import separate

MOST_KEYS: Final = 10
"""Keys that sign side by side: ten Ed25519 entries are 930 bytes, far below any server's limit for a header."""


class Signer:
    """Signs with one or several secrets, read once.

    Raises:
        SpecError: a secret is malformed, with the cure; there is none, or more than ten.
    """

    __slots__ = ("_keys",)

    def __init__(self, secrets: str | Iterable[str]) -> None:
        texts = separate(secrets)
        if not texts:
            raise SpecError("the secret is empty; expected whsec_… or whsk_…")
        if len(texts) > MOST_KEYS:
            raise SpecError(f"there are {len(texts)} secrets; at most {MOST_KEYS} sign side by side")
        self._keys = [key_to_sign(text) for text in texts]

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """The value of `webhook-signature`: one `<version>,<base64>` per secret, in their order, space-separated."""
        signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
        return " ".join(f"{key.version},{base64.b64encode(key.sign(signed)).decode()}" for key in self._keys)
