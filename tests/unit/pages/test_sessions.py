"""Sessions and form tokens: what holds, for how long, and what nobody can make up."""

from __future__ import annotations

from ringback.core.clock import SECOND, HandWound, Instant
from ringback.pages import Sessions
from ringback.pages.sessions import SESSION_SECONDS

KEY = b"k" * 32


class Remembered(dict[str, int]):
    """A `pages.sessions.Ended` of this process alone."""

    async def end(self, login: str, until: Instant) -> None:
        self[login] = until

    def has_ended(self, login: str) -> bool:
        return login in self


def sessions(
    *api_keys: str, clock: HandWound | None = None, key: bytes = KEY, ended: Remembered | None = None
) -> Sessions:
    return Sessions(key, api_keys or ("open sesame",), clock or HandWound(), Remembered() if ended is None else ended)


def begun(made: Sessions, api_key: str = "open sesame") -> str:
    cookie = made.begin(api_key)
    assert cookie is not None
    return cookie


def test_a_session_begins_with_one_of_the_keys_and_with_no_other() -> None:
    made = sessions("one", "two")

    assert made.session_of(begun(made, "two"))
    assert made.begin("three") is None
    assert made.begin("") is None
    assert made.begin("schlüssel") is None


def test_two_sessions_are_two() -> None:
    made = sessions()
    first, second = begun(made), begun(made)

    assert first != second
    assert made.session_of(first) != made.session_of(second)


def test_it_ends_at_its_time_and_not_a_second_before() -> None:
    clock = HandWound()
    made = sessions(clock=clock)
    cookie = begun(made)

    clock.wind(SESSION_SECONDS - 1)
    assert made.session_of(cookie)
    clock.wind(1)
    assert made.session_of(cookie) is None


def test_it_ends_when_its_key_is_taken_away_and_survives_a_restart() -> None:
    cookie = begun(sessions("one", "two"), "two")

    assert sessions("two").session_of(cookie)
    assert sessions("one").session_of(cookie) is None


async def test_logging_out_ends_it_and_no_other_until_its_time_is_over_anyway() -> None:
    ended, clock = Remembered(), HandWound()
    made = sessions(ended=ended, clock=clock)
    mine, other = begun(made), begun(made)
    session = made.session_of(mine)
    assert session is not None
    await made.end(session)

    assert made.session_of(mine) is None
    assert made.session_of(other)
    assert ended[session] >= clock.now() + SESSION_SECONDS * SECOND


async def test_logging_out_holds_for_whoever_remembers_the_same() -> None:
    ended = Remembered()
    made, member = sessions(ended=ended), sessions(ended=ended)
    cookie = begun(made)
    session = member.session_of(cookie)
    assert session is not None
    await made.end(session)

    assert member.session_of(cookie) is None


def test_nothing_made_up_holds() -> None:
    made = sessions()
    cookie = begun(made)
    word, _, signature = cookie.rpartition(".")
    name, mark, until = word.split(".")
    other = begun(sessions(key=b"x" * 32))

    for tried in (
        "",
        ".",
        "...",
        "a.b.c.d",
        "ü.ü.ü.ü",
        signature,
        word,
        f"{name}.{mark}.{int(until) + 1}.{signature}",
        f"x{word}.{signature}",
        other,
    ):
        assert made.session_of(tried) is None, tried


def test_the_key_itself_is_not_in_the_cookie() -> None:
    assert "sesame" not in begun(sessions())


def test_a_form_token_is_worth_something_in_its_own_session_alone() -> None:
    made = sessions()
    token = made.form_token("mine")

    assert made.is_form_token(token, "mine")
    assert not made.is_form_token(token, "other")
    assert not made.is_form_token(token, None)
    assert not made.is_form_token("", "mine")
    assert not made.is_form_token("ü", "mine")
    assert made.is_form_token(made.form_token(None), None)
    assert not sessions(key=b"x" * 32).is_form_token(token, "mine")
