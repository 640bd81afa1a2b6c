"""The seed's body, byte for byte."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.body import cortex_body, event_of
from ringback.core.clock import HandWound
from ringback.core.spec import Event
from ringback.core.workload import Completed, Failed

AT = HandWound().now()


def test_a_completed_workloads_body() -> None:
    outcome = Completed(result=b'{"label": "setosa"}')
    assert event_of(outcome) is Event.COMPLETED
    assert cortex_body("w1", outcome, AT) == (
        b'{"id":"w1","status":"completed","result":{"label": "setosa"},"timestamp":"2023-11-14T22:13:20.000000+00:00"}'
    )


def test_a_failed_workloads_body() -> None:
    outcome = Failed(type="ValueError", message='not "a" flower')
    assert event_of(outcome) is Event.FAILED
    assert cortex_body("w1", outcome, AT) == (
        b'{"id":"w1","status":"failed","error":{"type":"ValueError","message":"not \\"a\\" flower"}}'
    )


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_whatever_an_exception_says_its_body_is_json(kind: str, message: str) -> None:
    body = json.loads(cortex_body("w1", Failed(type=kind, message=message), AT))
    assert body == {"id": "w1", "status": "failed", "error": {"type": kind, "message": message}}
