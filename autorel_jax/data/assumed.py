"""Assumed: the first lines of a file of rows -> what separates its columns, where nobody has said it.

A wrong guess would explain the wrong text, so nothing is assumed that does not give all the columns that are asked for.
Used by sources.py, and for its hints by splits.py.
"""

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path

from autorel_jax.data.kinds import BY_SUFFIX, suffix_of
from autorel_jax.data.lines import Damaged, read_lines, without_end
from autorel_jax.data.row import Columns
from autorel_jax.data.streams import opened
from autorel_jax.errors import InputError, one_line

MARKS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}  # between columns -> for messages
LOOKED_AT = 20  # lines


def assumed_delimiter(path: str | Path, columns: Columns, encoding: str) -> str | None:
    """What separates the columns of a file where that is not what its suffix says; None: it is, or it has been said.

    Raises:
      InputError: a text file whose lines all look like rows of a table; a table without the columns.
    """
    kind = columns.format or BY_SUFFIX.get(suffix_of(path))
    own = {"csv": ",", "tsv": "\t", "text": None}
    if kind not in own or columns.delimiter or (kind == "text" and columns.format):
        return None
    lines = first_lines(path, encoding)
    if kind == "text":
        refuse_table(lines, str(path))
        return None
    if not lines:
        return None
    wanted = [name for name in columns.wanted if name is not None]
    fits = [mark for mark in MARKS if has_columns(lines[0], mark, wanted, columns.header)]
    if own[kind] in fits or has_columns(lines[0], own[kind], wanted, columns.header):
        return None
    return fits[0] if len(fits) == 1 else None


def first_lines(path: str | Path, encoding: str) -> list[str]:
    """The first lines that are not blank; none if one of them cannot be read."""
    with opened(path) as stream:
        try:
            lines = list(itertools.islice(read_lines(stream, str(path), encoding), LOOKED_AT))
        except InputError:  # where it is read it is said
            return []
    if any(isinstance(line, Damaged) for _, line in lines):
        return []
    return [without_end(line) for _, line in lines if line.strip()]


def refuse_table(lines: Sequence[str], name: str) -> None:
    """Raises InputError where each line of a text file has as many tabs: a label would be read as text."""
    counts = {line.count("\t") for line in lines}
    if len(counts) == 1 and counts != {0}:
        raise InputError(
            f"{name}: each line has a tab, as in a table ({one_line(lines[0], 60)!r}); give --format tsv, with "
            "--input-columns NAME,NAME where it has no header, or --format text to take the lines as they are."
        )


def fields_of(line: str, mark: str) -> list[str]:
    """The fields of a line as a csv reader has them; none where it is not valid."""
    try:
        return next(csv.reader([line], delimiter=mark, strict=True), [])
    except csv.Error:
        return []


def has_columns(line: str, mark: str, wanted: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a first line, divided at that mark, has the columns; without a header as many as are named."""
    fields = fields_of(line, mark)
    return len(fields) == len(header) if header else set(wanted) <= set(fields)


def assumption(path: str, mark: str) -> str:
    """What to say of an assumed separator."""
    return f"{path}: its columns are separated by {MARKS[mark]}, it seems; --delimiter says it"
