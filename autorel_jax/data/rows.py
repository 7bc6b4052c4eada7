"""Rows to explain: a .txt, .tsv, .csv or .jsonl file, or standard input ("-") -> Row after Row.

A generator: the file is never in memory as a whole. Used by cli/explain.py and explainer.py.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from autorel_jax.data.lines import Lines, check_encoding, read_lines, without_end
from autorel_jax.data.tables import Record, Wanted, csv_table, jsonl, tsv_table
from autorel_jax.errors import InputError, one_line

STDIN = "-"


@dataclass(frozen=True)
class Row:
    """One text to explain; a list of str is a text given as words (.jsonl only)."""

    id: str | int  # from the id column; else the number from 1 of the line (.txt, .jsonl) or row (.tsv, .csv)
    text: str | list[str]
    pair: str | list[str] | None
    label: str | None


def read_rows(
    source: str | Path,
    *,
    text_column: str = "text",
    pair_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[Row]:
    """The rows of a file, by its suffix; standard input and .txt hold one text a line, empty lines included.

    .csv and .tsv have a header. A .csv is quoted as RFC 4180 says, newlines in quotes included. A .tsv row is
    one line, and a field is unquoted only if it is properly quoted as a whole (see tables.py).
    """
    wanted = (text_column, pair_column, label_column, id_column)
    suffix = ".txt" if str(source) == STDIN else Path(source).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            f"{one_line(source)} is no kind of file that can be read; accepted: {', '.join(READERS)}, or - "
            "for standard input."
        )
    check_encoding(encoding)
    if str(source) != STDIN and (os.path.isdir(source) or not os.path.exists(source)):
        problem = "is a directory" if os.path.isdir(source) else "does not exist"
        raise InputError(f"{source} {problem}; give a file ({', '.join(READERS)}) or - for standard input.")
    return _rows(source, wanted, encoding, READERS[suffix])


def _rows(source: str | Path, wanted: Wanted, encoding: str, reader: Callable[..., Iterator[Record]]) -> Iterator[Row]:
    name, count = "standard input" if str(source) == STDIN else str(source), 0
    try:
        with _open(source) as stream:
            for record in reader(read_lines(stream, name, encoding), name, wanted):
                count += 1
                yield _row(record, wanted)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from None
    if not count:
        raise InputError(f"{name} is empty: it holds no text to explain.")


def _open(source: str | Path) -> contextlib.AbstractContextManager[BinaryIO]:
    # Standard input is the caller's: it stays open.
    return contextlib.nullcontext(sys.stdin.buffer) if str(source) == STDIN else open(source, "rb")


def _row(record: Record, wanted: Wanted) -> Row:
    text_column, pair_column, _, id_column = wanted
    text, pair, label, row = record.values
    if id_column is None:
        row = record.number
    elif isinstance(row, bool) or not isinstance(row, str | int):
        raise InputError(f"{record.where}: the id {one_line(row)} is neither a string nor a whole number.")
    if pair_column is not None:
        pair = _text(pair, pair_column, record.where)
    return Row(row, _text(text, text_column, record.where), pair, _label(label))


def _text(value: Any, column: str, where: str) -> str | list[str]:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(word, str) for word in value)):
        return value
    raise InputError(f"{where}: {column!r} is {one_line(json.dumps(value))}; a text is a string or a list of strings.")


def _label(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record]:
    named = [column for column in wanted[1:] if column]
    if named:
        raise InputError(
            f"{name} is plain text without columns, but {named[0]!r} was asked for; use .tsv, .csv or .jsonl."
        )
    for number, line in lines:
        yield Record(f"{name}, line {number}", number, (without_end(line), None, None, None))


READERS = {".txt": _plain, ".tsv": tsv_table, ".csv": csv_table, ".jsonl": jsonl}
