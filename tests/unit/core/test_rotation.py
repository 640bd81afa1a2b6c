"""Rotation: the old key signs on beside the new one for a day, and never longer than it was told to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import new_secret, verify
from ringback.core.clock import SECOND, HandWound, Instant, after
from ringback.core.errors import Conflict, VerificationError
from ringback.core.rotation import OVERLAP_SECONDS, EndpointKey, KeyRing, active, rotated
from ringback.core.signing import Signer
from support.signed import BODY, ID, OTHER, SECRET, headers

NOW = HandWound().now()
DAY = 86_400.0


def secrets(keys: tuple[EndpointKey, ...]) -> list[str]:
    return [key.secret for key in keys]


def test_the_old_key_signs_on_for_a_day_to_the_microsecond() -> None:
    keys = rotated([EndpointKey(secret=SECRET)], OTHER, now=NOW)

    assert OVERLAP_SECONDS == DAY
    assert keys == (EndpointKey(secret=OTHER), EndpointKey(secret=SECRET, signs_until=after(NOW, DAY)))
    assert secrets(active(keys, NOW)) == [OTHER, SECRET]
    assert secrets(active(keys, Instant(after(NOW, DAY) - 1))) == [OTHER, SECRET]
    assert secrets(active(keys, after(NOW, DAY))) == [OTHER]
    ring = KeyRing(OTHER, keys[1:])
    assert ring.sign(ID, Instant(after(NOW, DAY) - 1), BODY).count("v1,") == 2
    assert ring.sign(ID, after(NOW, DAY), BODY).count("v1,") == 1


def test_receivers_of_either_key_are_served_through_a_rotation() -> None:
    clock = HandWound()
    keys = rotated([EndpointKey(secret=SECRET)], OTHER, now=clock.now())

    for hours, old_holds in ((0, True), (23.99, True), (24, False), (80, False)):
        clock.at = after(NOW, hours * 3_600)
        stamp = clock.now() // SECOND
        told = headers(timestamp=str(stamp), signature=Signer(secrets(active(keys, clock.now()))).sign(ID, stamp, BODY))
        assert verify(BODY, told, OTHER, clock=clock)
        if old_holds:
            assert verify(BODY, told, SECRET, clock=clock)
        else:
            with pytest.raises(VerificationError, match="no signature matches"):
                verify(BODY, told, SECRET, clock=clock)


def test_a_second_rotation_puts_off_no_end_and_may_bring_it_forward() -> None:
    first = rotated([EndpointKey(secret=SECRET)], OTHER, now=NOW)
    third = new_secret()

    later = rotated(first, third, now=after(NOW, 3_600))
    assert [key.signs_until for key in later] == [None, after(NOW, 3_600 + DAY), after(NOW, DAY)]
    at_once = rotated(first, third, now=after(NOW, 3_600), overlap_seconds=0)
    assert secrets(at_once) == [third]
    much_later = rotated(first, third, now=after(NOW, DAY))
    assert secrets(much_later) == [third, OTHER]


def test_an_old_key_may_come_back_and_then_has_no_end() -> None:
    first = rotated([EndpointKey(secret=SECRET)], OTHER, now=NOW)

    back = rotated(first, SECRET, now=after(NOW, 60))
    assert back == (EndpointKey(secret=SECRET), EndpointKey(secret=OTHER, signs_until=after(NOW, 60 + DAY)))


def test_an_eleventh_key_has_to_wait() -> None:
    keys: tuple[EndpointKey, ...] = ()
    for _ in range(10):
        keys = rotated(keys, new_secret(), now=NOW)

    with pytest.raises(Conflict, match="10 keys of this endpoint sign already"):
        rotated(keys, new_secret(), now=NOW)
    assert len(rotated(keys, new_secret(), now=after(NOW, DAY))) == 2


def test_a_key_does_not_show_its_secret() -> None:
    assert SECRET not in repr(EndpointKey(secret=SECRET))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 200_000), max_size=9))
def test_there_is_always_one_key_without_end_and_it_is_the_newest(waits: list[int]) -> None:
    moment, keys = NOW, (EndpointKey(secret=SECRET),)
    for number, wait in enumerate(waits):
        moment = after(moment, wait)
        keys = rotated(keys, f"{OTHER}{number}", now=moment)
        assert keys[0] == EndpointKey(secret=f"{OTHER}{number}")
        assert all(key.signs_until is not None and moment < key.signs_until for key in keys[1:])
        assert active(keys, moment) == keys
