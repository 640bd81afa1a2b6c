"""The store for many hosts: one PostgreSQL database, any number of members."""

from ringback.store.postgres.store import PostgresStore, open_postgres

__all__ = ["PostgresStore", "open_postgres"]
