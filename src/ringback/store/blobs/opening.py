"""From `--blobs` to an open place for blobs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ringback.core.errors import StoreError
from ringback.store.blobs.local import LocalBlobs
from ringback.store.contract import Blobs

_FILE: Final = "file"


def open_blobs(place: str, *, space: str, name: Callable[[], str], spool: Path) -> Blobs:
    """Open the place that blobs are kept in; an object store is first asked when it is first needed.

    Args:
        place: a folder, or the URL of one (`file:///…`) or of a room in an object store (`s3://bucket/path`).
        space: `Store.blob_space`: this store's own room in it.
        name: `Store.name_blob`.
        spool: a folder of the local disk for what is on its way to or from an object store.

    Raises:
        StoreError: it cannot be used; the message says why.
    """
    parts = urlsplit(place)
    if not parts.scheme:
        return LocalBlobs(Path(place), space, name)
    if parts.scheme == _FILE:
        return LocalBlobs(Path(unquote(parts.path)), space, name)
    try:
        from ringback.store.blobs.objects import ObjectBlobs, object_store  # noqa: PLC0415 - brings 15 MB with it
    except ImportError as error:
        raise StoreError(f"--blobs {place} needs obstore: pip install 'ringback[s3]'") from error
    return ObjectBlobs(object_store(place, os.environ), place, space, name=name, spool=spool)
