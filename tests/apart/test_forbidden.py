"""Where no webhook may go, none goes: not one connection is opened, whatever a URL looks like and whatever names do.

The real server, the system's own resolver, and a name server whose answers change between check and connection.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from apart.conftest import PORT, PROXY_PORT
from support.forbidden import (
    AMBIGUOUS,
    FOLDED,
    LOOPBACK_SPELLINGS,
    METADATA_SPELLINGS,
    NEVER,
    NOT_FOR_GUESTS,
)
from support.internet import OWN, PUBLIC, PUBLIC_V6, Internet
from support.processes import Server, serving
from support.served import ECHO, file_of, folder_of
from support.waiting import until

FORBIDDEN = (*NEVER, *NOT_FOR_GUESTS, OWN)
INTERNAL = {
    "metadata.google.internal": "169.254.169.254",
    "metadata": "169.254.169.254",
    "host.docker.internal": "192.168.65.254",
    "gateway.docker.internal": "192.168.65.1",
    "kubernetes.default.svc": "10.96.0.1",
    "intranet": "10.1.1.1",
    "127.0.0.1.nip.io": "127.0.0.1",
    "169-254-169-254.nip.io": "169.254.169.254",
}


@pytest.fixture(scope="module")
def server(world: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that allows nothing, behind proxies that it must not use."""
    folder = tmp_path_factory.mktemp("strict")
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    env = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy)
    with serving(folder_of(folder / "api"), folder / "store" / "ringback.db", env=env) as server:
        yield server


def url_of(host: str, path: str = "/hook") -> str:
    bare = host.partition("%")[0]
    return f"http://[{bare}]:{PORT}{path}" if ":" in bare else f"http://{bare}:{PORT}{path}"


def register(server: Server, url: str, **keys: Any) -> requests.Response:
    return requests.post(f"{server.url}/-/endpoints", json={"url": url, "retry": [], **keys}, timeout=30)


def submit(server: Server, *urls: str) -> requests.Response:
    """One submit that brings these, byte for byte: no library is given the chance to mend them."""
    lines = "".join(f"Ringback-Webhook: {url}\r\n" for url in urls)
    head = f"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n{lines}"
    raw = f"{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(raw)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    head_bytes, _, body = received.partition(b"\r\n\r\n")
    answer = requests.Response()
    answer.status_code = int(head_bytes.split(b" ", 2)[1])
    answer._content = body
    return answer


def attempts_of(server: Server, workload_id: str, count: int) -> list[dict[str, Any]]:
    """The first attempt of each of a workload's deliveries, once all have been tried."""

    def look() -> list[dict[str, Any]]:
        answer = requests.get(f"{server.url}/-/deliveries?api=echo&id={workload_id}", timeout=30).json()
        tried = [{**each, **each["attempts"][0]} for each in answer["deliveries"] if each["attempts"]]
        return tried if len(tried) == count else []

    return until(look, within=60, wanted=f"{count} deliveries tried")


def remove_all(server: Server) -> None:
    for each in requests.get(f"{server.url}/-/endpoints", timeout=30).json()["endpoints"]:
        if each["origin"] == "registered":
            requests.delete(f"{server.url}/-/endpoints/{each['endpoint']}?undelivered=erase", timeout=30)


@pytest.fixture(autouse=True)
def clean(server: Server) -> Iterator[None]:
    yield
    remove_all(server)


# ── That something would be seen ────────────────────────────────────────────────────────────────


def test_the_network_shows_what_is_dialled(server: Server, internet: Internet) -> None:
    name = internet.name("hooks.public.test", [PUBLIC])
    assert register(server, url_of(name)).status_code == 201
    assert register(server, url_of(PUBLIC_V6)).status_code == 201
    workload_id = submit(server, url_of(name, "/guest")).json()["id"]
    tried = attempts_of(server, workload_id, 3)
    assert {each["outcome"] for each in tried} == {"ok"}
    assert internet.addresses() == {PUBLIC, PUBLIC_V6}
    assert {(each.address, each.path, each.host) for each in internet.came} == {
        (PUBLIC, "/hook", f"{name}:{PORT}"),
        (PUBLIC, "/guest", f"{name}:{PORT}"),
        (PUBLIC_V6, "/hook", f"[{PUBLIC_V6}]:{PORT}"),
    }


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", FORBIDDEN)
def test_as_it_stands_it_is_refused_at_registration_and_at_submit(
    address: str, server: Server, internet: Internet
) -> None:
    for answer in (register(server, url_of(address)), submit(server, url_of(address))):
        assert answer.status_code == 422
        said = answer.json()["detail"]
        assert "--allow" in said or said.endswith("no webhook is ever sent there")
    assert internet.landed == []


def test_behind_a_name_that_was_public_when_it_was_checked_it_is_refused_at_send_and_at_test(
    server: Server, internet: Internet
) -> None:
    """Rebinding: the first look-up, at registration or submit, is public; the next, at the connection, is not."""
    names = [internet.name(f"r{n}.rebind.test", [PUBLIC], [address]) for n, address in enumerate(FORBIDDEN)]
    keys = []
    for name in names:
        answer = register(server, url_of(name))
        assert answer.status_code == 201, answer.text
        keys.append(answer.json()["endpoint"])
    workload_id = submit(server).json()["id"]
    tried = {each["endpoint"]: each for each in attempts_of(server, workload_id, len(keys))}
    for key, name, address in zip(keys, names, FORBIDDEN, strict=True):
        assert tried[key]["outcome"] == "guard", (address, tried[key])
        assert tried[key]["detail"].startswith(f"{name} is at "), address
        assert tried[key]["address"] is None
        trial = requests.post(f"{server.url}/-/endpoints/{key}/test", timeout=30).json()["delivery"]
        assert trial["attempts"][0]["detail"] == tried[key]["detail"]
    assert internet.landed == []


def test_that_is_so_for_webhooks_that_come_with_a_submit(server: Server, internet: Internet) -> None:
    names = [internet.name(f"g{n}.rebind.test", [PUBLIC], [address]) for n, address in enumerate(FORBIDDEN)]
    for first in range(0, len(names), 5):
        some = names[first : first + 5]
        answer = submit(server, *map(url_of, some))
        assert answer.status_code == 200, answer.text
        tried = attempts_of(server, answer.json()["id"], len(some))
        assert {each["outcome"] for each in tried} == {"guard"}, tried
    assert internet.landed == []


# ── Names ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answers",
    [
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [PUBLIC, "::1"],
        [PUBLIC, "fd00:ec2::254"],
        [PUBLIC_V6, "127.0.0.1"],
        ["fc00::1"],
    ],
    ids=" ".join,
)
def test_one_bad_answer_among_good_ones_refuses_the_name(
    answers: list[str], server: Server, internet: Internet
) -> None:
    place = "-".join(answers).replace(":", "x").replace(".", "-")
    at_once = internet.name(f"m-{place}.test", answers)
    assert register(server, url_of(at_once)).status_code == 422
    assert submit(server, url_of(at_once)).status_code == 422
    later = internet.name(f"l-{place}.test", [PUBLIC], answers)
    assert register(server, url_of(later)).status_code == 201
    [tried] = attempts_of(server, submit(server).json()["id"], 1)
    assert tried["outcome"] == "guard"
    assert internet.landed == []


def test_an_alias_is_judged_by_where_it_leads(server: Server, internet: Internet) -> None:
    internet.name("internal.corp.test", ["10.0.0.9"])
    assert register(server, url_of(internet.name("alias.test", ["=internal.corp.test"]))).status_code == 422
    later = internet.name("later.test", [PUBLIC], ["=internal.corp.test"])
    assert register(server, url_of(later)).status_code == 201
    [tried] = attempts_of(server, submit(server).json()["id"], 1)
    assert (tried["outcome"], "10.0.0.9" in tried["detail"]) == ("guard", True)
    assert internet.landed == []


@pytest.mark.parametrize("name", [*INTERNAL, "thismachine", "localhost", "LOCALHOST"])
def test_names_of_what_is_inside_are_refused(name: str, server: Server, internet: Internet) -> None:
    if name in INTERNAL:
        internet.name(name, [INTERNAL[name]])
    assert register(server, url_of(name)).status_code == 422
    assert submit(server, url_of(name)).status_code == 422
    assert internet.landed == []


# ── Spellings and tricks ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", [text for text in AMBIGUOUS if len(text) < 1_000])
def test_what_could_be_read_in_two_ways_is_refused(text: str, server: Server, internet: Internet) -> None:
    answer = register(server, text)
    assert answer.status_code == (422 if text else 400), answer.text
    if "\n" not in text:
        assert submit(server, text).status_code == 422
    assert internet.landed == []


@pytest.mark.parametrize("text", FOLDED)
def test_what_folds_to_a_forbidden_address_is_refused_as_that(text: str, server: Server, internet: Internet) -> None:
    answer = register(server, text)
    assert answer.status_code == 422
    assert "loopback" in answer.json()["detail"]
    assert internet.landed == []


@pytest.mark.parametrize("port", [22, 25, 6379, 11211])
def test_ports_of_other_protocols_are_refused(port: int, server: Server, internet: Internet) -> None:
    answer = register(server, f"http://{PUBLIC}:{port}/")
    assert (answer.status_code, f"port {port}" in answer.json()["detail"]) == (422, True)
    assert internet.landed == []


@pytest.mark.parametrize("where", ["http://169.254.169.254:18080/", "http://127.0.0.1:18080/", "/hook", "ftp://a/"])
def test_a_redirect_is_recorded_and_not_followed(where: str, server: Server, internet: Internet) -> None:
    name = internet.name("turns.public.test", [PUBLIC])
    assert register(server, url_of(name, f"/?to={where}")).status_code == 201
    [tried] = attempts_of(server, submit(server).json()["id"], 1)
    assert (tried["outcome"], tried["status"]) == ("status", 307)
    assert f"a redirect to {where}, which is not followed" in tried["detail"]
    assert internet.addresses() == {PUBLIC}


def test_no_proxy_of_the_environment_is_used(server: Server, internet: Internet) -> None:
    name = internet.name("direct.public.test", [PUBLIC])
    assert register(server, url_of(name)).status_code == 201
    [tried] = attempts_of(server, submit(server).json()["id"], 1)
    assert tried["outcome"] == "ok"
    assert {(each.address, each.port) for each in internet.landed} == {(PUBLIC, PORT)}


# ── The operator's own word ─────────────────────────────────────────────────────────────────────


def serving_to(hosts: Iterable[str], folder: Path) -> Path:
    """A file with one endpoint for each of these hosts."""
    (folder / "predictor.py").write_text(ECHO)
    hooks = [{"url": url_of(host), "retry": []} for host in hosts]
    api = {"name": "echo", "kind": "AsyncAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    return file_of(folder, {**api, "webhooks": hooks})


def test_private_receivers_work_from_the_file_as_they_stand(internet: Internet, tmp_path: Path) -> None:
    internet.name("hooks.corp.test", ["10.7.7.7"])
    hosts = ["10.1.2.3", "192.168.7.7", "172.16.0.9", "127.0.0.1", "fd00::5", "hooks.corp.test", *LOOPBACK_SPELLINGS]
    with serving(serving_to(hosts, tmp_path), tmp_path / "store" / "ringback.db") as server:
        tried = attempts_of(server, submit(server).json()["id"], len(hosts))
    assert {each["outcome"] for each in tried} == {"ok"}
    assert internet.addresses() == {
        "10.1.2.3",
        "192.168.7.7",
        "172.16.0.9",
        "127.0.0.1",
        "::1",
        "fd00::5",
        "10.7.7.7",
    }


def test_metadata_is_for_nobody_not_even_from_the_file(internet: Internet, tmp_path: Path) -> None:
    internet.name("metadata.google.internal", ["169.254.169.254"])
    internet.name("turns.corp.test", ["10.7.7.7", "fd00:ec2::254"])
    names = {f"never-{place}.corp.test": each for place, each in enumerate(NEVER) if "%" not in each}
    for name, address in names.items():
        internet.name(name, [address])
    hosts = [*names, *METADATA_SPELLINGS, "metadata.google.internal", "turns.corp.test"]
    with serving(serving_to(hosts, tmp_path), tmp_path / "store" / "ringback.db") as server:
        tried = attempts_of(server, submit(server).json()["id"], len(hosts))
    assert {each["outcome"] for each in tried} == {"guard"}
    assert all(each["detail"].endswith("no webhook is ever sent there") for each in tried)
    assert internet.landed == []


@pytest.mark.parametrize(
    ("allow", "host", "lands"),
    [
        ("10.0.0.0/8", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.0/8", "hooks.corp.test", "10.9.9.9"),
        ("hooks.corp.test", "hooks.corp.test", "10.9.9.9"),
        ("*.corp.test", "hooks.corp.test", "10.9.9.9"),
        ("fd00::/8", "fd00::5", "fd00::5"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        (OWN, OWN, OWN),
    ],
)
def test_private_receivers_work_from_requests_with_one_allow(
    allow: str, host: str, lands: str, internet: Internet, tmp_path: Path
) -> None:
    internet.name("hooks.corp.test", ["10.9.9.9"])
    store = tmp_path / "store" / "ringback.db"
    with serving(folder_of(tmp_path / "api"), store, options=["--allow", allow]) as server:
        assert register(server, url_of(host)).status_code == 201
        tried = attempts_of(server, submit(server, url_of(host, "/guest")).json()["id"], 2)
        refused = register(server, url_of("192.168.1.1"))
    assert {each["outcome"] for each in tried} == {"ok"}
    assert refused.status_code == 422
    assert internet.addresses() == {lands}
