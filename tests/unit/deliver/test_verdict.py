"""What one attempt means: a table of cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.core.clock import SECOND, Instant
from ringback.core.delivery import TRIAL_API, Attempt, AttemptClass, Delivered, Park, Trace, TryAgain, Verdict
from ringback.core.spec import Endpoint
from ringback.deliver.answer import Answer, Exchange, NoAnswer
from ringback.deliver.verdict import attempt_of, judge
from unit.deliver.test_request import delivery

NOW = Instant(1_700_000_000 * SECOND)
ENDPOINT = Endpoint(key="iris", url="http://127.0.0.1:1/", retry_seconds=(5, 300, 1_800))
REFUSED = NoAnswer(outcome=AttemptClass.REFUSED, detail="cannot be reached")


def verdict(
    result: Answer | NoAnswer, *, number: int = 1, chance: float = 0.0, endpoint: Endpoint = ENDPOINT, **what: Any
) -> Verdict:
    exchange, attempted = Exchange(result=result, duration_us=5, address=None), replace(delivery(), **what)
    return judge(endpoint, attempted, attempt_of(number, NOW, exchange), exchange, now=NOW, chance=chance)


def again(seconds: float) -> TryAgain:
    return TryAgain(wait_seconds=pytest.approx(seconds))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    assert verdict(Answer(status=status)) == Delivered()


@pytest.mark.parametrize("status", [199, 300, 301, 400, 401, 404, 409, 429, 500, 502, 503, 504])
def test_any_other_answer_is_tried_again(status: int) -> None:
    assert verdict(Answer(status=status)) == again(5)


def test_no_answer_is_tried_again() -> None:
    assert verdict(REFUSED) == again(5)


@pytest.mark.parametrize("number", [1, 4])
def test_gone_is_the_endpoints_end_and_not_the_deliverys(number: int) -> None:
    assert verdict(Answer(status=410), number=number) == again(0)


@pytest.mark.parametrize("status", [410, 500])
def test_a_trial_is_over_with_its_first_attempt(status: int) -> None:
    reason = f"its only attempt failed: answered {status}"
    assert verdict(Answer(status=status), api=TRIAL_API) == Park(reason=reason)


def test_after_a_replay_the_schedule_begins_anew() -> None:
    assert verdict(REFUSED, number=5, base=4) == again(5)
    assert verdict(REFUSED, number=6, base=4) == again(300)
    assert isinstance(verdict(REFUSED, number=8, base=4), Park)


def test_the_first_wait_is_exact_and_later_ones_are_spread() -> None:
    assert verdict(REFUSED, number=1, chance=0.99) == again(5)
    assert verdict(REFUSED, number=2, chance=0.0) == again(300)
    assert verdict(REFUSED, number=2, chance=0.5) == again(315)
    assert verdict(REFUSED, number=3, chance=1.0) == again(1_980)


def test_the_end_of_the_schedule_parks_with_the_last_reason() -> None:
    assert verdict(REFUSED, number=4) == Park(reason="all 4 attempts failed; the last one: cannot be reached")
    once = Endpoint(key="once", url="http://127.0.0.1:1/", retry_seconds=())
    assert verdict(REFUSED, endpoint=once) == Park(reason="its only attempt failed: cannot be reached")


def test_the_interfaces_schedule_is_ten_attempts_over_75_hours() -> None:
    default = Endpoint(key="iris", url="http://127.0.0.1:1/")
    waits = [verdict(REFUSED, number=number, endpoint=default) for number in range(1, 11)]

    assert isinstance(waits[9], Park)
    assert sum(each.wait_seconds for each in waits if isinstance(each, TryAgain)) == 75 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("1", 5),  # never sooner than the schedule
        ("999999999999", 86_400),
        ("00000000000600", 600),
        ("Mon, 01 Jan 2035 00:00:00 GMT", 86_400),
        ("Tue, 14 Nov 2023 22:23:20 +" + "9" * 40, 5),
        ("Tue, 14 Nov 2023 " + "9" * 40 + ":23:20 GMT", 5),
        ("Tue, 14 Nov 2023 22:23:20 GMT", 600),
        ("Tue, 14 Nov 2023 22:23:20", 600),
        ("Tue, 14 Nov 2023 23:23:20 +0100", 600),
        ("Tue, 14 Nov 2000 22:13:20 GMT", 5),
        ("soon", 5),
        ("-5", 5),
        ("", 5),
        ("²", 5),
    ],
)
def test_retry_after_in_both_forms_makes_a_wait_longer(header: str, seconds: float) -> None:
    assert verdict(Answer(status=503, retry_after=header)) == again(seconds)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(status=500, excerpt=b"oh  no\n\xff"), "answered 500: oh no \ufffd"),
        (Answer(status=404), "answered 404"),
        (Answer(status=302, location="http://10.0.0.1/x"), "answered 302, a redirect to http://10.0.0.1/x"),
    ],
)
def test_a_failed_answer_is_put_into_a_sentence(answer: Answer, sentence: str) -> None:
    attempt = attempt_of(3, NOW, Exchange(result=answer, duration_us=7, address="127.0.0.1:1"))

    assert (attempt.detail or "").startswith(sentence)
    assert attempt == Attempt(
        number=3,
        started_at=NOW,
        duration_us=7,
        outcome=AttemptClass.STATUS,
        status=answer.status,
        detail=attempt.detail,
        address="127.0.0.1:1",
        trace=Trace(excerpt=answer.excerpt),
    )
