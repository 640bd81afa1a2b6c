"""Taking the address: one that cannot be had is told with what to do."""

from __future__ import annotations

import socket

import pytest

from ringback.core.errors import RingbackError
from ringback.runtime.http import listen, local_url_of, url_of


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("localhost", socket.AF_INET)])
def test_any_free_port_is_taken_and_listened_on(host: str, family: socket.AddressFamily) -> None:
    with listen(host, 0) as listener:
        assert listener.family == family
        assert listener.getblocking() is False
        with socket.create_connection(listener.getsockname()[:2], timeout=5):
            pass


def test_a_port_that_is_taken_is_named_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RingbackError) as refused:
            listen("127.0.0.1", port)

    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1:{port} (address already in use): stop what listens there, or choose another --port"
    )


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "nowhere.invalid"])
def test_a_host_that_is_none_is_named(host: str) -> None:
    with pytest.raises(RingbackError, match=r"--host .* is no address of this machine"):
        listen(host, 0)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(RingbackError, match=r"cannot listen on 192\.0\.2\.1:0 \(cannot assign requested address\)"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "everywhere", "here"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
        pytest.param("::", "[::]", "[::1]", marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")),
    ],
)
def test_who_listens_everywhere_is_reached_here(host: str, everywhere: str, here: str) -> None:
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://{everywhere}:{port}"
        assert local_url_of(listener) == f"http://{here}:{port}"
