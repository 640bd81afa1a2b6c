"""What is sent holds for others, as docs/verifying.md has it: the official JavaScript library, Node alone, openssl."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from ringback import new_secret, new_signing_key, public_key, verify
from ringback.core.clock import SystemClock
from ringback.core.delivery import Delivery
from ringback.core.jwks import jwks
from ringback.core.spec import Endpoint, Event
from ringback.deliver.request import Target
from support import javascript

PAGE: Final = Path(__file__).parents[3] / "docs" / "verifying.md"
SHARED: Final = new_secret()
SIGNING_KEY: Final = new_signing_key()
BODIES: Final = [
    b'{"id":"w1","status":"completed","result":null}',
    '{"id":"w2","result":"grüße 🌸 \\u0000 \\n"}'.encode(),
    b'{ "id" : "w3" , "result" : 123456789012345678901234567890 }',
    b'{"id":"w4","result":"' + b"x" * 100_000 + b'"}',
]


def examples(language: str) -> list[str]:
    """The page's code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def sent(body: bytes, secret: str) -> dict[str, str]:
    """The webhook headers of one request as the sender writes it."""
    endpoint = Endpoint(key="iris", url="http://example.test/", secret=secret)
    clock = SystemClock()
    delivery = Delivery(
        seq=1,
        endpoint="iris",
        message_id="0197c0de-0000-7000-8000-000000000001",
        event=Event.COMPLETED,
        api="iris",
        workload_id="w1",
        body=body,
        tries=0,
        trace_id=None,
        created_at=clock.now(),
    )
    head, _, written = Target(endpoint).request(delivery, clock.now()).partition(b"\r\n\r\n")
    assert written == body
    pairs = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return {name: value for name, value in pairs if name.startswith("webhook-")}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the official JavaScript library."""
    javascript.needed("node")
    folder = tmp_path_factory.mktemp("javascript")
    javascript.fetch_library(folder)
    return folder


def in_node(folder: Path, example: str, body: bytes, headers: dict[str, str], key: str) -> Any:
    """What an example of the page makes of a webhook: the event, or the error's message."""
    (folder / "example.mjs").write_text(example)
    script = (
        'import { event } from "./example.mjs";\n'
        "const { body, headers, key } = input;\n"
        'let told; try { told = { event: event(Buffer.from(body, "base64"), headers, key) } }\n'
        "catch (error) { told = { error: error.message } }\n"
        "export default told;\n"
    )
    encoded = base64.b64encode(body).decode()
    return javascript.run(folder, script, {"body": encoded, "headers": headers, "key": key})


# ── The official JavaScript library ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", BODIES, ids=["plain", "unicode", "spaces", "large"])
def test_the_javascript_library_reads_what_we_send(library: Path, body: bytes) -> None:
    example, _ = examples("js")

    for secret in (SHARED, f"{new_secret()} {SIGNING_KEY} {SHARED}"):
        told = in_node(library, example, body, sent(body, secret), SHARED)
        assert told.keys() == {"event"}
        assert told["event"]["id"] == json.loads(body)["id"]


def test_the_javascript_library_refuses_what_others_sent(library: Path) -> None:
    example, _ = examples("js")

    assert "error" in in_node(library, example, BODIES[0], sent(BODIES[0], new_secret()), SHARED)
    assert "error" in in_node(library, example, BODIES[1], sent(BODIES[0], SHARED), SHARED)


def test_we_read_what_the_javascript_library_signs(library: Path) -> None:
    script = (
        'import { Webhook } from "standardwebhooks";\n'
        "const { bodies, secret, at } = input;\n"
        "export default bodies.map((body) => new Webhook(secret).sign('msg_1', new Date(at * 1000), body));\n"
    )
    at = SystemClock().now() // 1_000_000
    signatures = javascript.run(
        library, script, {"bodies": [body.decode() for body in BODIES], "secret": SHARED, "at": at}
    )

    assert len(signatures) == len(BODIES)
    for body, signature in zip(BODIES, signatures, strict=True):
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
        assert verify(body, headers, SHARED) == json.loads(body)


# ── Without a library ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", BODIES, ids=["plain", "unicode", "spaces", "large"])
def test_node_alone_reads_ed25519_as_the_page_says(tmp_path: Path, body: bytes) -> None:
    _, example = examples("js")
    headers = sent(body, f"{SHARED} {SIGNING_KEY}")

    told = in_node(tmp_path, example, body, headers, public_key(SIGNING_KEY))
    assert told["event"]["id"] == json.loads(body)["id"]
    others = in_node(tmp_path, example, body, headers, public_key(new_signing_key()))
    assert others == {"error": "no signature matches"}
    for stamp in ("1614265330", "soon"):
        late = in_node(tmp_path, example, body, headers | {"webhook-timestamp": stamp}, public_key(SIGNING_KEY))
        assert late == {"error": "too old, or too new"}


def test_node_takes_the_key_set_as_it_is(tmp_path: Path) -> None:
    script = (
        'import { createPublicKey } from "node:crypto";\n'
        "const keys = input.keys.map((key) => createPublicKey({ key, format: 'jwk' }));\n"
        "export default keys.map((key) => key.export({ format: 'der', type: 'spki' }).toString('base64'));\n"
    )
    key = public_key(SIGNING_KEY)

    assert javascript.run(tmp_path, script, jwks([key])) == ["MCowBQYDK2VwAyEA" + key.removeprefix("whpk_")]


def by_hand(folder: Path, example: str, body: bytes, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    javascript.needed("openssl")
    (folder / "body").write_bytes(body)
    return subprocess.run(
        ["sh", "-c", example],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("body", BODIES, ids=["plain", "unicode", "spaces", "large"])
def test_openssl_verifies_as_the_page_says(tmp_path: Path, body: bytes) -> None:
    hmac_example, ed25519_example = examples("sh")[-2:]
    headers = sent(body, f"{SIGNING_KEY} {SHARED}")
    entries = headers["webhook-signature"]
    told = {"id": headers["webhook-id"], "stamp": headers["webhook-timestamp"], "entries": entries}

    printed = by_hand(tmp_path, hmac_example, body, {**told, "secret": SHARED})
    assert printed.stdout.strip() == entries.split(" ")[1]
    good = by_hand(tmp_path, ed25519_example, body, {**told, "key": public_key(SIGNING_KEY)})
    assert good.stdout.strip() == "Signature Verified Successfully"
    bad = by_hand(tmp_path, ed25519_example, body, {**told, "key": public_key(new_signing_key())})
    assert (bad.returncode, bad.stdout.strip()) == (1, "Signature Verification Failure")
