"""Tables: the lines of a .csv, .tsv or .jsonl file, or a .parquet file -> Record after Record.

A row that cannot be used comes as a Fault in its place, and the rows after it go on. A reader is called with the
lines, the file's name for messages, the names of the columns that are wanted (None: not this one) and, for a table
without a header, the names of all columns. Used by rows.py and splits.py.
"""

import functools
import itertools
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.data.annotated import CONLL, SQUAD, conll, squad
from autorel_jax.data.classes import classes_of, in_words
from autorel_jax.data.fields import Fields, csv_fields, labelled_fields, raw_fields, tsv_fields
from autorel_jax.data.lines import Damaged, Lines, read_lines
from autorel_jax.data.moments import are_moments, moments
from autorel_jax.data.records import COLUMNS, Fault, Optional, Record, Wanted, place, single, value_of
from autorel_jax.data.streams import opened
from autorel_jax.errors import InputError, InputWarning, one_line
from autorel_jax.files import version_of

if TYPE_CHECKING:
    import pyarrow

ANSWER, REFUSED = "answer", ("reject", "ignore")  # of Prodigy's rows, beside the label that was proposed


def csv_table(
    lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = (), delimiter: str = ","
) -> Iterator[Record | Fault]:
    """Quoted as RFC 4180 says, newlines in quotes included."""
    return _table(csv_fields(lines, delimiter), name, wanted, header)


def tsv_quoted(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """Likewise, with tabs: what a csv writer makes of the dialect excel-tab."""
    return _table(csv_fields(lines, "\t"), name, wanted, header)


def tsv_table(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """A row is one line, and a field is unquoted only if it is properly quoted as a whole."""
    return _table(tsv_fields(lines), name, wanted, header)


def tsv_raw(
    lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = (), delimiter: str = "\t"
) -> Iterator[Record | Fault]:
    """A row is one line, and a quote is a character like any other: GLUE's way."""
    return _table(raw_fields(lines, delimiter), name, wanted, header)


def labelled(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """A line is a label, a space and the text: the way of SST-5's stsa.fine.* files. No header."""
    return _table(labelled_fields(lines), name, wanted, header or ("label", "text"))


def jsonl(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """A JSON object a line; blank lines are skipped.

    Warns of labels that an annotator has refused: see `warn_of_refused`.
    """
    _no_header(name, header)
    refused = 0
    for number, line in lines:
        if line.strip() or isinstance(line, Damaged):
            where = f"{name}, line {number}"
            try:
                item = _object(line)
                refused += item.get(ANSWER) in REFUSED
                yield Record(where, number, tuple(value_of(item, column) for column in wanted), number)
            except InputError as error:
                yield Fault(where, str(error), number)
    warn_of_refused(refused, name, wanted)


def warn_of_refused(refused: int, name: str, wanted: Wanted) -> None:
    """Says how many labels an annotator has refused, in the way of Prodigy, which keeps them in the file."""
    label = next(iter(wanted[2:3]), None)  # the column behind those of the text and its pair
    if refused and label not in (None, ANSWER):
        warnings.warn(
            f"{name}: {ANSWER!r} is {' or '.join(map(repr, REFUSED))} in {refused} rows, whose label is read "
            "nevertheless; take these rows out of the file if their labels are wrong.",
            InputWarning,
            stacklevel=1,
        )


def json_table(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """A JSON list of objects, held in memory; or, as in .jsonl, an object a line."""
    _no_header(name, header)
    lines = iter(lines)
    first = next(((number, line) for number, line in lines if line.strip() or isinstance(line, Damaged)), None)
    if first is None:
        return
    lines = itertools.chain([first], lines)
    if isinstance(first[1], Damaged) or is_row(first[1], wanted):
        refuse_columns(first[1], name, wanted)
        yield from jsonl(lines, name, wanted)
        return
    refused = 0
    for number, item in enumerate(_items(lines, name), 1):
        where = f"{name}, item {number}"
        try:
            if not isinstance(item, dict):
                raise InputError(f"a JSON {type(item).__name__}; each item of the list is an object.")
            refused += item.get(ANSWER) in REFUSED
            yield Record(where, number, tuple(value_of(item, column) for column in wanted), number)
        except InputError as error:
            yield Fault(where, str(error), number)
    warn_of_refused(refused, name, wanted)


def is_row(line: str, wanted: Wanted) -> bool:
    """Whether a line is a whole JSON object, and none that holds a list of objects in place of a text."""
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(item, dict):
        return False
    lists = (value for value in item.values() if isinstance(value, list) and value)
    return wanted[0] in item or not any(isinstance(value[0], dict) for value in lists)


def refuse_columns(line: Any, name: str, wanted: Wanted) -> None:
    """Raises InputError for an object whose text is a list of texts: columns, as pandas writes them, and no row."""
    item = {} if isinstance(line, Damaged) else json.loads(line)
    texts = item.get(wanted[0])
    spaced = (
        [text for text in texts if isinstance(text, str) and len(text.split()) > 1] if isinstance(texts, list) else []
    )
    if spaced:
        raise InputError(
            f"{name} holds columns, or one text as a list of words of which one has a space, "
            f"{one_line(spaced[0], 40)!r}; write a list of objects, one for each text."
        )


def _items(lines: Lines, name: str) -> list[Any]:
    """The items of a JSON list that stands on these lines."""
    texts = []
    for number, line in lines:
        if isinstance(line, Damaged):
            raise InputError(f"{name}, line {number}: {line.reason}")
        texts.append(line)
    try:
        found = json.loads("".join(texts), object_pairs_hook=single)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not valid JSON ({one_line(error)}).") from None
    if isinstance(found, list):
        return found
    inside = [key for key, value in found.items() if isinstance(value, list)] if isinstance(found, dict) else []
    hint = f" Its rows may be those under {one_line(inside[0])!r}: write that list alone." if inside else ""
    raise InputError(
        f"{name} holds a JSON {type(found).__name__}; expected a list of objects, or an object a line.{hint}"
    )


def parquet(path: Path, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    """A .parquet file, read with pyarrow, a block of rows at a time."""
    import pyarrow
    from pyarrow import parquet as reader

    _no_header(str(path), header)
    columns = list(dict.fromkeys(column for column in wanted if column is not None))
    number = 0
    try:
        # A stream of our own: the library takes no name that is not UTF-8.
        with open(path, "rb") as stream, reader.ParquetFile(stream) as file:
            there = file.schema_arrow.names
            columns = [column for column in columns if column in there or not isinstance(column, Optional)]
            for column in columns:
                place(there, column, str(path))
            classes = classes_of(file.schema_arrow, columns)
            for batch in file.iter_batches(columns=columns):
                faults: dict[int, str] = {}
                named = zip(batch.schema.names, batch.columns, strict=True)
                columns_of = {column: _python(values, column, faults) for column, values in named}
                columns_of |= {column: in_words(columns_of[column], names) for column, names in classes.items()}
                for row in range(batch.num_rows):
                    number += 1
                    values = tuple(columns_of[column][row] if column in columns_of else None for column in wanted)
                    where = f"{path}, row {number}"
                    fault = faults.get(row)
                    yield Fault(where, fault, number) if fault else Record(where, number, values, number)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:  # of the latter, a column's name
        raise InputError(f"{path} is not a .parquet file that can be read: {one_line(error)}.") from None


def _python(column: "pyarrow.Array", name: str, faults: dict[int, str]) -> list[Any]:
    """The values of a column; what Python cannot hold is None, and `faults` then says of the row why."""
    if are_moments(column.type):
        return moments(column)
    try:
        return column.to_pylist()
    except (ValueError, OverflowError):  # which does not say where
        python = []
        for row, value in enumerate(column):
            try:
                python.append(value.as_py())
            except (ValueError, OverflowError) as error:
                python.append(None)
                faults[row] = f"{name!r} cannot be read: {one_line(error)}."
        return python


TEXT_FORMATS = {
    "tsv": tsv_table,
    "tsv_quoted": tsv_quoted,
    "tsv_raw": tsv_raw,
    "csv": csv_table,
    "jsonl": jsonl,
    "json": json_table,
    "labelled": labelled,
}
TABS = {"tab": "\t", "\\t": "\t"}  # how a tab may be written on a command line
ANNOTATED = {CONLL: conll, SQUAD: squad}  # of texts whose words or answers are marked
TABLE_FORMATS = (*TEXT_FORMATS, *ANNOTATED, "parquet")


DIVIDED = ("csv", "tsv", "tsv_quoted", "tsv_raw", "text")  # formats whose columns a delimiter separates, beside CONLL


def reader_of(kind: str, delimiter: str | None) -> Callable[..., Iterator[Record | Fault]]:
    """The reader of one of TEXT_FORMATS or ANNOTATED (or of text), with another delimiter where one is given.

    Raises:
      InputError: the format has no delimiter, or it is not one character.
    """
    if delimiter is None:
        return (TEXT_FORMATS | ANNOTATED)[kind]
    if kind not in (*DIVIDED, CONLL):
        raise InputError(f"delimiter={delimiter!r} is for {', '.join(DIVIDED)}, but the format is {kind}.")
    mark = TABS.get(delimiter, delimiter)
    if len(mark) != 1 or mark in '"\r\n':
        raise InputError(f"delimiter={delimiter!r}: expected one character, such as ';', or tab.")
    return functools.partial({"tsv_raw": tsv_raw, CONLL: conll}.get(kind, csv_table), delimiter=mark)


def read_table(
    path: Path, kind: str, wanted: Wanted, header: Sequence[str], encoding: str, delimiter: str | None = None
) -> Iterator[Record]:
    """The records of a file of one of TABLE_FORMATS, of which every row must be in order.

    Raises:
      InputError: the file cannot be read, is not of its format, or lacks a column; with the line.
    """
    before = version_of(path)
    try:
        read = reader_of(kind, delimiter) if delimiter is not None or kind != "parquet" else None
        if kind == "parquet":
            yield from _faultless(parquet(path, wanted, header))
        else:
            with opened(path) as stream:
                lines = read_lines(stream, str(path), encoding)
                yield from _faultless(read(lines, str(path), wanted, header))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or one_line(error)}.") from None
    if version_of(path) != before:
        raise InputError(f"{path} changed while it was read; begin anew when nothing writes to it.")


def without_header(rows: Iterator[Record | Fault], wanted: Wanted, instead: str) -> Iterator[Record | Fault]:
    """The records of a file that is said to have no header; an InputError where its first row is one."""
    for number, record in enumerate(rows):
        if not number and isinstance(record, Record):
            pairs = [(value, name) for value, name in zip(record.values, wanted, strict=True) if name is not None]
            if all(str(value).strip().lower() == name.lower() for value, name in pairs):
                raise InputError(f"{record.where}: the file has a header; leave out {instead}.")
        yield record


def _faultless(records: Iterator[Record | Fault]) -> Iterator[Record]:
    for record in records:
        if isinstance(record, Fault):
            raise InputError(f"{record.where}: {record.reason}")
        yield record


def _table(rows: Fields, name: str, wanted: Wanted, header: Sequence[str]) -> Iterator[Record | Fault]:
    """Records of a table whose first row is the header, unless that is given; blank lines do not count."""
    expected = f"columns names {len(header)}"
    if not header:
        line, header = next(rows, (0, None))
        if header is None:
            return
        if isinstance(header, str):
            raise InputError(f"{name}, line {line}: {header}")
        expected = f"the header has {len(header)}"
    try:
        places = [None if column is None else place(header, column, name) for column in wanted]
    except InputError as error:
        raise InputError(f"{error}{hint(header, wanted)}") from None
    for number, (line, fields) in enumerate(rows, 1):
        where = f"{name}, row from line {line}"
        if not isinstance(fields, str) and len(fields) != len(header):
            fields = (
                f"{len(fields)} fields, but {expected}. "
                "Texts with tabs or newlines inside belong in .csv (quoted) or .jsonl."
            )
        if isinstance(fields, str):
            yield Fault(where, fields, line)
        else:
            yield Record(where, number, tuple(None if at is None else fields[at] for at in places), line)


def hint(header: Sequence[str], wanted: Wanted) -> str:
    """What to do where a first line has not the columns: it may be divided by another mark, or be no header."""
    if header[:1] and header[0].lower().startswith("sep="):
        return " Line 1 is Excel's: it says what the separator is, and is no header. Take it out of the file."
    mark = next((mark for mark in (";", "\t", "|", ",") if len(header) == 1 and mark in header[0]), None)
    if mark is not None:
        shown = "tab" if mark == "\t" else mark
        return f" The separator seems to be {mark!r}: give --delimiter {shown!r}, or set [task] delimiter = {shown!r}."
    if any(name in header for name in wanted if name):
        return ""
    return f" If the file has no header, name its columns: {COLUMNS}."


def _object(line: str) -> dict[str, Any]:
    """The object that a line holds; an InputError, like that of `_value`, is the rest of a sentence."""
    if isinstance(line, Damaged):
        raise InputError(line.reason)
    try:
        item = json.loads(line, object_pairs_hook=single)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
        raise InputError(f"not valid JSON ({one_line(error)}); .jsonl has one object a line.") from None
    if not isinstance(item, dict):
        raise InputError(f"a JSON {type(item).__name__}; .jsonl has one object ({{...}}) a line.")
    return item


def _no_header(name: str, header: Sequence[str]) -> None:
    if header:
        raise InputError(f"{name} names its columns itself; leave out {COLUMNS}.")
