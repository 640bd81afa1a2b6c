"""Every event's body in every format; the seed's byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.body import Told, cloudevent, cortex_body, enveloped, event_of, without_its_value
from ringback.core.clock import HandWound
from ringback.core.spec import BodyFormat, Event
from ringback.core.workload import Canceled, Completed, Failed, News, Outcome, Output, Progress, Started

AT = HandWound().now()
WHEN = "2023-11-14T22:13:20.000000+00:00"
TOLD = Told(event=Event.COMPLETED, message_id="msg_1", api="iris", workload_id="w1", at=AT, sequence=7)


def body(happened: Outcome | News, result_url: str | None = None) -> bytes:
    return cortex_body(replace(TOLD, event=event_of(happened)), happened, result_url)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            Completed(result=b'{"label": "setosa"}'),
            b'{"id":"w1","status":"completed","result":{"label": "setosa"},"timestamp":"%b"}' % WHEN.encode(),
        ),
        (
            Failed(type="ValueError", message='not "a" flower'),
            b'{"id":"w1","status":"failed","error":{"type":"ValueError","message":"not \\"a\\" flower"}}',
        ),
        (Canceled(), b'{"id":"w1","status":"canceled"}'),
    ],
)
def test_an_outcomes_body_is_the_interfaces(outcome: Outcome, expected: bytes) -> None:
    assert body(outcome) == expected


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        (Started(), {"event": "started"}),
        (
            Progress(fraction=0.25, message='a "quarter"'),
            {"event": "progress", "progress": {"fraction": 0.25, "message": 'a "quarter"'}},
        ),
        (Progress(fraction=1.0), {"event": "progress", "progress": {"fraction": 1.0, "message": None}}),
        (Output(index=2, value=b"[1, 2]"), {"event": "output", "index": 2, "output": [1, 2]}),
    ],
)
def test_what_happens_on_the_way_says_which_event_it_is_and_its_place(news: News, expected: dict[str, object]) -> None:
    common = {"id": "w1", "status": "in_progress", "sequence": 7, "timestamp": WHEN}
    assert json.loads(body(news)) == common | expected


def test_an_output_too_large_to_be_told_leaves_its_size() -> None:
    told = json.loads(
        without_its_value(replace(TOLD, event=Event.OUTPUT), Output(index=0, value=b'"' + b"x" * 98 + b'"'))
    )
    assert told["output"] is None
    assert told["output_bytes"] == 100


def test_a_result_too_large_leaves_a_link() -> None:
    told = json.loads(body(Completed(result=b"[1]"), "https://a.test/b"))
    assert told == {"id": "w1", "status": "completed", "result_url": "https://a.test/b", "timestamp": WHEN}


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_whatever_an_exception_says_its_body_is_json(kind: str, message: str) -> None:
    told = json.loads(body(Failed(type=kind, message=message)))
    assert told == {"id": "w1", "status": "failed", "error": {"type": kind, "message": message}}


def test_the_standard_envelope_carries_the_same_body_as_its_data() -> None:
    data = body(Completed(result=b"[1]"))
    assert enveloped(BodyFormat.STANDARD, TOLD, data) == (
        b'{"type":"workload.completed","timestamp":"%b","sequence":7,"data":%b}' % (WHEN.encode(), data)
    )


def test_a_structured_cloudevent_has_the_attributes_beside_the_same_data() -> None:
    told = replace(TOLD, event=Event.FAILED)
    data = body(Failed(type="E", message="m"))
    event = json.loads(enveloped(BodyFormat.CLOUDEVENTS, told, data))
    assert event == {
        "specversion": "1.0",
        "id": "msg_1",
        "source": "/iris",
        "type": "ringback.workload.failed",
        "subject": "w1",
        "sequence": "0000000007",
        "time": WHEN,
        "datacontenttype": "application/json",
        "data": json.loads(data),
    }
    assert cloudevent(told).items() <= event.items()


def test_later_events_come_later_as_text_too() -> None:
    places = [cloudevent(replace(TOLD, sequence=number))["sequence"] for number in (1, 2, 9, 10, 11, 100, 4_000_000)]
    assert places == sorted(places)


@given(st.sampled_from(BodyFormat), st.text(st.characters(exclude_categories=())), st.text())
def test_whatever_happened_can_be_told_in_every_format(form: BodyFormat, message: str, workload_id: str) -> None:
    told = replace(TOLD, event=Event.FAILED, workload_id=workload_id)
    event = json.loads(enveloped(form, told, cortex_body(told, Failed(type="E", message=message))))
    assert (event.get("data") or event)["error"]["message"] == message
