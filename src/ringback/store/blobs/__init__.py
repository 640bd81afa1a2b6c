"""Where large payloads and results are kept: a local folder, or an object store by its URL."""

from ringback.store.blobs.large import Large, remove_doomed
from ringback.store.blobs.opening import open_blobs

__all__ = ["Large", "open_blobs", "remove_doomed"]
