"""Scripts that one click sets: what receivers are known to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.core.script import Act, Script, Step, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One way to answer, by a name."""

    key: str
    words: str
    script: Script


PRESETS: Final = (
    Preset(key="ok", words="200: take it", script=()),
    Preset(key="no-content", words="204: take it without a word", script=(Step(status=204),)),
    Preset(key="fail-1", words="500 once, then 200", script=(Step(status=500, times=1),)),
    Preset(key="fail-3", words="500 three times, then 200", script=(Step(status=500, times=3),)),
    Preset(key="error", words="500: always fail", script=(Step(status=500),)),
    Preset(key="unavailable", words="503: always busy", script=(Step(status=503),)),
    Preset(
        key="slow-down",
        words="429 with Retry-After: 5 once, then 200",
        script=(Step(status=429, times=1, headers=(("Retry-After", "5"),)),),
    ),
    Preset(key="bad-request", words="400: refuse it", script=(Step(status=400),)),
    Preset(key="unauthorized", words="401: ask who it is", script=(Step(status=401),)),
    Preset(key="gone", words="410: gone for good", script=(Step(status=410),)),
    Preset(
        key="redirect",
        words="302 to another place",
        script=(Step(status=302, headers=(("Location", "https://example.com/elsewhere"),)),),
    ),
    Preset(key="slow", words="200 after 10 s", script=(Step(delay_seconds=10),)),
    Preset(key="hang", words="say nothing", script=(Step(act=Act.HANG),)),
    Preset(key="hang-once", words="say nothing once, then 200", script=(Step(act=Act.HANG, times=1),)),
    Preset(key="hang-after", words="begin to answer, then say nothing", script=(Step(act=Act.HANG_AFTER_HEADERS),)),
    Preset(key="reset", words="reset the connection", script=(Step(act=Act.RESET),)),
    Preset(key="reset-after", words="begin to answer, then reset", script=(Step(act=Act.RESET_AFTER_HEADERS),)),
    Preset(key="drip", words="drip: four bytes a second", script=(Step(act=Act.DRIP),)),
    Preset(key="endless", words="a body that does not end", script=(Step(act=Act.ENDLESS),)),
    Preset(key="relay", words="what the forward URL answers", script=(Step(act=Act.RELAY),)),
)
"""In the order they are offered."""

BY_KEY: Final = {preset.key: preset for preset in PRESETS}


def preset_of(script: Script) -> Preset | None:
    """The preset that a script is, if it is one."""
    return next((each for each in PRESETS if each.script == script), None)


def told_script(script: Script) -> str:
    """A script in one line."""
    if not script:
        return "answer 200"
    parts = [told(step) if step.times is None else f"{_times(step.times)} {told(step)}" for step in script]
    if script[-1].times is not None:
        parts.append("answer 200")
    return ", then ".join(parts)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
