"""How long an attempt may run: the API's word, and a shorter one that came with the submit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ringback.core.clock import Instant
from ringback.core.spec import Api, Predictor
from ringback.core.workload import Claimed, Held
from ringback.work.limits import run_limit

API = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("p.py")), timeout_seconds=600)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600),
        ({"ringback-timeout": "90s"}, 90),
        ({"ringback-timeout": "250ms"}, 0.25),
        ({"ringback-timeout": "1h"}, 600),
        ({"ringback-timeout": "soon"}, 600),
        ({"x": '"ringback-timeout"'}, 600),
    ],
)
def test_the_shorter_one_counts(headers: dict[str, str], seconds: float) -> None:
    claimed = Claimed(
        held=Held(seq=1, api="iris", id="w1", attempt=1),
        payload=b"",
        content_type="x/y",
        headers=json.dumps(headers).encode(),
        trace_id=None,
        raised=0,
        losses=0,
        submitted_at=Instant(0),
    )
    assert run_limit(API, claimed) == seconds
