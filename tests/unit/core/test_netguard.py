"""Every address and spelling that has let a request through to where it must not go, somewhere, some day."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ringback.core.errors import SpecError
from ringback.core.netguard import Guard, Trust, embedded
from support.forbidden import NEVER, NOT_FOR_GUESTS

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
]


def refusal(
    trust: Trust, *addresses: str, host: str = "hooks.example", port: int = 443, allow: tuple[str, ...] = ()
) -> str | None:
    return Guard(allow).refusal(trust, host, port, addresses)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_and_metadata_are_for_nobody_and_cannot_be_allowed(address: str) -> None:
    for trust in Trust:
        said = refusal(trust, address, allow=("0.0.0.0/0", "::/0", "hooks.example"))
        assert said is not None
        assert said.endswith("no webhook is ever sent there")


@pytest.mark.parametrize("address", NOT_FOR_GUESTS)
def test_what_is_not_public_is_for_the_operator_alone(address: str) -> None:
    assert refusal(Trust.OPERATOR, address) is None
    said = refusal(Trust.GUEST, address)
    assert said is not None
    assert said.startswith("hooks.example is at ")
    assert "--allow" in said


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_for_everyone(address: str) -> None:
    assert refusal(Trust.GUEST, address) is None


@pytest.mark.parametrize("port", [22, 25, 6379, 11211, 5432])
def test_ports_of_other_protocols_are_for_those_the_operator_names(port: int) -> None:
    assert refusal(Trust.OPERATOR, "1.1.1.1", port=port) is None
    assert refusal(Trust.GUEST, "1.1.1.1", port=port) == (
        f"port {port} of hooks.example is not one where webhooks are received: "
        "a URL that is not in the file leads there only if --allow names it"
    )
    assert refusal(Trust.GUEST, "1.1.1.1", port=port, allow=("hooks.example",)) is None


@pytest.mark.parametrize("port", [80, 443, 8080, 8443, 3000, 50_000])
def test_other_ports_are_for_everyone(port: int) -> None:
    assert refusal(Trust.GUEST, "1.1.1.1", port=port) is None


def test_an_address_of_this_machine_is_not_public_whatever_it_looks_like() -> None:
    guard = Guard(["2.2.2.2"], is_own={"1.1.1.1", "2.2.2.2"}.__contains__)
    said = guard.refusal(Trust.GUEST, "hooks.example", 443, ["1.1.1.1"])
    assert said is not None
    assert said.startswith("hooks.example is at 1.1.1.1, which is an address of this machine: a URL that is not in")
    assert guard.refusal(Trust.GUEST, "hooks.example", 443, ["8.8.8.8"]) is None
    assert guard.refusal(Trust.GUEST, "hooks.example", 443, ["2.2.2.2"]) is None
    assert guard.refusal(Trust.OPERATOR, "hooks.example", 443, ["1.1.1.1"]) is None


def test_it_says_what_the_address_is() -> None:
    assert refusal(Trust.GUEST, "10.1.2.3") == (
        "hooks.example is at 10.1.2.3, which is private: "
        "a URL that is not in the file leads to public addresses, or to what --allow names"
    )
    said = refusal(Trust.OPERATOR, "169.254.169.254", host="169.254.169.254")
    assert said == "169.254.169.254 is link-local: no webhook is ever sent there"


@pytest.mark.parametrize("bad", ["10.0.0.1", "::1", "169.254.169.254"])
def test_one_bad_address_among_good_ones_refuses_the_name(bad: str) -> None:
    assert refusal(Trust.GUEST, "1.1.1.1", bad) is not None
    assert refusal(Trust.GUEST, bad, "1.1.1.1") is not None


@pytest.mark.parametrize(
    ("allow", "host", "address", "is_let_in"),
    [
        ("10.0.0.0/8", "hooks.example", "10.1.2.3", True),
        ("10.0.0.0/8", "hooks.example", "192.168.0.1", False),
        ("10.1.2.3", "hooks.example", "10.1.2.3", True),
        ("fd00::/8", "hooks.example", "fd00::1", True),
        ("127.0.0.1", "hooks.example", "::ffff:127.0.0.1", False),
        ("hooks.example", "hooks.example", "10.1.2.3", True),
        ("Hooks.Example.", "HOOKS.example", "10.1.2.3", True),
        ("hooks.example", "a.hooks.example", "10.1.2.3", False),
        ("hooks.example", "hooks.example.", "10.1.2.3", True),
        ("*.example", "hooks.example", "10.1.2.3", True),
        ("*.example", "example", "10.1.2.3", False),
        ("*.example", "evilexample", "10.1.2.3", False),
        ("localhost", "localhost", "127.0.0.1", True),
    ],
)
def test_the_operator_may_let_guests_in(allow: str, host: str, address: str, is_let_in: bool) -> None:
    assert (refusal(Trust.GUEST, address, host=host, allow=(allow,)) is None) is is_let_in


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/33", "10.0.0.1/8", "1.2.3", "unix:/run/x.sock", "http://a", "a b", "", "/", "-a"]
)
def test_an_entry_that_is_neither_is_refused(entry: str) -> None:
    with pytest.raises(SpecError, match="--allow"):
        Guard([entry])


@pytest.mark.parametrize("entry", ["169.254.169.254", "169.254.0.0/16", "fe80::/64", "fe80::1%lo", "fd00:ec2::254"])
def test_an_entry_that_could_never_count_is_refused(entry: str) -> None:
    with pytest.raises(SpecError, match="no webhook is ever sent there"):
        Guard([entry])


def test_every_way_to_carry_an_ipv4_address_is_opened() -> None:
    for text in ("::1.2.3.4", "::ffff:1.2.3.4", "::ffff:0:1.2.3.4", "64:ff9b::1.2.3.4", "64:ff9b:1:2:3:4:1.2.3.4"):
        assert ip_address("1.2.3.4") in embedded(ip_address(text)), text
    for text in ("2002:102:304::", "2a00::5efe:102:304", "2a00::200:5efe:102:304", "2001:0:102:304::"):
        assert ip_address("1.2.3.4") in embedded(ip_address(text)), text
    for text in ("64:ff9b:1:102:3:400::", "64:ff9b:1:aa01:2:304::", "64:ff9b:1:aaaa:1:203:400:0"):
        assert ip_address("1.2.3.4") in embedded(ip_address(text)), text
    assert embedded(ip_address("1.2.3.4")) == ()
    assert embedded(ip_address("2606:4700::1111")) == ()


@pytest.mark.parametrize(
    ("host", "address", "words"),
    [
        ("127.0.0.1", "127.0.0.1", None),
        ("localhost", "::1", None),
        ("hooks.internal", "10.9.9.9", None),
        ("10.1.2.3", "10.1.2.3", None),
        ("10.2.0.1", "10.2.0.1", "is not among what requests are sent on to"),
        ("example.com", "93.184.215.14", "example.com is at 93.184.215.14, which is not among"),
        ("hooks.internal", "169.254.169.254", "link-local"),
        ("x", "::ffff:169.254.169.254", "link-local"),
        ("x", "::ffff:127.0.0.1", "not among"),
    ],
)
def test_where_only_what_is_named_may_be_reached_the_public_may_not(host: str, address: str, words: str | None) -> None:
    guard = Guard(["127.0.0.0/8", "::1", "10.1.0.0/16", "hooks.internal"])
    told = guard.refusal_of_unnamed(host, [address])

    assert told is None if words is None else words in str(told)
