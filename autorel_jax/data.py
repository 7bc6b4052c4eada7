"""Rows to explain: a .txt, .tsv, .csv or .jsonl file, or standard input ("-") -> Row after Row.

A generator: the file is never in memory as a whole. Used by cli/explain.py and explainer.py.
"""

import codecs
import contextlib
import csv
import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from autorel_jax.errors import InputError, one_line

Lines = Iterable[tuple[int, str]]  # (line number from 1, line with its line end)
Records = Iterator[tuple[int, list[str]]]  # (number of the first line, fields)

STDIN = "-"
LARGEST_FIELD = 2**27  # characters in a .csv field; csv's own limit, 131,072, is less than a book
BLOCK = 2**16  # bytes
TSV_FIELD = re.compile(r'"((?:[^"]|"")*)"(?=\t|\Z)|([^\t]*)')  # quoted as a whole, or as it stands


@dataclass(frozen=True)
class Row:
    """One text to explain; a list of str is a text given as words (.jsonl only)."""

    id: str | int  # from the id column; else the number from 1 of the line (.txt, .jsonl) or row (.tsv, .csv)
    text: str | list[str]
    pair: str | list[str] | None
    label: str | None


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; None: there is none."""

    text: str
    pair: str | None
    label: str | None
    id: str | None


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
    one line, and a field is unquoted only if it is properly quoted as a whole (see `_tsv_fields`).
    """
    columns = Columns(text_column, pair_column, label_column, id_column)
    suffix = ".txt" if str(source) == STDIN else Path(source).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            f"{one_line(source)} is no kind of file that can be read; accepted: {', '.join(READERS)}, or - "
            "for standard input."
        )
    _check_encoding(encoding)
    if str(source) != STDIN and (os.path.isdir(source) or not os.path.exists(source)):
        problem = "is a directory" if os.path.isdir(source) else "does not exist"
        raise InputError(f"{source} {problem}; give a file ({', '.join(READERS)}) or - for standard input.")
    return _rows(source, columns, encoding, READERS[suffix])


def _rows(source: str | Path, columns: Columns, encoding: str, reader: Callable[..., Iterator[Row]]) -> Iterator[Row]:
    name, count = "standard input" if str(source) == STDIN else str(source), 0
    try:
        with _open(source) as stream:
            for row in reader(_lines(stream, name, encoding), name, columns):
                count += 1
                yield row
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from None
    if not count:
        raise InputError(f"{name} is empty: it holds no text to explain.")


def _open(source: str | Path) -> contextlib.AbstractContextManager[BinaryIO]:
    # Standard input is the caller's: it stays open.
    return contextlib.nullcontext(sys.stdin.buffer) if str(source) == STDIN else open(source, "rb")


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except LookupError:
        raise InputError(f"Unknown encoding {encoding!r}; for example utf-8, latin-1, cp1252, utf-16.") from None


def _lines(stream: BinaryIO, name: str, encoding: str) -> Lines:
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


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    if codecs.lookup(encoding).name == "utf-8-sig":
        encoding = "utf-8"  # _lines drops the mark
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


def _plain(lines: Lines, name: str, columns: Columns) -> Iterator[Row]:
    named = [column for column in (columns.pair, columns.label, columns.id) if column]
    if named:
        raise InputError(
            f"{name} is plain text without columns, but {named[0]!r} was asked for; use .tsv, .csv or .jsonl."
        )
    for number, line in lines:
        yield Row(number, line.removesuffix("\n").removesuffix("\r"), None, None)


def _csv(lines: Lines, name: str, columns: Columns) -> Iterator[Row]:
    return _table(_csv_records(lines, name), name, columns)


def _csv_records(lines: Lines, name: str) -> Records:
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_FIELD))
    # strict: a quote that is never closed is an error, not a field as long as the rest of the file.
    reader = csv.reader((line for _, line in lines), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{name}, row from line {first}: not valid CSV ({one_line(error)}).") from None
        if fields is None:
            return
        if fields:  # [] is a blank line
            yield first, fields


def _tsv(lines: Lines, name: str, columns: Columns) -> Iterator[Row]:
    return _table(_tsv_records(lines), name, columns)


def _tsv_records(lines: Lines) -> Records:
    width = None
    for number, line in lines:
        line = line.removesuffix("\n").removesuffix("\r")
        if line:
            fields = _tsv_fields(line, width)
            width = width or len(fields)
            yield number, fields


def _tsv_fields(line: str, width: int | None) -> list[str]:
    """The fields of one line, unquoted where a quote opens and closes the field and those inside are doubled.

    The .tsv files in use come in both kinds: GLUE's raw lines, where a quote is a character like any other
    (and often alone), and files that a csv writer quoted. Such a writer doubles every quote inside, which raw
    text hardly ever does. A raw field that is one quotation from end to end loses its outer quotes. Where
    unquoting gives a number of fields other than the header's `width`, the line is raw.
    """
    if '"' not in line:
        return line.split("\t")
    fields, at = [], 0
    while at <= len(line):
        match = TSV_FIELD.match(line, at)
        quoted, raw = match.groups()
        fields.append(raw if quoted is None else quoted.replace('""', '"'))
        at = match.end() + 1
    return fields if width in (None, len(fields)) else line.split("\t")


def _table(records: Records, name: str, columns: Columns) -> Iterator[Row]:
    """Rows of a table whose first record is the header; the row number counts records, not blank lines."""
    _, header = next(records, (0, None))
    if header is None:
        return
    named = [columns.text, columns.pair, columns.label, columns.id]
    places = [None if column is None else _place(header, column, name) for column in named]
    for number, (line, fields) in enumerate(records, 1):
        if len(fields) != len(header):
            raise InputError(
                f"{name}, row from line {line}: {len(fields)} fields, but the header has {len(header)}. "
                "Texts with tabs or newlines inside belong in .csv (quoted) or .jsonl."
            )
        text, pair, label, row = (None if place is None else fields[place] for place in places)
        yield Row(number if row is None else row, text, pair, label)


def _place(header: Sequence[str], column: str, name: str) -> int:
    if header.count(column) == 1:
        return header.index(column)
    problem = f"has no column {column!r}" if column not in header else f"has more than one column {column!r}"
    close = difflib.get_close_matches(column, header, n=1)
    hint = f" Did you mean {close[0]!r}?" if close and close[0] != column else ""
    raise InputError(f"{name} {problem}; its columns: {', '.join(map(repr, header))}.{hint}")


def _jsonl(lines: Lines, name: str, columns: Columns) -> Iterator[Row]:
    for number, line in lines:
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        item = _object(line, where)
        pair = None if columns.pair is None else _text(item, columns.pair, where)
        label = None if columns.label is None else _value(item, columns.label, where)
        row = number if columns.id is None else _value(item, columns.id, where)
        if isinstance(row, bool) or not isinstance(row, str | int):
            raise InputError(f"{where}: the id {one_line(row)} is neither a string nor a whole number.")
        yield Row(row, _text(item, columns.text, where), pair, _label(label))


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
        raise InputError(f"{where}: not valid JSON ({one_line(error)}); .jsonl has one object a line.") from None
    if not isinstance(item, dict):
        raise InputError(f"{where}: a JSON {type(item).__name__}; .jsonl has one object ({{...}}) a line.")
    return item


def _value(item: dict[str, Any], column: str, where: str) -> Any:
    if column not in item:
        _place(list(item), column, where)  # raises
    return item[column]


def _text(item: dict[str, Any], column: str, where: str) -> str | list[str]:
    value = _value(item, column, where)
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(word, str) for word in value)):
        return value
    raise InputError(f"{where}: {column!r} is {one_line(json.dumps(value))}; a text is a string or a list of strings.")


def _label(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


READERS = {".txt": _plain, ".tsv": _tsv, ".csv": _csv, ".jsonl": _jsonl}
