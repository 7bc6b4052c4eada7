"""Records: what a row of a table is. Used by the readers of tables.py and annotated.py, and by splits.py."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from autorel_jax.errors import InputError, one_line

Wanted = Sequence[str | None]
COLUMNS = "[task] columns or --input-columns"  # what names the columns of a file without header


class Optional(str):
    """The name of a column that a file may lack; its values then are None. JSON and .parquet know such columns."""


class Record(NamedTuple):
    """One row of a table."""

    where: str  # for messages: the file and the line, or the row where there are no lines
    number: int  # from 1, of the row; in .jsonl of the line
    values: tuple[Any, ...]  # of the wanted columns; None for one that is not wanted
    line: int  # from 1, where the row begins; of a file without lines the row


class Fault(NamedTuple):
    """A row that cannot be used, in the place of its Record."""

    where: str
    reason: str  # the sentence that follows `where` and a colon
    line: int


def place(header: Sequence[str], column: str, name: str) -> int:
    """Where the column stands in the header; InputError where it is not there once."""
    if header.count(column) == 1:
        return header.index(column)
    problem = f"has no column {column!r}" if column not in header else f"has more than one column {column!r}"
    close = difflib.get_close_matches(column, header, n=1)
    hint = f" Did you mean {close[0]!r}?" if close and close[0] != column else ""
    raise InputError(f"{name} {problem}; its columns: {', '.join(map(repr, header))}.{hint}")


def value_of(item: dict[str, Any], column: str | None) -> Any:
    """What a row that is an object has in a column; None without a column, or where it may lack it; else InputError."""
    if column is None or (isinstance(column, Optional) and column not in item):
        return None
    if column not in item:
        place(list(item), column, "the row")  # raises
    return item[column]


def single(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; an InputError where a key stands twice, of which JSON's reader would take the last."""
    item = dict(pairs)
    if len(item) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise InputError(f"the key {one_line(twice)!r} stands twice.")
    return item
