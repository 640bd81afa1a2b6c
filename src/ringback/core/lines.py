"""Text that comes in pieces, cut into lines as they are complete: newline-delimited JSON (ndjson-spec, 1.0). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.core.errors import PayloadTooLarge


class Lines:
    """Keeps what has come of a line until its end comes, and no more than `most_bytes` of it."""

    __slots__ = ("_most_bytes", "_number", "_rest")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._number = 0
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines that are complete with this piece, by their numbers, without their ends; blank ones are left out.

        Raises:
            PayloadTooLarge: a line is over `most_bytes`.
        """
        self._rest += piece
        if b"\n" in piece:  # only then is all that has come looked at
            *complete, self._rest = self._rest.split(b"\n")
            for line in complete:
                yield from self._line(line)
        if len(self._rest) > self._most_bytes:
            raise self._too_large(self._number + 1)

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The last line, if the text does not end with a newline."""
        rest, self._rest = self._rest, bytearray()
        yield from self._line(rest)

    def _line(self, line: bytearray) -> Iterator[tuple[int, bytes]]:
        self._number += 1
        if len(line) > self._most_bytes:
            raise self._too_large(self._number)
        if stripped := bytes(line.strip(b" \t\r")):
            yield self._number, stripped

    def _too_large(self, number: int) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"line {number} is over {self._most_bytes} bytes; nothing of the batch was taken in, "
            "submit so large a payload on its own"
        )
