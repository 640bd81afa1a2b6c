"""Wrong keys: so many at once, then a pace; for each address and for all; memory that stays bounded."""

from __future__ import annotations

import pytest

from ringback.core.clock import HandWound
from ringback.pages.throttle import MOST_ADDRESSES, OF_ALL, OF_ONE, Tries, network_of


def test_an_address_has_so_many_at_once_and_then_a_pace() -> None:
    clock = HandWound()
    tries = Tries(clock)
    for _ in range(OF_ONE.at_once):
        assert tries.wait_seconds("10.0.0.1") == 0
        tries.failed("10.0.0.1")
    assert tries.wait_seconds("10.0.0.1") == OF_ONE.seconds
    assert tries.wait_seconds("10.0.0.2") == 0
    clock.wind(OF_ONE.seconds - 1)
    assert tries.wait_seconds("10.0.0.1") == 1
    clock.wind(1)
    assert tries.wait_seconds("10.0.0.1") == 0
    tries.failed("10.0.0.1")
    assert tries.wait_seconds("10.0.0.1") == OF_ONE.seconds


def test_after_a_while_all_is_forgotten() -> None:
    clock = HandWound()
    tries = Tries(clock)
    for _ in range(OF_ONE.at_once):
        tries.failed("10.0.0.1")
    clock.wind(OF_ONE.at_once * OF_ONE.seconds)
    for _ in range(OF_ONE.at_once):
        assert tries.wait_seconds("10.0.0.1") == 0
        tries.failed("10.0.0.1")
    assert tries.wait_seconds("10.0.0.1") > 0


def test_all_addresses_together_have_a_pace_too() -> None:
    clock = HandWound()
    tries = Tries(clock)
    for number in range(OF_ALL.at_once):
        assert tries.wait_seconds("10.9.9.9") == 0
        tries.failed(f"10.0.{number // 250}.{number % 250}")
    assert tries.wait_seconds("10.9.9.9") == 1
    clock.wind(OF_ALL.seconds)
    assert tries.wait_seconds("10.9.9.9") == 0


def test_the_right_key_forgives_its_address_and_no_other() -> None:
    tries = Tries(HandWound())
    for _ in range(OF_ONE.at_once):
        tries.failed("10.0.0.1")
        tries.failed("10.0.0.2")
    tries.worked("10.0.0.1")
    assert tries.wait_seconds("10.0.0.1") == 0
    assert tries.wait_seconds("10.0.0.2") > 0


def test_however_many_addresses_fail_memory_stays_bounded() -> None:
    tries = Tries(HandWound())
    for number in range(MOST_ADDRESSES * 3):
        tries.failed(f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}")
    assert len(tries._addresses) == MOST_ADDRESSES
    assert tries.wait_seconds("192.0.2.1") > 100, "those forgotten are held up by the pace of all"


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "x" * 100, False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, are_one: bool) -> None:
    assert (network_of(one) == network_of(other)) is are_one
