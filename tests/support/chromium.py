"""The system's Chromium for Playwright: which one it is, and how it is started so that it asks nobody anything."""

from __future__ import annotations

import os
import shutil
from typing import Final

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The browser's path; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for found in map(shutil.which, _NAMES) if found), None)
