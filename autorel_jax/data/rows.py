"""Rows to explain: a file, standard input ("-") or a data set -> Row after Row, and Rejected where one cannot be used.

A generator: the file is never in memory as a whole. Used by sources.py.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from autorel_jax.data import hf, tfds
from autorel_jax.data.classes import in_words
from autorel_jax.data.kinds import BY_SUFFIX, COMPRESSED, HF, INSTEAD, STDIN, STDIN_NAME, SUFFIXES, suffix_of
from autorel_jax.data.label_ids import as_number, in_names
from autorel_jax.data.lines import Damaged, Lines, check_encoding, read_lines, without_end
from autorel_jax.data.moments import Moment
from autorel_jax.data.row import ROW_FAULTS, Columns, Label, Rejected, Row, reason_of
from autorel_jax.data.streams import opened
from autorel_jax.data.tables import TEXT_FORMATS, Fault, Record, Wanted, parquet, reader_of, without_header
from autorel_jax.errors import InputError, one_line

if TYPE_CHECKING:
    from datasets import DatasetBuilder


def read_rows(source: str | Path, columns: Columns | None = None, encoding: str = "utf-8") -> Iterator[Row | Rejected]:
    """The rows of a file, by its suffix; standard input and .txt hold one text a line, empty lines included.

    .csv and .tsv have a header. A .csv is quoted as RFC 4180 says, newlines in quotes included. A .tsv row is
    one line, and a field is unquoted only if it is properly quoted as a whole (see tables.py).

    Raises:
      InputError: the file cannot be read, has an unknown suffix or encoding, or lacks a column.
    """
    columns = columns or Columns()
    wanted, is_stdin = columns.wanted, str(source) == STDIN
    check_encoding(encoding)
    if not is_stdin and (os.path.isdir(source) or not os.path.exists(source)):
        problem = "is a directory" if os.path.isdir(source) else "does not exist"
        raise InputError(
            f"{one_line(source)} {problem}; give a file ({', '.join(SUFFIXES)}) or {STDIN} for standard input, where a "
            "text that looks like a file's name can be given too."
        )
    kind = columns.format or ("text" if is_stdin else kind_of(source))
    name = STDIN_NAME if is_stdin else printable(source)
    if kind not in FORMATS:
        raise InputError(f"format={kind!r} is unknown; accepted: {', '.join(FORMATS)}.")
    if kind == "parquet":
        if is_stdin or columns.delimiter or Path(source).suffix.lower() in COMPRESSED:
            raise InputError(f"{name}: .parquet is read from a file, compresses itself and has no delimiter.")
        return as_rows(parquet(Path(source), wanted, columns.header), name, wanted)
    reader = READERS[kind] if columns.delimiter is None else reader_of(kind, columns.delimiter)
    return as_rows(_records(source, name, columns, encoding, reader), name, wanted)


def kind_of(source: str | Path) -> str:
    """The format of a file by its suffix; an InputError where that is not read says what to do."""
    suffix = suffix_of(source)
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    instead = f"; {INSTEAD[suffix]}" if suffix in INSTEAD else ", or say what it is: --format"
    raise InputError(
        f"{one_line(source)} is no kind of file that can be read; accepted: {', '.join(SUFFIXES)}, compressed or not "
        f"({', '.join(COMPRESSED)}), or {STDIN} for standard input{instead}."
    )


def printable(path: str | Path) -> str:
    r"""The path as UTF-8 can hold it: a byte of its name that is none becomes \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_tfds(name: str, split: str, folder: Path, columns: Columns) -> Iterator[Row | Rejected]:
    """The rows of a split of a TensorFlow data set that is in the folder.

    A ClassLabel is its name; as the label, its name and its id there.

    Raises:
      InputError: the package, the data set, the split or a feature is not there.
    """
    wanted = columns.wanted
    records = tfds.examples(name, split, wanted, folder)
    names = [tfds.feature_names(name, column, folder) if column else () for column in wanted[2:]]
    return as_rows(by_class(records, names), f"{name} {split}", wanted)


def read_hf(made: "DatasetBuilder", name: str, split: str, columns: Columns) -> Iterator[Row | Rejected]:
    """The rows of a split of a Hugging Face data set (NAME or NAME:CONFIG), streamed; classes likewise.

    Raises:
      InputError: the split or a column is not there, or cannot be read.
    """
    wanted = columns.wanted
    records = hf.examples(made, name, split, wanted)
    names = [hf.label_names(made, column) for column in wanted[2:]]
    return as_rows(by_class(records, names), f"{HF}{name} {split}", wanted)


def by_class(records: Iterable[Record], names: Sequence[Sequence[str]]) -> Iterator[Record]:
    """The records, a class as its name and its id in the data set; `names` of all columns behind text and pair."""
    for record in records:
        text, pair, *others = record.values
        named = [in_words([value], of)[0] if of else value for value, of in zip(others, names, strict=True)]
        yield record._replace(values=(text, pair, *named))


def as_rows(records: Iterable[Record | Fault], name: str, wanted: Wanted) -> Iterator[Row | Rejected]:
    """Records of a file or data set of that name -> Rows."""
    try:
        for record in records:
            if isinstance(record, Fault):
                yield Rejected(name, record.line, record.reason, record.where)
                continue
            try:
                yield _row(record, name, wanted)
            except ROW_FAULTS as error:
                yield Rejected(name, record.line, reason_of(error, "read"), record.where)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or one_line(error)}.") from None


def _records(
    source: str | Path, name: str, columns: Columns, encoding: str, reader: Callable[..., Iterator[Record | Fault]]
) -> Iterator[Record | Fault]:
    with _open(source) as stream:
        rows = reader(read_lines(stream, name, encoding), name, columns.wanted, columns.header)
        yield from without_header(rows, columns.wanted, "--input-columns") if columns.header else rows


def _open(source: str | Path) -> contextlib.AbstractContextManager[BinaryIO]:
    # Standard input is the caller's: it stays open.
    return contextlib.nullcontext(sys.stdin.buffer) if str(source) == STDIN else opened(source)


def _row(record: Record, name: str, wanted: Wanted) -> Row:
    text_column, pair_column, _, id_column, *_ = wanted
    text, pair, label, row, *kept = record.values
    label, row = as_number(label), as_number(in_names(row))
    if id_column is None:
        row = record.number
    elif isinstance(row, bool) or not isinstance(row, str | int):
        raise InputError(f"the id {one_line(row)} is neither a string nor a whole number.")
    if pair_column is not None:
        pair = _text(pair, pair_column)
    return Row(row, _text(text, text_column), pair, _label(label), name, record.line, tuple(map(in_names, kept)))


def _text(value: Any, column: str) -> str | list[str]:
    words = value if isinstance(value, list) else [value]
    if all(isinstance(word, str) and not isinstance(word, Moment) for word in words):
        return value
    shown = one_line(value if isinstance(value, Moment) else json.dumps(value, default=repr))
    raise InputError(f"{column!r} is {shown}; a text is a string or a list of strings.")


def _label(value: Any) -> Label:
    """A label as data/label_ids.py takes it; what it does not take is shown as JSON."""
    if value is None or isinstance(value, str | bool | int | float | tuple):
        return value
    return json.dumps(in_names(value), ensure_ascii=False, default=str)


def _plain(lines: Lines, name: str, wanted: Wanted, header: Sequence[str] = ()) -> Iterator[Record | Fault]:
    named = [*header, *(column for column in wanted[1:] if column)]
    if named:
        raise InputError(
            f"{name} is plain text without columns, but {named[0]!r} was asked for; use .tsv, .csv or .jsonl, or say "
            "what it is: --format."
        )
    for number, line in lines:
        where = f"{name}, line {number}"
        if isinstance(line, Damaged):
            yield Fault(where, line.reason, number)
        else:
            yield Record(where, number, (without_end(line), None, None, None), number)


READERS = {"text": _plain, **TEXT_FORMATS}  # format -> its reader
FORMATS = (*READERS, "parquet")
