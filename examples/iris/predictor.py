"""Names an iris by its measures. Served as it stands by `ringback serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import joblib

MEASURES: Final = ("sepal_length", "sepal_width", "petal_length", "petal_width")


class PythonPredictor:
    """Loads the model once per replica, then names one flower per workload."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.model = joblib.load(Path(__file__).with_name(config["model"]))

    def predict(self, payload: Any) -> dict[str, Any]:
        """The species, and how likely each one is.

        Raises:
            ValueError: the payload is no flower; the message says what one is.
        """
        [shares] = self.model.predict_proba([measures_of(payload)])
        probabilities = {
            str(name): round(float(share), 4) for name, share in zip(self.model.classes_, shares, strict=True)
        }
        return {"label": max(probabilities, key=lambda name: probabilities[name]), "probabilities": probabilities}


def measures_of(payload: Any) -> list[float]:
    """The four measures in the model's order."""
    try:
        return [float(payload[name]) for name in MEASURES]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a flower has the numbers {', '.join(MEASURES)}; got {payload!s:.80}") from error
