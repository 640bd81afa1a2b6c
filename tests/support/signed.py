"""The published vectors of Standard Webhooks, and a clock that stands at their moment."""

from __future__ import annotations

from typing import Final

from ringback.core.clock import SECOND, HandWound

ID: Final = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP: Final = 1614265330
BODY: Final = b'{"test": 2432232314}'
CLOCK: Final = HandWound(STAMP * SECOND)

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE: Final = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""Vector 1: standard-webhooks, `libraries/python/tests/test_webhooks.py`."""

OTHER: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
OTHER_ID: Final = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"
OTHER_STAMP: Final = 1649367553
OTHER_BODY: Final = b'{"email":"test@example.com","username":"test_user"}'
OTHER_SIGNATURE: Final = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
"""Vector 2: standard-webhooks, `libraries/rust/src/lib.rs`."""

SIGNING_KEY: Final = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY: Final = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
ED25519_SIGNATURE: Final = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)
"""Vector 3, of the message of vector 1: svix-webhooks, `server/svix-server/src/worker.rs`."""


def headers(**changed: str) -> dict[str, str]:
    """Vector 1's headers, some of them replaced."""
    told = {"webhook-id": ID, "webhook-timestamp": str(STAMP), "webhook-signature": SIGNATURE}
    return told | {f"webhook-{name}": value for name, value in changed.items()}
