"""Lines: a binary stream -> its decoded lines, with their numbers; a line that cannot be decoded comes as Damaged.

Used by rows.py and tables.py.
"""

import codecs
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from autorel_jax.errors import InputError, one_line

BLOCK = 2**16  # bytes
LONGEST = 2**27  # bytes of a line; a longer one would take the memory that others are promised


class Damaged(str):
    """A line that must not be used, as far as it can be shown; `reason` says why."""

    reason: str

    def __new__(cls, text: str, reason: str) -> "Damaged":
        """The text beside its reason."""
        made = super().__new__(cls, text)
        made.reason = reason
        return made


Lines = Iterable[tuple[int, str]]  # (line number from 1, line with its line end)


def check_encoding(encoding: str) -> None:
    """Raises InputError for a name that is no encoding."""
    try:
        "".encode(encoding)
    except (LookupError, ValueError):  # ValueError: "undefined" is an encoding that has none, and a name may hold a NUL
        raise InputError(f"Unknown encoding {encoding!r}; for example utf-8, latin-1, cp1252, utf-16.") from None


def read_lines(stream: BinaryIO, name: str, encoding: str) -> Lines:
    """Decoded lines, their ends kept, without a byte order mark.

    Raises:
      InputError: a wrong byte in an encoding whose line ends are not those of ASCII (UTF-16 and its like), after
        which no line can be found; names the line.
    """
    number = 0
    lines = _decoded(stream, encoding)
    while True:
        try:
            line = next(lines, None)
        except UnicodeError as error:
            raise InputError(f"{name}, line {number + 1}: {_undecodable(encoding, error)}") from None
        if line is None:
            return
        number += 1
        if number == 1 and line.startswith("\ufeff") and not isinstance(line, Damaged):
            line = line[1:]
            if not line:  # nothing but a byte order mark
                return
        if "\0" in line and not isinstance(line, Damaged):
            line = Damaged(line, f"holds a NUL character; this is not a text file in {encoding}.")
        yield number, line


def without_end(line: str) -> str:
    """The line without its line end, a newline or a carriage return and a newline."""
    return line.removesuffix("\n").removesuffix("\r")


def _undecodable(encoding: str, error: UnicodeError) -> str:
    return f"not {encoding} ({one_line(error)}). Convert the file or give its encoding."


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    if codecs.lookup(encoding).name == "utf-8-sig":
        encoding = "utf-8"  # read_lines drops the mark
    if "\n".encode(encoding) == b"\n":
        for line in _whole(stream):
            try:
                yield line.decode(encoding) if len(line) < LONGEST else _too_long(line, encoding)
            except UnicodeError as error:
                yield Damaged(line.decode(encoding, "replace"), _undecodable(encoding, error))
        return
    # UTF-16 and its like are decoded in blocks: a message names the first line that was not delivered.
    rest = ""
    for block in codecs.iterdecode(iter(lambda: stream.read(BLOCK), b""), encoding):
        *lines, rest = (rest + block).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest


def _whole(stream: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long the first LONGEST bytes."""
    while line := stream.readline(LONGEST):
        if len(line) == LONGEST:
            rest = line
            while len(rest) == LONGEST and not rest.endswith(b"\n"):
                rest = stream.readline(LONGEST)
        yield line


def _too_long(line: bytes, encoding: str) -> Damaged:
    return Damaged(f"{line[:BLOCK].decode(encoding, 'replace')}\n", f"a line of at least {LONGEST} bytes.")
