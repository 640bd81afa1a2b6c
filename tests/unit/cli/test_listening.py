"""`listen`: what it refuses before it listens to anything."""

from __future__ import annotations

import pytest

from ringback.core.keys import public_key
from ringback.core.keytext import SIGNING as SIGNING_PREFIX
from ringback.core.keytext import encode
from support.served import SECRET
from unit.cli.conftest import Run

SIGNING = encode(SIGNING_PREFIX, bytes(range(32)))


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("nonsense", "does not start with whsec_ or whpk_; expected whsec_ and the base64 of 24 to 64 random bytes"),
        ("", "is empty; expected whsec_"),
        (SECRET.removeprefix("whsec_"), "looks like what follows it; write whsec_ in front"),
        (SECRET.upper(), "has its prefix in capitals; write it in lower case"),
        (f"'{SECRET}'", "leave the quotation marks out"),
        ("whsec_" + "0a1b" * 16, "is hexadecimal; write those bytes in base64"),
        ("whsec_eA==", "holds 1 bytes, too few to be safe"),
        (SIGNING, f"is the sender's signing key (whsk_); a receiver needs {public_key(SIGNING)}"),
        (f"{SECRET} nonsense", "does not start with whsec_ or whpk_"),
    ],
)
def test_a_secret_that_is_none_is_refused_with_its_cure(run: Run, secret: str, why: str) -> None:
    ended = run("listen", "--secret", secret)
    assert ended.status == 2
    assert ended.err.startswith("ringback: --secret: the secret ")
    assert why in ended.err
    assert SECRET not in ended.err
