"""Where a verb's statements run: what a write and a read are given, and where writes share a commit.

A backend has each of these in its own way; the verbs know no more of it than stands here.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Hashable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Cursor(Protocol):
    """What a statement has brought, as both databases' drivers have it (PEP 249)."""

    @property
    def rowcount(self) -> int: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A place to run statements, with parameters by name."""

    def execute(self, sql: str, parameters: Mapping[str, object] = ..., /) -> Cursor: ...


class Execute(Protocol):
    """Runs one statement."""

    def __call__(self, sql: str, parameters: Mapping[str, object] = ..., /) -> Cursor: ...


class Transaction(Protocol):
    """What a write sees. It may be run twice, so it touches nothing else."""

    @property
    def execute(self) -> Execute:
        """Run a statement, with parameters by name."""
        ...

    def after(self, act: Callable[[], None]) -> None:
        """Run `act` on the loop once the commit is done; never, if it fails. What it raises reaches no caller."""
        ...

    def hold(self, what: Hashable) -> None:
        """Let no other write of the same batch that holds the same come between from here to this one's end."""
        ...


Column = int | str | None
"""As JSON has them."""


class SetTransaction(Transaction, Protocol):
    """What a write sees that may leave rows to set statements: one takes all rows of its name that a batch brings.

    They run once the batch's other statements have, so a write that needs to see what a row does has to be a plain one.
    """

    def put(self, name: str, columns: tuple[Column, ...], made: Callable[[int], None] | None = None) -> None:
        """A row for the set statement of that name, which says what each column is.

        `made` is called with the key of the row that the statement has inserted for it, as by `after`.
        """
        ...

    def lay(self, data: bytes) -> int:
        """Bytes that a row refers to; where they begin among all of the batch's, counted from 1."""
        ...


class Kin(Enum):
    """Writes that are on disk in their own order, whatever becomes of others meanwhile."""

    ENDS = auto()
    """How workloads have ended that this member runs."""
    ATTEMPTS = auto()
    """What has come of attempts that this member has made."""


class Commits(Protocol):
    """Where writes go that share commits."""

    def write(self, write: Callable[[Any], T]) -> Future[T]:
        """Run `write` in the batch that is gathering; the future is done once that batch is on disk."""
        ...

    def write_beside(self, write: Callable[[Any], T]) -> Future[T]:
        """As `write`, but the statements of others written so may come between its own: whatever must stay as this
        write has found it, it holds."""
        ...

    def write_apart(self, write: Callable[[Any], T], kin: Kin) -> Future[T]:
        """As `write_beside`, for what this member alone has in hand: it may be on disk before or after what is not of
        its kin, but for what went through `write` before it."""
        ...

    def write_in_set(self, in_set: Callable[[Any], T], write: Callable[[Any], T], kin: Kin) -> Future[T]:
        """As `write_apart`, of a write that nearly always comes to rows for set statements.

        A backend that has those may run `in_set` instead, with a `SetTransaction`; where it turns out that one of a
        batch's rows has not its whole effect, the batch comes to nothing and each `write` is run.
        """
        ...

    def settled(self) -> Future[None]:
        """Done once all that has been written by now is on disk, or has come to nothing.

        Raises:
            RingbackError: nothing more can be written.
        """
        ...

    @property
    def is_under_way(self) -> bool:
        """Whether something has been written that is not on disk yet; what is written now is so no earlier."""
        ...
