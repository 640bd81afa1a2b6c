"""What a member knows of registered endpoints, in whatever order it hears of them."""

from __future__ import annotations

from ringback.core.clock import Instant
from ringback.core.registration import Registration
from ringback.core.spec import Endpoint
from ringback.store.registry import Registry


def made(key: str, url: str = "https://a.example/") -> Registration:
    return Registration(endpoint=Endpoint(key=key, url=url), created_at=Instant(1))


def test_changes_of_ones_own_are_known_without_a_gap() -> None:
    registry = Registry()
    for revision in (1, 2, 3):
        assert registry.learn(revision, f"ep_{revision}", made(f"ep_{revision}"))
    assert registry.revision == 3


def test_a_gap_is_looked_at_again_and_nothing_is_told_twice() -> None:
    registry = Registry()
    assert registry.learn(3, "ep_3", made("ep_3"))
    assert registry.revision == 0, "1 and 2 are others', and still to be read"
    assert registry.learn(2, "ep_2", made("ep_2"))
    assert not registry.learn(3, "ep_3", made("ep_3"))
    registry.catch_up(3)
    assert (registry.revision, [each.endpoint.key for each in registry.all()]) == (3, ["ep_2", "ep_3"])


def test_what_was_read_earlier_does_not_replace_what_is_known_since() -> None:
    registry = Registry()
    assert registry.learn(7, "ep_1", made("ep_1", "https://new.example/"))
    assert not registry.learn(5, "ep_1", made("ep_1", "https://old.example/"))
    assert registry.learn(8, "ep_1", None)
    assert not registry.learn(7, "ep_1", made("ep_1"))
    assert registry.get("ep_1") is None
    assert registry.told_of("iris") == ()
