"""The names a server goes by."""

from __future__ import annotations

import pytest

from ringback.core.hosts import host_name, is_loopback, own_hosts


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8080", "localhost"),
        ("LOCALHOST", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("hooks.example.", "hooks.example"),
        ("", ""),
        ("evil.example:8080", "evil.example"),
        ("[", ""),
    ],
)
def test_a_name_is_what_stands_before_the_port(header: str, name: str) -> None:
    assert host_name(header) == name


def test_on_loopback_a_server_goes_by_its_own_names_alone() -> None:
    assert own_hosts("127.0.0.1", "", ()) == {"localhost", "127.0.0.1", "::1"}
    told = own_hosts("127.0.0.5", "https://hooks.example:444/x", ["rb.internal"])
    assert told == {"localhost", "127.0.0.1", "::1", "127.0.0.5", "hooks.example", "rb.internal"}


def test_elsewhere_it_goes_by_any() -> None:
    assert own_hosts("0.0.0.0", "", ()) is None
    assert not is_loopback("example.com")
