"""`python -m ringback.pages PACKAGE…`: compiles their templates, and writes the byte code out for `pages.warming`."""

from __future__ import annotations

import marshal
import os
import sys
from typing import Final

from ringback.pages.book import Pages

_NICE: Final = 10

if __name__ == "__main__":
    os.nice(_NICE)  # replicas have better use for the time
    sys.stdout.buffer.write(marshal.dumps(dict(Pages(sys.argv[1:]).byte_code())))
