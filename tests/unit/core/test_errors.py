"""The tree of errors: codes are public, so each stands for one thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ringback.core.errors import MethodNotAllowed, QueueFull, RingbackError, WorkloadFailed


def tree(root: type[RingbackError]) -> Iterator[type[RingbackError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def test_no_two_errors_share_a_code() -> None:
    assert {
        code: count for code, count in Counter(each.code for each in tree(RingbackError)).items() if count > 1
    } == {}


def test_every_code_is_a_word_of_a_url() -> None:
    assert all(each.code.replace("_", "").isalpha() and each.code.islower() for each in tree(RingbackError))


def test_errors_carry_what_their_answer_needs() -> None:
    assert QueueFull("no room", retry_after_seconds=7).retry_after_seconds == 7
    assert MethodNotAllowed("no", allowed=("GET",)).allowed == ("GET",)
    failed = WorkloadFailed("not a flower", type="ValueError")
    assert (str(failed), failed.type) == ("not a flower", "ValueError")
