"""Two keys through the real command: one webhook for a receiver with the secret and one that fetched the public key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook

from ringback import VerificationError, new_secret, new_signing_key, verify
from support.catcher import Catcher
from support.processes import ringback, serving
from support.served import folder_of

API_KEY = "acceptance-tests-only"


def test_each_receiver_verifies_with_what_it_may_have(tmp_path: Path) -> None:
    shared, signing = new_secret(), new_signing_key()
    with Catcher() as catcher:
        webhook = {"url": catcher.url, "secret": "${HOOK_KEYS}"}
        file = folder_of(tmp_path / "api", webhook=None, webhooks=[webhook])
        env = {"HOOK_KEYS": f"{signing} {shared}", "RINGBACK_API_KEYS": API_KEY}
        with serving(file, tmp_path / "ringback.db", env=env) as server:
            [key] = requests.get(f"{server.url}/.well-known/ringback/jwks.json", timeout=10).json()["keys"]
            assert requests.post(f"{server.url}/echo", json=1, timeout=10).status_code == 401
            bearer = {"Authorization": f"Bearer {API_KEY}"}
            answer = requests.post(f"{server.url}/echo", json={"petals": 5}, headers=bearer, timeout=10)
            caught = catcher.wait_for(answer.json()["id"])

    public = "whpk_" + base64.b64encode(base64.urlsafe_b64decode(key["x"] + "=")).decode()
    for held in (public, shared):
        assert verify(caught.body, caught.headers, held)["result"] == {"petals": 5}
    assert Webhook(shared).verify(caught.body, caught.headers)["status"] == "completed"
    with pytest.raises(VerificationError, match="no signature matches"):
        verify(caught.body.replace(b"5", b"6"), caught.headers, public)


def test_a_key_that_cannot_sign_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", webhooks=[{"url": "http://127.0.0.1:9/", "secret": "${HOOK_KEYS}"}])
    signing = new_signing_key()

    told = ringback("serve", str(file), env={"HOOK_KEYS": f"v1a,{signing}"})

    assert told.returncode == 2
    assert "[0].webhooks[0].secret: the secret starts with 'v1a,' as a signature does; leave that out" in told.stderr
    assert signing[5:] not in told.stderr + told.stdout
