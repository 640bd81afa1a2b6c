"""Writes of one batch side by side: each goes on to its next statement; those that wait for the same get it at once,
and those that wait for others get theirs with it.

The verbs know nothing of it, but for what they `hold`: whoever comes second to that waits until all others are done,
and then runs with nothing in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import asyncpg
from greenlet import GreenletExit, getcurrent, greenlet

from ringback.store.postgres.connecting import Brought, execute, positional
from ringback.store.postgres.faults import is_lost
from ringback.store.postgres.joined import fetch_jointly
from ringback.store.postgres.sets import AT_ONCE, BY, KEEP_OUT, KEEP_OUT_IN_ORDER, Many, many
from ringback.store.postgres.words import Noted, Writer
from ringback.store.verbs.tallies import Tallies

_STAND_ASIDE: Final = object()
"""What a write says instead of a statement when another holds what it wants to."""
_DONE: Final = object()
"""What is said where a write has come to its end."""
_LET_IN: Final = Brought([], 1)
_MOST_FREE: Final = 256
"""Greenlets that are kept for the next writes: each has a stack of 16 KiB."""


class Transaction:
    """What a write sees: statements, and a place for what must happen only once it is on disk."""

    __slots__ = ("_acts", "_held", "tallies")

    def __init__(self, acts: list[Callable[[], None]], tallies: Tallies) -> None:
        self._acts = acts
        self.tallies = tallies
        self._held: dict[Hashable, greenlet] = {}

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> Brought:
        outer = getcurrent().parent
        assert outer is not None
        brought: Brought = outer.switch((sql, parameters or {}))
        return brought

    def hold(self, what: Hashable) -> None:
        this = getcurrent()
        if self._held.setdefault(what, this) is not this:
            assert this.parent is not None
            this.parent.switch(_STAND_ASIDE)
            self._held[what] = this

    def keep_out(self, keys: Sequence[str]) -> None:
        """Go on once no other member's transaction keeps this one out of these, until this one is over.

        All who come to this at the same time are let in at once, in the order of the keys.
        """
        outer = getcurrent().parent
        assert outer is not None
        outer.switch(_Wanted(keys))

    def after(self, act: Callable[[], None]) -> None:
        self._acts.append(act)


class _Wanted(tuple[str, ...]):
    """What a write says that comes to `Transaction.keep_out`."""

    __slots__ = ()


_NOTHING: Final = _Wanted()


class Writing:
    """One write on its way, as far as its next statement."""

    __slots__ = (
        "_greenlet",
        "_transaction",
        "_write",
        "error",
        "is_done",
        "parameters",
        "sql",
        "stands_aside",
        "value",
        "wanted",
    )

    def __init__(self, write: Callable[[Transaction], Any], transaction: Transaction) -> None:
        self._write = write
        self._transaction = transaction
        self._greenlet: Writer | None = None
        self.value: Any = None
        self.error: Exception | None = None
        """What the write itself has raised; it belongs to its caller alone."""
        self.sql = ""
        self.parameters: Mapping[str, object] = {}
        self.stands_aside = False
        self.wanted = _NOTHING
        """What it is to be let in to before it goes on, if that is why it stands aside."""
        self.is_done = False

    def carry_out(self) -> None:
        """The whole of it, on a greenlet that goes back to its parent for each answer."""
        try:
            self.value = self._write(self._transaction)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to its caller alone
            self.error = error

    def begin(self, on: Writer) -> None:
        """As far as the first statement, on a greenlet that carries out nothing else."""
        self._greenlet = on
        self._follow(on.switch(self))

    def go_on(self, brought: Brought | None = None) -> None:
        """As far as the next statement, with what the last one has brought."""
        assert self._greenlet is not None
        self.wanted = _NOTHING
        self._follow(self._greenlet.switch(brought))

    def end(self) -> Writer | None:
        """The greenlet it has run on, free for another write; None when it has not come to its end, and never will."""
        on, self._greenlet = self._greenlet, None
        if on is None or self.is_done:
            return on
        on.throw(GreenletExit)
        return None

    def _follow(self, told: Any) -> None:
        self.is_done = told is _DONE
        self.stands_aside = told is _STAND_ASIDE
        if not (self.is_done or self.stands_aside):
            if type(told) is _Wanted:
                self.stands_aside, self.wanted = True, told
            else:
                self.sql, self.parameters = told


def _carry_out_one_after_another(writing: Writing | None) -> None:
    """What a greenlet does. It is kept: a new one for each write has memory mapped and given back each time."""
    outer = getcurrent().parent
    assert outer is not None
    while writing is not None:
        writing.carry_out()
        writing = None  # whatever it has brought need not stay as long as the greenlet does
        writing = outer.switch(_DONE)


class Broken(Exception):
    """A statement has failed, and the transaction with it."""

    def __init__(self, writings: Sequence[Writing], error: Exception, *, is_joint: bool) -> None:
        super().__init__(str(error))
        self.writings = writings
        """Whose it was: one of these."""
        self.error = error
        self.is_joint = is_joint
        """Whether it was several statements in one."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One statement of several that go at once, and those that wait for it."""

    text: str
    arguments: Sequence[object]
    waiting: Sequence[Sequence[Writing]]
    """By the answer they get."""
    shared_out: Callable[[list[Any]], list[Brought]]
    """An answer for each."""


class Together:
    """Runs writes side by side on one connection after another."""

    def __init__(self, sql: Mapping[str, str], tallies: Tallies) -> None:
        """Begin.

        Args:
            sql: the statements by their names.
            tallies: of the transaction under way.
        """
        self.tallies = tallies
        self._by = {sql[name]: by for name, by in BY.items()}
        self._at_once = {sql[name] for name in AT_ONCE} | {KEEP_OUT}
        self._tally = sql["tally"]
        self._many: dict[str, Many] = {}
        self._free: list[Writer] = []
        self.noted = Noted()
        """What the writes of the transaction under way have called wakes for."""
        self.keeps_out = False
        """Whether the transaction under way keeps others out of something: it is to end before it wants more, for the
        order holds only for what is wanted at once."""
        self.joins = True
        """Whether different statements go in one; not while the one is looked for that cannot be run."""

    async def run(self, connection: asyncpg.Connection, writings: Sequence[Writing]) -> None:
        """Have all of them done, or leave all of them given up.

        Raises:
            Broken: a statement has failed.
            Exception: of the driver, if the connection is lost.
        """
        try:
            for each in writings:
                each.begin(self._free.pop() if self._free else self._new_writer())
            await self._advance(connection, writings)
            if aside := [each for each in writings if each.stands_aside]:
                await self._let_in(connection, aside)
        finally:
            # Only now: who holds something is told from the others by the greenlet it runs on.
            for each in writings:
                if (free := each.end()) is not None and len(self._free) < _MOST_FREE:
                    self._free.append(free)

    async def _let_in(self, connection: asyncpg.Connection, aside: Sequence[Writing]) -> None:
        """Have those done that stood aside: first those that want to be let in, together, then each by itself."""
        while wanting := [each for each in aside if each.wanted]:
            await self._keep_others_out(connection, wanting)
            for each in wanting:
                each.go_on()
            await self._advance(connection, wanting)
        for each in aside:
            while each.stands_aside:
                if each.wanted:
                    await self._keep_others_out(connection, [each])
                each.go_on()
                await self._advance(connection, [each])

    async def _keep_others_out(self, connection: asyncpg.Connection, wanting: Sequence[Writing]) -> None:
        keys = sorted({key for each in wanting for key in each.wanted})
        with _blaming(wanting):
            await execute(connection, KEEP_OUT_IN_ORDER, {"keys": keys})
        self.keeps_out = True

    async def tally(
        self, connection: asyncpg.Connection, changes: Sequence[Mapping[str, object]], last: str, *told: object
    ) -> list[Any]:
        """Write what has changed of the tallies, if anything has, and with it run another statement.

        Returns:
            the rows of that.
        """
        text = positional(last).text
        if not changes:
            return list(await connection.fetch(text, *told))
        form = await self._form(connection, self._tally)
        _, rows = await fetch_jointly(connection, [(form.text, form.arrays(changes)), (text, told)])
        return rows

    def _new_writer(self) -> Writer:
        writer = Writer(_carry_out_one_after_another)
        writer.noted = self.noted
        return writer

    # ── Rounds ──────────────────────────────────────────────────────────────────────────────────

    async def _advance(self, connection: asyncpg.Connection, writings: Sequence[Writing]) -> None:
        """Until each is done or stands aside."""
        while waiting := [each for each in writings if not (each.is_done or each.stands_aside)]:
            alike: dict[str, list[Writing]] = {}
            for each in waiting:
                alike.setdefault(each.sql, []).append(each)
            joint = [sql for sql in alike if sql in self._by or sql in self._at_once] if self.joins else []
            if len(joint) > 1:
                await self._answer_jointly(connection, [alike.pop(sql) for sql in joint])
            for group in alike.values():
                await self._answer(connection, group)

    async def _answer_jointly(self, connection: asyncpg.Connection, groups: Sequence[Sequence[Writing]]) -> None:
        """Run the statements that all of these wait for as one, and let those go on that it was run for."""
        with _blaming([each for group in groups for each in group], is_joint=True):
            steps = [await self._step(connection, group) for group in groups]
            rows = await fetch_jointly(connection, [(step.text, step.arguments) for step in steps])
            answers = [step.shared_out(its) for step, its in zip(steps, rows, strict=True)]
        for step, its in zip(steps, answers, strict=True):
            for waiting, brought in zip(step.waiting, its, strict=True):
                for each in waiting:
                    each.go_on(brought)

    async def _step(self, connection: asyncpg.Connection, group: Sequence[Writing]) -> _Step:
        sql = group[0].sql
        if keys := _several_to_keep_out(group):
            statement = positional(KEEP_OUT_IN_ORDER)
            return _Step(statement.text, statement.arguments({"keys": keys}), [group], lambda _: [_LET_IN])
        if sql not in self._by:
            alike = next(iter(_with_the_same_parameters(group)))
            statement = positional(sql)
            arguments = statement.arguments(alike[0].parameters)
            return _Step(statement.text, arguments, [alike], lambda rows: [Brought(rows, len(rows))])
        form = await self._form(connection, sql)
        fitting = form.fitting(group)
        sets = [each.parameters for each in fitting]
        return _Step(form.text, form.arrays(sets), [[each] for each in fitting], partial(form.shared_out, sets))

    async def _answer(self, connection: asyncpg.Connection, group: Sequence[Writing]) -> None:
        """Run the statement that all of these wait for, and let those go on that it was run for."""
        sql = group[0].sql
        if keys := _several_to_keep_out(group):
            with _blaming(group):
                await execute(connection, KEEP_OUT_IN_ORDER, {"keys": keys})
            for each in group:
                each.go_on(_LET_IN)
            return
        if len(group) > 1 and sql in self._by:
            with _blaming(group):
                form = await self._form(connection, sql)
            fitting = form.fitting(group)
            with _blaming(fitting):
                answers = await form.execute(connection, [each.parameters for each in fitting])
            for each, brought in zip(fitting, answers, strict=True):
                each.go_on(brought)
            return
        for alike in _with_the_same_parameters(group):
            with _blaming(alike):
                brought = await execute(connection, sql, alike[0].parameters)
            for each in alike:
                each.go_on(brought)

    async def _form(self, connection: asyncpg.Connection, sql: str) -> Many:
        form = self._many.get(sql)
        if form is None:
            form = self._many[sql] = await many(connection, sql, self._by[sql])
        return form


def _several_to_keep_out(group: Sequence[Writing]) -> list[str]:
    """The keys of those that wait to be let in, if it is to more than one thing."""
    if len(group) == 1 or group[0].sql != KEEP_OUT:
        return []
    keys = sorted({str(each.parameters["key"]) for each in group})
    return keys if len(keys) > 1 else []


@contextlib.contextmanager
def _blaming(writings: Sequence[Writing], *, is_joint: bool = False) -> Iterator[None]:
    """Whatever goes wrong, unless the connection is lost, is the fault of one of these."""
    try:
        yield
    except Exception as error:
        if is_lost(error):
            raise
        raise Broken(writings, error, is_joint=is_joint) from error


def _with_the_same_parameters(group: Sequence[Writing]) -> Iterable[list[Writing]]:
    """Those that only look, and for the same, get the same answer; each of the others is alone."""
    if not group[0].sql.startswith("SELECT "):
        return ([each] for each in group)
    alike: dict[tuple[object, ...], list[Writing]] = {}
    for each in group:
        alike.setdefault(tuple(each.parameters.values()), []).append(each)
    return alike.values()
