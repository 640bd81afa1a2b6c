"""The form that submits a workload, filled with the API's sample."""

from __future__ import annotations

from typing import Final

from ringback.core.spec import Api
from ringback.dashboard.asked import Asked, Known, View

_SAMPLE: Final = "sample.json"
_SAMPLE_MOST_BYTES: Final = 256 * 1024
CONTENT_TYPES: Final = ("application/json", "text/plain")


class Submitting:
    """Makes the page with the form."""

    def __init__(self, known: Known) -> None:
        self._known = known

    async def form(self, asked: Asked) -> View:
        """An empty form for the API that is asked for, the first by default."""
        name = asked.choice("api", set(self._known.apis)) or next(iter(self._known.apis), "")
        return self.filled(name, sample_of(self._known.apis[name]) if name else "{}")

    def filled(self, name: str, payload: str, *, content_type: str = CONTENT_TYPES[0], refusal: str = "") -> View:
        """The form as somebody has left it."""
        return View(
            template="dashboard/submit.html",
            values={
                "apis": list(self._known.apis.values()),
                "api": self._known.apis.get(name),
                "payload": payload,
                "content_types": CONTENT_TYPES,
                "content_type": content_type,
                "refusal": refusal,
            },
            marks="/-/ui/submit",
        )


def sample_of(api: Api) -> str:
    """The payload to begin with: `sample.json` beside the predictor, or an empty object."""
    try:
        with api.predictor.path.with_name(_SAMPLE).open(encoding="utf-8") as file:
            return file.read(_SAMPLE_MOST_BYTES).strip()
    except (OSError, UnicodeError):
        return "{}"
