"""Links that open a result without an API key: only as they were made, and only for a while."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from ringback.core.clock import SECOND, HandWound, after
from ringback.core.errors import LinkRefused
from ringback.core.links import check_link, signed_link

KEY = b"k" * 32
PATH = "/-/results/iris/w1"
NOW = HandWound().now()
QUERY = dict(parse_qsl(urlsplit(signed_link("https://hooks.example", PATH, KEY, after(NOW, 60))).query))


def test_a_link_holds_until_it_expires() -> None:
    check_link(PATH, QUERY, KEY, NOW)
    check_link(PATH, QUERY, KEY, after(NOW, 59))
    with pytest.raises(LinkRefused, match="expired"):
        check_link(PATH, QUERY, KEY, after(NOW, 60))


def test_it_stands_under_the_base() -> None:
    assert signed_link("https://hooks.example/rb", PATH, KEY, NOW).startswith(
        f"https://hooks.example/rb/-/results/iris/w1?expires={NOW // SECOND}&signature="
    )


@pytest.mark.parametrize(
    ("path", "changed", "key"),
    [
        ("/-/results/iris/w2", {}, KEY),
        (PATH, {"expires": str(int(QUERY["expires"]) + 1)}, KEY),
        (PATH, {"signature": QUERY["signature"][:-1]}, KEY),
        (PATH, {"signature": "ü"}, KEY),
        (PATH, {"signature": ""}, KEY),
        (PATH, {"expires": "later"}, KEY),
        (PATH, {"expires": ""}, KEY),
        (PATH, {}, b"another" * 5),
    ],
)
def test_whatever_is_changed_is_seen(path: str, changed: dict[str, str], key: bytes) -> None:
    with pytest.raises(LinkRefused):
        check_link(path, QUERY | changed, key, NOW)
