"""What a receiver loads: verifying a webhook brings in the standard library and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from support.signed import SECRET

SRC: Final = Path(__file__).parents[2] / "src"


def test_verifying_with_a_shared_secret_works_where_no_package_is_installed() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SRC)!r})\n"
        "import ringback\n"
        f"try: ringback.verify(b'', {{}}, {SECRET!r})\n"
        "except ringback.VerificationError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (told.stdout, told.stderr) == ("the webhook-id header is missing or empty\n", "")
