"""Assumed: the first lines of a file of rows -> what separates its columns, where nobody has said it.

A wrong guess would explain the wrong text, so nothing is assumed that does not give all the columns that are asked for.
Used by sources.py and splits.py.
"""

import codecs
import csv
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from autorel_jax.data.fields import tsv_fields
from autorel_jax.data.kinds import BY_SUFFIX, STDIN, STDIN_NAME, suffix_of
from autorel_jax.data.lines import Damaged, read_lines, split_lines, without_end
from autorel_jax.data.row import Columns
from autorel_jax.data.streams import opened
from autorel_jax.errors import InputError, one_line

MARKS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}  # between columns -> for messages
OWN = {"csv": ",", "tsv": "\t"}  # format -> its mark
LOOKED_AT = 20  # lines
MOST = 0.9  # of the lines of a text that have a tab: it is a table


def assumed(path: str | Path, columns: Columns, encoding: str) -> tuple[str | None, str | None]:
    """What separates the columns of a file where that is not what its suffix says, and what to say; else None.

    Of standard input it looks at what has come first.

    Raises:
      InputError: text whose lines look like rows of a table; a table that may be divided in several ways.
    """
    is_stdin = str(path) == STDIN
    kind = columns.format or ("text" if is_stdin else BY_SUFFIX.get(suffix_of(path)))
    if kind not in (*OWN, "text") or columns.delimiter or (kind == "text" and columns.format):
        return None, None
    name = STDIN_NAME if is_stdin else str(path)
    lines = first_of_stdin(encoding) if is_stdin else first_lines(path, encoding)
    if kind == "text":
        return None, tabs_in(lines, name)
    mark = assumed_mark(lines, kind, columns, name)
    return mark, mark and f"{name}: its columns are separated by {MARKS[mark]}, it seems; --delimiter says it"


def assumed_mark(lines: Sequence[str], kind: str, columns: Columns, name: str) -> str | None:
    """What divides the lines of a table; None: the format's own mark. Errors are those of `mark_of_rows`."""
    if not lines:
        return None
    if columns.header:
        return mark_of_rows(lines, kind, len(columns.header), name)
    wanted = {name for name in columns.wanted if name is not None}
    fits = [mark for mark in MARKS if wanted <= set(fields_of(lines[0], mark))]
    return fits[0] if len(fits) == 1 and fits != [OWN[kind]] else None


def mark_of_rows(lines: Sequence[str], kind: str, width: int, name: str) -> str | None:
    """What divides the lines of a file without header into that many columns; None: the format's own mark.

    Raises:
      InputError: several marks may, or none divides all the lines.
    """
    if width == 1:
        return None
    own, fits = OWN[kind], {}
    for mark in MARKS:
        widths = widths_of(lines, mark, kind)
        fits[mark] = widths.count(width), len(widths)
    whole = [mark for mark, (fitting, rows) in fits.items() if fitting == rows > 0]
    if whole == [own] or (own == "\t" and own in whole):  # hardly a text has tabs
        return None
    if len(whole) == 1:
        return whole[0]
    found = [mark for mark, (fitting, _) in fits.items() if fitting]
    if found in ([], [own]):  # of the rows that do not fit the reader says so
        return None
    raise InputError(
        f"{name}: {' and '.join(MARKS[mark] for mark in found)} each give {width} columns in "
        f"{'all' if whole else 'some'} of its first lines ({one_line(lines[0], 60)!r}); say which with --delimiter "
        "(or [task] delimiter)."
    )


def widths_of(lines: Sequence[str], mark: str, kind: str) -> list[int]:
    """The number of fields of each row as its reader has them, 0 where it is not valid; not of a row cut off."""
    if (kind, mark) == ("tsv", "\t"):
        return [len(fields) for _, fields in tsv_fields(enumerate(lines, 1))]
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=mark, strict=True)
    try:
        widths: list[int] = []
        for fields in reader:
            widths.append(len(fields))
    except csv.Error:  # an open quote takes all lines to the last
        is_cut = reader.line_num == len(lines) and widths
        return widths if is_cut else [*widths, 0]
    return widths


def first_lines(path: str | Path, encoding: str) -> list[str]:
    """The first lines that are not blank; none if one of them cannot be read."""
    try:
        with opened(path) as stream:
            lines = list(itertools.islice(read_lines(stream, str(path), encoding), LOOKED_AT))
    except (InputError, OSError):  # where it is read it is said
        return []
    if any(isinstance(line, Damaged) for _, line in lines):
        return []
    return [without_end(line) for _, line in lines if line.strip()]


def first_of_stdin(encoding: str) -> list[str]:
    """The first lines of standard input that have come, not blank; they are still there to be read."""
    try:
        chunk = getattr(sys.stdin.buffer, "peek", bytes)()
        text = codecs.getincrementaldecoder(encoding)("replace").decode(chunk)
    except (AttributeError, OSError, ValueError):  # closed, or not decodable: where it is read it is said
        return []
    *lines, rest = split_lines(text)
    return [line for line in (lines or [rest])[:LOOKED_AT] if line.strip()]


def tabs_in(lines: Sequence[str], name: str) -> str | None:
    """What to say of lines of text that have a tab; None: none has.

    Raises:
      InputError: most have one, so that a label would be read as text.
    """
    tabbed = [line for line in lines if "\t" in line]
    if not tabbed:
        return None
    if len(tabbed) < MOST * len(lines):
        return (
            f"{name}: {len(tabbed)} of its first {len(lines)} lines have a tab ({one_line(tabbed[0], 60)!r}), which is "
            "taken as part of the text; --format text says so, --format tsv reads columns"
        )
    each = "each line has" if len(tabbed) == len(lines) else f"{len(tabbed)} of its first {len(lines)} lines have"
    raise InputError(
        f"{name}: {each} a tab, as in a table ({one_line(tabbed[0], 60)!r}); give --format tsv, with "
        "--input-columns NAME,NAME where it has no header, or --format text to take the lines as they are."
    )


def fields_of(line: str, mark: str) -> list[str]:
    """The fields of a line as a csv reader has them; none where it is not valid."""
    try:
        return next(csv.reader([line], delimiter=mark, strict=True), [])
    except csv.Error:
        return []
