"""The address of a database: what can be read in one way only, and never a word of the password."""

from __future__ import annotations

import pytest

from ringback.core.databases import database_url, shown_database

GOOD = [
    ("postgresql://u:hush@h/d", "postgresql://u@h/d"),
    ("postgres://u@h:5433/d", "postgres://u@h:5433/d"),
    ("postgresql://u:p%40h%2Fu%23s%25h@h/d?sslmode=require", "postgresql://u@h/d"),
    ("postgresql://u:hush@[::1]:5432/d", "postgresql://u@[::1]:5432/d"),
    ("postgresql://u:hush@one:5432,two/d?target_session_attrs=read-write", "postgresql://u@one:5432,two/d"),
    (
        "postgresql:///d?host=/run/postgresql&user=me@home&password=hush",
        "postgresql:///d?host=/run/postgresql&user=me%40home",
    ),
    ("postgresql://%2Frun%2Fpostgresql/d", "postgresql://%2Frun%2Fpostgresql/d"),
]

UNREADABLE = [
    ("postgresql://u:hu@sh@h/d", "must be encoded"),
    ("postgresql://u:h@/hush/d@h/d", "must be encoded"),
    ("postgresql://u:hu/sh@h/d", "must be encoded"),
    ("postgresql://u:hush#1@h/d", "must be encoded"),
    ("postgresql://u:hush%@h/d", "must be encoded"),
    ("postgresql://u:hu?sh@h/d", "a port that is no number from 1 to 65535. If that is no port"),
    ("postgresql://h:hush/d", "a port that is no number"),
    ("postgresql://h:0/d", "a port that is no number"),
    ("postgresql://h:65536/d", "a port that is no number"),
    ("postgresql://one,two:٣/d", "a port that is no number"),
    ("postgresql://u:hush@h", "names no database"),
    ("postgresql://u:hush@h/", "names no database"),
    ("postgresql://u:hush@h?sslmode=require", "names no database"),
]


@pytest.mark.parametrize(("url", "shown"), GOOD)
def test_an_address_that_reads_in_one_way_is_taken_as_it_is_and_shown_without_its_password(
    url: str, shown: str
) -> None:
    assert database_url(url) == url
    assert shown_database(url) == shown


@pytest.mark.parametrize(("url", "reason"), UNREADABLE)
def test_one_that_does_not_is_refused_without_a_word_of_it(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as told:
        database_url(url)

    assert "hush" not in str(told.value)
    assert "hush" not in shown_database("postgresql://u:hush@h")
