"""What the acceptance tests serve: a folder with a predictor and a `ringback.yaml`, made for one test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

SECRET: Final = "whsec_YWNjZXB0YW5jZS10ZXN0cy1vbmx5LTAx"

ECHO: Final = '''
import math
import time


class PythonPredictor:
    """Returns its payload, unless the payload asks for something else."""

    def __init__(self, config):
        self.config = config

    def predict(self, payload):
        asked = payload if isinstance(payload, dict) else {}
        time.sleep(asked.get("sleep", 0))
        if "raise" in asked:
            raise ValueError(asked["raise"])
        if "odd" in asked:
            return {"nan": math.nan, "bytes": b"x", "object": object()}[asked["odd"]]
        return payload
'''


def folder_of(
    folder: Path, *, predictor: str = ECHO, webhook: str | None = None, retry: Sequence[str] = ("1s",) * 30, **more: Any
) -> Path:
    """Write `predictor.py` and a `ringback.yaml` that serves it as `echo`; returns the latter's path.

    Args:
        folder: made if it is not there.
        predictor: the source of `predictor.py`.
        webhook: where to ring, signed with `SECRET`; nowhere by default.
        retry: the webhook's schedule.
        more: further keys of the API.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictor.py").write_text(predictor)
    api: dict[str, Any] = {"name": "echo", "kind": "AsyncAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    if webhook is not None:
        api["webhook"] = {"url": webhook, "secret": SECRET, "retry": list(retry)}
    return file_of(folder, api | more)


def file_of(folder: Path, *apis: Mapping[str, Any]) -> Path:
    """Write a `ringback.yaml` of these APIs; JSON is YAML."""
    file = folder / "ringback.yaml"
    file.write_text(json.dumps(apis, indent=2))
    return file
