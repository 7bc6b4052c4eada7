"""Lines: a binary stream -> its decoded lines, with their numbers; a wrong byte is reported with its line.

Used by rows.py and tables.py.
"""

import codecs
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from autorel_jax.errors import InputError, one_line

Lines = Iterable[tuple[int, str]]  # (line number from 1, line with its line end)

BLOCK = 2**16  # bytes


def check_encoding(encoding: str) -> None:
    """Raises InputError for a name that is no encoding."""
    try:
        "".encode(encoding)
    except LookupError:
        raise InputError(f"Unknown encoding {encoding!r}; for example utf-8, latin-1, cp1252, utf-16.") from None


def read_lines(stream: BinaryIO, name: str, encoding: str) -> Lines:
    """Decoded lines, their ends kept, without a byte order mark; says in which line a byte is wrong."""
    number = 0
    lines = _decoded(stream, encoding)
    while True:
        try:
            line = next(lines, None)
        except UnicodeError as error:
            raise InputError(
                f"{name}, line {number + 1}: not {encoding} ({one_line(error)}). Convert the file or give its encoding."
            ) from None
        if line is None:
            return
        number += 1
        if number == 1:
            line = line.removeprefix("\ufeff")
            if not line:  # nothing but a byte order mark
                return
        if "\0" in line:
            raise InputError(f"{name}, line {number}: holds a NUL character; this is not a text file in {encoding}.")
        yield number, line


def without_end(line: str) -> str:
    """The line without its line end, a newline or a carriage return and a newline."""
    return line.removesuffix("\n").removesuffix("\r")


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    if codecs.lookup(encoding).name == "utf-8-sig":
        encoding = "utf-8"  # read_lines drops the mark
    if "\n".encode(encoding) == b"\n":
        yield from (line.decode(encoding) for line in stream)
        return
    # UTF-16 and its like are decoded in blocks: a message names the first line that was not delivered.
    rest = ""
    for block in codecs.iterdecode(iter(lambda: stream.read(BLOCK), b""), encoding):
        *lines, rest = (rest + block).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest
