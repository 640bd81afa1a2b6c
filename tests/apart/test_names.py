"""Name servers that never answer, and certificates: a connection is pinned to an address and true to the name."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import requests

from apart.conftest import PORT, STALE_TLS_PORT, TLS_PORT, World
from apart.test_forbidden import attempts_of, register, submit, url_of
from support.internet import PUBLIC, Internet
from support.processes import serving
from support.served import folder_of

SILENT = 40
SOON_SECONDS = 3.0


def test_name_servers_that_are_silent_hold_up_nobody_else(internet: Internet, tmp_path: Path) -> None:
    name = internet.name("hooks.corp.test", ["10.7.7.7"])
    file = folder_of(tmp_path / "api", webhook=url_of(name), retry=())
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        bring = [
            threading.Thread(target=submit, args=(server, *(url_of(f"n{n}x{m}.silent.test") for m in range(4))))
            for n in range(SILENT // 4)
        ]
        for thread in bring:
            thread.start()
        for thread in bring:
            thread.join(60)
        for _ in range(3):
            began = time.monotonic()
            [tried] = attempts_of(server, submit(server).json()["id"], 1)
            assert tried["outcome"] == "ok"
            assert time.monotonic() - began < SOON_SECONDS
        assert sum(internet.asked[name] > 0 for name in internet.asked if name.endswith(".silent.test")) >= 10
        assert server.terminate() == 0


@pytest.mark.parametrize(
    ("at", "outcome", "words"),
    [
        (f"good.test:{TLS_PORT}", "ok", ""),
        (f"other.test:{TLS_PORT}", "tls", "no TLS connection to other.test: Hostname mismatch"),
        (f"stale.test:{STALE_TLS_PORT}", "tls", "no TLS connection to stale.test: certificate has expired"),
        (f"good.test:{PORT}", "tls", "no TLS connection to good.test"),
    ],
)
def test_tls_is_true_to_the_name_though_the_address_is_pinned(
    at: str, outcome: str, words: str, world: World, internet: Internet, tmp_path: Path
) -> None:
    internet.name(at.partition(":")[0], [PUBLIC])
    env = {"SSL_CERT_FILE": str(world.authority.file)}
    with serving(folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db", env=env) as server:
        answer = register(server, f"https://{at}/hook", timeout="5s")
        assert answer.status_code == 201
        [tried] = attempts_of(server, submit(server).json()["id"], 1)
    assert tried["outcome"] == outcome
    assert (tried["detail"] or "").startswith(words)
    assert internet.addresses() == {PUBLIC}


def test_a_certificate_nobody_vouches_for_is_refused(internet: Internet, tmp_path: Path) -> None:
    internet.name("good.test", [PUBLIC])
    with serving(folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db") as server:
        assert register(server, f"https://good.test:{TLS_PORT}/hook").status_code == 201
        [tried] = attempts_of(server, submit(server).json()["id"], 1)
    assert tried["outcome"] == "tls"
    assert "certificate" in tried["detail"]


def test_a_name_that_does_not_exist_is_dns_and_tried_again(internet: Internet, tmp_path: Path) -> None:
    with serving(folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db") as server:
        assert register(server, url_of("nowhere.test"), retry=["1h"]).status_code == 201
        [tried] = attempts_of(server, submit(server).json()["id"], 1)
        assert (tried["outcome"], tried["state"]) == ("dns", "pending")
        assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200
