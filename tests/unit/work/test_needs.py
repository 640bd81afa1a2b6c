"""What a replica asks of a node, in the words that say why it is not placed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.core.spec import Api, Compute, Predictor
from ringback.work.cluster.engine import needs_of

REQUIREMENTS = Path("api/requirements.txt")


@pytest.mark.parametrize(
    ("compute", "requirements", "words"),
    [
        (Compute(), None, "nothing"),
        (Compute(cpu=0.5, gpu=1, mem_bytes=2**20), None, "compute.cpu 0.5, compute.gpu 1, compute.mem 1MiB"),
        (Compute(), REQUIREMENTS, "the packages of requirements.txt, which are installed there first"),
        (
            Compute(cpu=2.0),
            REQUIREMENTS,
            "compute.cpu 2.0, the packages of requirements.txt, which are installed there first",
        ),
    ],
)
def test_all_that_it_asks_for_is_named(compute: Compute, requirements: Path | None, words: str) -> None:
    predictor = Predictor(path=Path("p.py"), requirements=requirements)
    assert needs_of(Api(name="iris", endpoint="iris", predictor=predictor, compute=compute)) == words
