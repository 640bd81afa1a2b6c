"""Byte code of templates, by template: what is in here need not be compiled, and what is compiled gets in here.

Imported when the first template is wanted, as Jinja is.
"""

from __future__ import annotations

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """Jinja's view of it."""

    def __init__(self, byte_code: dict[str, bytes]) -> None:
        self._byte_code = byte_code

    def load_bytecode(self, bucket: Bucket) -> None:
        if (found := self._byte_code.get(bucket.key)) is not None:
            bucket.bytecode_from_string(found)  # which takes it only if it is of this source and this interpreter

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._byte_code[bucket.key] = bucket.bytecode_to_string()
