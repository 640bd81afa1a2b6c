"""The interpreter's settings for a process that serves: few looks for garbage, and a loop that soon has its turn."""

from __future__ import annotations

import gc
import sys
from typing import Final

_GC_THRESHOLD: Final = 5_000
"""New objects between two looks at the youngest: workloads in flight are no garbage, and were looked at often."""
_SWITCH_SECONDS: Final = 0.000_5
"""How long a thread that computes keeps the interpreter from the loop: a request changes threads several times."""


def tune() -> None:
    """Set them, once what the process needs has been loaded: that stays, and is not looked at again."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(_GC_THRESHOLD)
    gc.freeze()
