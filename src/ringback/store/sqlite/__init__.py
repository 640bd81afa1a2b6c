"""The embedded store: one SQLite file in WAL mode, durable at every acknowledged write."""

from ringback.store.sqlite.store import SqliteStore, open_sqlite

__all__ = ["SqliteStore", "open_sqlite"]
