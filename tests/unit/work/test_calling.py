"""From a payload to what predict is given, and from what it returned to what is stored."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.clock import SystemClock, isoformat
from ringback.work.child import wire
from ringback.work.child.calling import Call
from ringback.work.child.context import Line, MetricsClient, Workload
from ringback.work.child.payloads import decode
from ringback.work.child.results import NotSerializable, encode
from ringback.work.child.spool import Spool
from ringback.work.child.wire import Frames, Kind, Work

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def work(payload: bytes = b'{"n": 1}', content_type: str = "application/json") -> Work:
    return Work(
        number=7, attempt=2, timeout=60.0, id="w1", content_type=content_type, headers=b'{"x": "y"}', payload=payload
    )


def answer_of(
    predict: Callable[..., Any], *names: str, given: Work | None = None, stops: bool = False
) -> tuple[Kind, Any]:
    """What the replica answers, by `run` and by `run_task` alike; `stops` once it is told to."""
    sent: list[bytes] = []
    call = Call(
        api="iris",
        predict=predict,
        names=frozenset(names),
        send=sent.append,
        cancelled=lambda number: stops and number == 7,
    )
    with asyncio.Runner() as runner:
        one = call.run(given or work(), lambda _, awaited: runner.run(awaited))
        task = asyncio.run(call.run_task(given or work()))
    assert one == task
    [(kind, body)] = Frames().feed(one)
    number, text = wire.read_numbered(body)
    assert number == 7
    told = json.loads(text)
    if kind is Kind.FAILED:
        told.pop("kinds", None)
    return kind, told


def nobody(_: int, __: bytes) -> tuple[wire.Answer, bytes]:
    raise AssertionError("nothing is asked")


# ── Payloads ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content_type", "payload", "given_to_predict"),
    [
        ("application/json", b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("application/json; charset=utf-8", b"12345678901234567890", 12345678901234567890),
        ("application/vnd.flower+json", b'"setosa"', "setosa"),
        ("text/plain", "grün".encode(), "grün"),
        ("Text/Plain; charset=latin-1", "grün".encode("latin-1"), "grün"),
        ('text/plain; charset="utf-16"', "grün".encode("utf-16"), "grün"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("application/x-www-form-urlencoded", b"a=1", b"a=1"),
    ],
)
def test_a_payload_by_its_content_type(content_type: str, payload: bytes, given_to_predict: Any) -> None:
    assert decode(content_type, payload) == given_to_predict


# ── Results ─────────────────────────────────────────────────────────────────────────────────────


@given(JSON)
def test_whatever_is_json_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(encode(value)) == value


class Flower:
    """Has no JSON form."""


LOOP: list[Any] = []
LOOP.append({"again": LOOP})
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "$ is nan, which JSON does not know"),
        ({"scores": [0.5, math.inf]}, "$.scores[1] is inf, which JSON does not know"),
        ({"image": b"\x89PNG"}, "$.image is a bytes, which has no JSON form; return plain values instead"),
        (b"\x89PNG", "$ is a bytes, which has no JSON form; return plain values instead, or workload.result_from("),
        ([datetime(2026, 1, 1, tzinfo=UTC)], "$[0] is a datetime.datetime, which has no JSON form"),
        (Flower(), "Flower, which has no JSON form"),
        ({1, 2}, "$ is a set, which has no JSON form"),
        ({(1, 2): "x"}, "$ has the key (1, 2) of type tuple; keys are strings in JSON"),
        (LOOP, "$[0].again contains itself"),
        (DEEP, "is nested too deeply"),
    ],
    ids=["nan", "inf", "bytes", "all bytes", "datetime", "object", "set", "key", "loop", "deep"],
)
def test_what_has_no_json_form_is_said_with_its_place(value: Any, sentence: str) -> None:
    with pytest.raises(NotSerializable) as refused:
        encode(value)
    assert sentence in str(refused.value)


def test_a_lone_surrogate_is_escaped() -> None:
    assert encode("\ud800") == b'"\\ud800"'


# ── Calls ───────────────────────────────────────────────────────────────────────────────────────


def test_a_plain_predict() -> None:
    assert answer_of(lambda payload, request_id: [payload, request_id], "payload", "request_id") == (
        Kind.DONE,
        [{"n": 1}, "w1"],
    )


def test_headers_and_the_workload() -> None:
    before = datetime.fromisoformat(isoformat(SystemClock().now()))

    def predict(headers: dict[str, str], workload: Workload) -> list[Any]:
        assert before + timedelta(seconds=60) <= workload.deadline <= before + timedelta(seconds=70)
        return [headers, workload.id, workload.api, workload.attempt, workload.cancelled, workload.file]

    for stops in (False, True):
        told = answer_of(predict, "headers", "workload", stops=stops)
        assert told == (Kind.DONE, [{"x": "y"}, "w1", "iris", 2, stops, None])


def test_a_coroutine_a_generator_and_both_at_once() -> None:
    async def later(payload: dict[str, int]) -> int:
        await asyncio.sleep(0)
        return payload["n"]

    def several() -> Iterator[int]:
        yield 1
        yield 2

    async def several_later() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        yield 2

    assert answer_of(later, "payload") == (Kind.DONE, 1)
    assert answer_of(several) == (Kind.DONE, [1, 2])
    assert answer_of(several_later) == (Kind.DONE, [1, 2])


class NoWords(Exception):
    """Cannot even say what is wrong."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("not a flower"), {"type": "ValueError", "message": "not a flower"}),
        (SystemExit(3), {"type": "SystemExit", "message": "3"}),
        (KeyError("petal"), {"type": "KeyError", "message": "'petal'"}),
        (NoWords(), {"type": "NoWords", "message": "(the exception has no readable message)"}),
        (ValueError("x" * 10_000), {"type": "ValueError", "message": "x" * 8_192}),
    ],
    ids=["ValueError", "SystemExit", "KeyError", "no words", "many words"],
)
def test_raising_is_a_failure_with_type_and_message(error: BaseException, told: dict[str, str]) -> None:
    def predict() -> None:
        raise error

    assert answer_of(predict) == (Kind.FAILED, told)


def test_each_yielded_value_is_told_at_once() -> None:
    sent: list[bytes] = []

    def predict() -> Iterator[object]:
        yield {"part": 1}
        assert len(sent) == 1
        yield None

    async def awaited() -> AsyncIterator[object]:
        for value in predict():
            yield value

    for method in (predict, awaited):
        sent.clear()
        call = Call(api="iris", predict=method, names=frozenset(), send=sent.append, cancelled=lambda number: False)
        with asyncio.Runner() as runner:
            answer = call.run(work(), lambda _, awaited: runner.run(awaited))
        assert answer == wire.numbered_frame(Kind.DONE, 7, b'[{"part":1},null]')
        frames = [wire.read_output(body) for _, body in Frames().feed(b"".join(sent))]
        assert frames == [(7, 0, b'{"part":1}'), (7, 1, b"null")]


@pytest.mark.parametrize("value", [1, "x" * 10_000], ids=["many", "large"])
def test_of_very_many_only_the_first_are_told_unless_somebody_wants_them_all(value: object) -> None:
    count = wire.MOST_OUTPUTS + 10

    def predict() -> Iterator[object]:
        for _ in range(count):
            yield value

    for wants in (False, True):
        sent: list[bytes] = []
        call = Call(api="iris", predict=predict, names=frozenset(), send=sent.append, cancelled=lambda number: False)
        with asyncio.Runner() as runner:
            call.run(replace(work(), wants_outputs=wants), lambda _, awaited: runner.run(awaited))
        told = count if wants else min(wire.MOST_OUTPUTS, wire.MOST_OUTPUTS_BYTES // (len(encode(value)) + 1))
        assert abs(len(sent) - told) <= 1


def test_a_yielded_value_that_is_no_json_names_its_place() -> None:
    def predict() -> Iterator[object]:
        yield 1
        yield {"a": math.nan}

    kind, told = answer_of(predict)
    assert kind is Kind.FAILED
    assert told["type"] == "result_not_serializable"
    assert told["message"].startswith("$[1].a is nan")


def test_raising_half_way_through_a_generator_is_a_failure() -> None:
    def predict() -> Iterator[int]:
        yield 1
        raise ValueError("half way")

    assert answer_of(predict) == (Kind.FAILED, {"type": "ValueError", "message": "half way"})


def test_a_result_without_json_form_is_a_failure_of_its_own_type() -> None:
    kind, told = answer_of(lambda: math.nan)
    assert (kind, told["type"]) == (Kind.FAILED, "result_not_serializable")


def test_a_payload_that_is_not_what_it_says_is_a_failure() -> None:
    kind, told = answer_of(lambda payload: payload, "payload", given=work(b"{"))
    assert (kind, told["type"]) == (Kind.FAILED, "JSONDecodeError")


# ── What predict may say meanwhile ──────────────────────────────────────────────────────────────


def test_progress_is_sent_and_checked() -> None:
    sent: list[bytes] = []
    workload = Workload("iris", work(), Line(send=sent.append, cancelled=lambda _: False, ask=nobody), Spool())
    workload.progress(0.5, "half")
    workload.progress(1)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            workload.progress(wrong)
    with pytest.raises(TypeError, match="progress is a fraction from 0 to 1, not 'half'"):
        workload.progress("half")  # type: ignore[arg-type] # as somebody may
    told = [wire.read_progress(body) for frame in sent for _, body in Frames().feed(frame)]
    assert told == [(7, 0.5, "half"), (7, 1.0, None)]


def test_only_an_attempt_that_may_have_a_checkpoint_asks_for_it() -> None:
    asked: list[Kind] = []

    def ask(_: int, question: bytes) -> tuple[wire.Answer, bytes]:
        asked.extend(kind for kind, _ in Frames().feed(question))
        return (wire.Answer.DATA, b"kept") if asked[-1] is Kind.RESUME else (wire.Answer.NOTHING, b"")

    def attempt(number: int) -> Workload:
        line = Line(send=lambda _: None, cancelled=lambda _: False, ask=ask)
        return Workload("iris", replace(work(), attempt=number), line, Spool())

    first = attempt(1)
    assert (first.resume(), asked) == (None, [])
    first.checkpoint(b"kept")
    assert (first.resume(), attempt(2).resume()) == (b"kept", b"kept")
    assert asked == [Kind.CHECKPOINT, Kind.RESUME, Kind.RESUME]


def test_the_metrics_client_sends_numbers_and_labels() -> None:
    sent: list[bytes] = []
    metrics = MetricsClient(sent.append)
    metrics.increment("flowers")
    metrics.gauge("load", 0.5, {"gpu": "0"})
    metrics.histogram("petals", 3, tags={"kind": "rose"})
    told = [wire.read_object(body) for frame in sent for _, body in Frames().feed(frame)]
    assert told == [
        {"kind": "increment", "name": "flowers", "value": 1.0, "labels": {}},
        {"kind": "gauge", "name": "load", "value": 0.5, "labels": {"gpu": "0"}},
        {"kind": "histogram", "name": "petals", "value": 3.0, "labels": {"kind": "rose"}},
    ]


def test_a_failure_is_told_by_every_name_it_has() -> None:
    class Mine(ConnectionResetError):
        pass

    def predict() -> None:
        raise Mine

    call = Call(api="iris", predict=predict, names=frozenset(), send=lambda _: None, cancelled=lambda _: False)
    [(_, body)] = Frames().feed(call.run(work(), lambda _, awaited: awaited))
    kinds = json.loads(wire.read_numbered(body)[1])["kinds"]
    assert {"Mine", "ConnectionResetError", "OSError", "builtins.OSError", "Exception"} <= set(kinds)


def test_a_generator_is_closed_when_it_is_to_end() -> None:
    closed: list[str] = []

    def predict() -> Iterator[int]:
        try:
            yield from range(1_000)
        finally:
            closed.append("plain")

    async def predict_later() -> AsyncIterator[int]:
        try:
            for number in range(1_000):
                yield number
        finally:
            closed.append("async")

    for each in (predict, predict_later):
        kind, told = answer_of(each, stops=True)
        assert (kind, told["type"]) == (Kind.FAILED, "canceled")
    assert closed == ["plain", "plain", "async", "async"]
