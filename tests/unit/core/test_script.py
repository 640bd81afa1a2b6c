"""Scripts: which step answers which request, and what is refused in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringback.core.errors import InvalidPayload
from ringback.core.script import Act, Step, as_json, script_of, step_for, told


@pytest.mark.parametrize(
    ("script", "statuses"),
    [
        ([], [200, 200]),
        ([{"status": 500, "times": 2}], [500, 500, 200, 200]),
        ([{"status": 500, "times": 1}, {"status": 429, "times": 2}, {"status": 204}], [500, 429, 429, 204, 204]),
        ([{"status": 503}, {"status": 200}], [503, 503]),
    ],
)
def test_steps_are_played_one_after_the_other(script: list[Any], statuses: list[int]) -> None:
    played = script_of(script)

    assert [step_for(played, nth).status for nth in range(1, len(statuses) + 1)] == statuses


def test_a_script_is_read_as_it_was_written() -> None:
    script = (
        Step(act=Act.ANSWER, times=3, status=429, headers=(("Retry-After", "30"), ("X-A", "1"), ("X-A", "2"))),
        Step(act=Act.DRIP, body="slow ünd", bytes_per_second=9, delay_seconds=1.5),
        *(Step(act=act) for act in Act),
    )

    assert script_of(json.loads(json.dumps(as_json(script)))) == script
    assert script_of({"do": "hang"}) == (Step(act=Act.HANG),)
    assert script_of([{"headers": {"X-A": "1"}}])[0].headers == (("X-A", "1"),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("500", "no list of steps"),
        (3, "no list of steps"),
        ([{}] * 21, "21 steps; at most 20"),
        ([5], "step 1 of the script is no JSON object"),
        ([{}, {"state": 5}], "step 2 of the script has an unknown key 'state'; known are body"),
        ([{"do": "explode"}], "do='explode' is none of answer, hang"),
        ([{"times": 0}], "times='0' is no whole number from 1"),
        ([{"times": True}], "times='True' is no whole number"),
        ([{"status": 199}], "status='199' is no whole number from 200 to 599"),
        ([{"status": "500"}], "status='500'"),
        ([{"headers": "X"}], "headers is no object"),
        ([{"headers": [["a", "b"]] * 51}], "at most 50"),
        ([{"headers": [["a"]]}], "a header is a name and a value"),
        ([{"headers": {"a": 1}}], "both text"),
        ([{"headers": {"a b": "1"}}], "'a b' is no header name"),
        ([{"headers": {"a": "1\r\nb: 2"}}], "no header can carry"),
        ([{"headers": {"Content-Length": "1"}}], "follows from the body"),
        ([{"body": 5}], "the body is no text"),
        ([{"body": "x" * 70_000}], "at most 65536 bytes"),
        ([{"delay": "soon"}], "delay: 'soon' is no duration"),
        ([{"delay": "1h"}], "a delay of 1h is over 300 s"),
        ([{"bytes_per_second": 0}], "bytes_per_second='0'"),
    ],
)
def test_what_is_no_script_is_refused_with_the_step_and_the_key(value: object, message: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        script_of(value)

    assert message in str(refused.value)


def test_every_act_has_its_words() -> None:
    assert len({told(Step(act=act)) for act in Act}) == len(Act)
    assert told(Step(status=500, delay_seconds=2)) == "after 2s, answer 500"
