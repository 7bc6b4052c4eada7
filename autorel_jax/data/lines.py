"""Lines: a binary stream -> its decoded lines, with their numbers; a line that cannot be decoded comes as Damaged.

A line ends at a newline, at a carriage return and a newline, or at a carriage return alone, as in Python's text mode
and in pandas. Used by rows.py and tables.py.
"""

import codecs
import contextlib
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TextIO

from autorel_jax.errors import InputError, one_line

SHOWN = 2**16  # bytes of a line that is too long
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
    """The line without its line end."""
    return line.removesuffix("\n").removesuffix("\r")


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends; the last is what stands behind the last end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _undecodable(encoding: str, error: UnicodeError) -> str:
    return (
        f"not {encoding} ({one_line(error)}). Convert the file, or give its encoding: --encoding, or [task] encoding."
    )


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    if codecs.lookup(encoding).name == "utf-8-sig":
        encoding = "utf-8"  # read_lines drops the mark
    by_line = "\n".encode(encoding) == b"\n"  # else a line cannot be found before it is decoded, as in UTF-16
    # As Latin-1 each byte is a character, and back; newline="" ends a line in all three ways and keeps its end.
    text = io.TextIOWrapper(stream, "latin-1" if by_line else encoding, newline="")
    try:
        yield from _each_decoded(text, encoding) if by_line else text
    finally:
        with contextlib.suppress(ValueError):  # of a stream that is closed already
            text.detach()  # the stream is the caller's to close


def _each_decoded(text: TextIO, encoding: str) -> Iterator[str]:
    for line in _whole(text):
        raw = line.encode("latin-1")
        try:
            yield raw.decode(encoding) if len(raw) < LONGEST else _too_long(raw, encoding)
        except UnicodeError as error:
            yield Damaged(raw.decode(encoding, "replace"), _undecodable(encoding, error))


def _whole(text: TextIO) -> Iterator[str]:
    """The lines; of one that is too long the first LONGEST characters."""
    while line := text.readline(LONGEST):
        if len(line) == LONGEST:
            rest = line
            while len(rest) == LONGEST and not rest.endswith(("\n", "\r")):
                rest = text.readline(LONGEST)
        yield line


def _too_long(line: bytes, encoding: str) -> Damaged:
    return Damaged(f"{line[:SHOWN].decode(encoding, 'replace')}\n", f"a line of at least {LONGEST} bytes.")
