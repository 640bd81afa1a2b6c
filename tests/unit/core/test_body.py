"""The seed's body, byte for byte."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.body import Told, body_of, cloudevent, cortex_body, event_of
from ringback.core.clock import HandWound
from ringback.core.spec import BodyFormat, Event
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


def told(event: Event = Event.COMPLETED) -> Told:
    return Told(event=event, message_id="msg_1", api="iris", workload_id="w1", at=AT)


def test_the_standard_envelope_carries_the_same_body_as_its_data() -> None:
    outcome = Completed(result=b"[1]")
    assert body_of(BodyFormat.STANDARD, told(), outcome) == (
        b'{"type":"workload.completed","timestamp":"2023-11-14T22:13:20.000000+00:00","data":'
        + cortex_body("w1", outcome, AT)
        + b"}"
    )


def test_a_structured_cloudevent_has_the_attributes_beside_the_same_data() -> None:
    outcome = Failed(type="E", message="m")
    event = json.loads(body_of(BodyFormat.CLOUDEVENTS, told(Event.FAILED), outcome))
    assert event == {
        "specversion": "1.0",
        "id": "msg_1",
        "source": "/iris",
        "type": "ringback.workload.failed",
        "subject": "w1",
        "time": "2023-11-14T22:13:20.000000+00:00",
        "datacontenttype": "application/json",
        "data": json.loads(cortex_body("w1", outcome, AT)),
    }
    assert cloudevent("msg_1", "iris", "w1", Event.FAILED).items() <= event.items()


@given(st.sampled_from(BodyFormat), st.text(st.characters(exclude_categories=())), st.text())
def test_whatever_happened_can_be_told_in_every_format(form: BodyFormat, message: str, workload_id: str) -> None:
    facts = Told(event=Event.FAILED, message_id="msg_1", api="iris", workload_id=workload_id, at=AT)
    body = json.loads(body_of(form, facts, Failed(type="E", message=message)))
    assert (body.get("data") or body)["error"]["message"] == message
