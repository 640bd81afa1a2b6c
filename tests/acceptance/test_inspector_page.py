"""The commands of docs/inspector.md, run one after the other as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

from support.processes import serving
from support.served import folder_of

PAGE: Final = Path(__file__).parents[2] / "docs" / "inspector.md"
COMMANDS: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path), tmp_path / "r.db") as server:
        script = "set -eu\n" + "".join(COMMANDS.findall(PAGE.read_text())).replace("http://127.0.0.1:8080", server.url)
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    for words in (
        '{"captured": 1}',
        '"target":"/any/path?and=query"',
        '"times":2',
        "cannot be reached",
        "curl -i -X POST",
    ):
        assert words in done.stdout, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert json.loads(last)["body"] == '{"hello": "world"}'
