"""Output: Explanations, one by one -> a .jsonl, .csv or .html file that is written whole or not at all.

What the files hold is in docs/output.md. Used by cli/stream.py, and by corpus/formats.py for lines of text.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from autorel_jax.errors import InputError
from autorel_jax.files import disk_faults, new_text
from autorel_jax.report import view
from autorel_jax.report.explanation import ALIASES, FIELDS, IN_FILES
from autorel_jax.report.json_values import plain

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet may run a cell that begins so (OWASP, "CSV injection")
OF_TEXT = ("id", "target", "target_value", "prediction", "probability")  # columns of .csv, the same in all its rows


@contextlib.contextmanager
def open_writer(path: Path, level: str, kept: Sequence[str] = ()) -> Iterator[Callable[..., None]]:
    """A function that writes an explanation to a file, whose suffix decides the format.

        with open_writer(Path("out.jsonl"), "word") as write:
            write(explanation)

    The file appears, or is replaced, when the block ends; after an exception everything is as before. A link stays,
    and the file that it leads to is replaced; a pipe or a device is written directly.

    Args:
      path: of a .jsonl, .csv or .html file in a directory that exists.
      level: "word" or "token", of .csv and .html; .jsonl holds both.
      kept: names of the input's columns that pass through, whose values `write(explanation, kept=...)` takes.

    Raises:
      InputError: the path cannot be written (known on entry where possible), the level is unknown, or a column that
        passes through has the name of a field.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        what, accepted = suffix or "a name without suffix", ", ".join(WRITERS)
        raise InputError(f"{path}: cannot write {what} text by text, as into a pipe or a device; accepted: {accepted}.")
    view.check_level(level)
    check_kept(kept)
    with new_text(path) as stream:
        writer = WRITERS[suffix](stream, level, kept=kept)

        def write(explanation: Explanation, **of_row: Any) -> None:
            with disk_faults(path):
                writer.write(explanation, **of_row)

        with disk_faults(path):
            writer.begin()
        yield write
        with disk_faults(path):
            writer.end()


def check_kept(kept: Sequence[str]) -> None:
    """Raises InputError for a column that passes through and has the name of a field."""
    for name in kept:
        if name in (*FIELDS, *ALIASES, "file"):
            raise InputError(f"--keep-columns {name}: the output has a field of this name already; rename the column.")


class Jsonl:
    """One object a line.

    `columns` are its fields, all by default; `kept` are the names of the input's columns that pass through. `ascii`
    writes other characters as JSON's escapes, for a stream that may be a terminal or not take them.
    """

    def __init__(
        self, stream: TextIO, level: str, columns: Sequence[str] = (), kept: Sequence[str] = (), ascii: bool = False
    ):
        self.stream, self.columns, self.kept, self.ascii = stream, columns, kept, ascii

    def begin(self) -> None:
        """Nothing precedes the first line."""

    def write(self, explanation: Explanation, file: str | None = None, kept: Sequence[Any] = ()) -> None:
        """Writes a line; `file` is the input file, `kept` the values that pass through."""
        values = explanation.to_dict()
        if self.columns:
            values["file"] = file
            values = {name: values[ALIASES.get(name, name)] for name in self.columns}
        values |= zip(self.kept, kept, strict=True)
        self.stream.write(f"{json.dumps(values, ensure_ascii=self.ascii, allow_nan=False, default=str)}\n")

    def end(self) -> None:
        """Nothing follows the last line."""


class EndsWithNewline:
    """A stream for csv.writer, which hands over a row at a time: the row then ends with a newline alone."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, row: str) -> int:
        """Writes a row."""
        return self.stream.write(f"{row[:-2]}\n")


class Csv:
    """One row for each word or word piece of each explanation; arguments as for Jsonl."""

    def __init__(self, stream: TextIO, level: str, columns: Sequence[str] = (), kept: Sequence[str] = ()):
        # A field that holds a character of the line's end is quoted: with "\n" alone, "\r" would be left as it is, and
        # readers end a line there.
        self.rows, self.level = csv.writer(EndsWithNewline(stream), lineterminator="\r\n"), level
        self.columns, self.kept = columns or csv_columns(level), kept
        every = (*csv_columns(level), *CSV_MORE, "file")
        values_of = {field.column: field.get for field in IN_FILES}
        self.values_of = [values_of[name] for name in OF_TEXT]
        self.places = [every.index(ALIASES.get(name, name)) for name in self.columns]

    def begin(self) -> None:
        """Writes the header."""
        self.rows.writerow([*self.columns, *map(cell, self.kept)])

    def write(self, explanation: Explanation, file: str | None = None, kept: Sequence[Any] = ()) -> None:
        """Writes the rows of an explanation."""
        of_text = [cell(value_of(explanation)) for value_of in self.values_of]
        passed = [cell(text_of(value)) for value in kept]
        last = cell(explanation.span_text), json.dumps(plain(explanation.diagnostics)), cell(file)
        rows = []
        for index, (text, score, segment, span) in enumerate(view.units(explanation, self.level)):
            start, end = span or (None, None)
            row = (*of_text, index, segment, cell(text), start, end, cell(score), *last)
            rows.append([*(row[place] for place in self.places), *passed])
        self.rows.writerows(rows)

    def end(self) -> None:
        """Nothing follows the last row."""


class Html:
    """A page over all explanations, which is made at the end; `kept` as for Jsonl."""

    def __init__(self, stream: TextIO, level: str, columns: Sequence[str] = (), kept: Sequence[str] = ()):
        from autorel_jax.evaluation.collection import Collection

        self.stream, self.level, self.kept = stream, level, kept
        self.collection = Collection()

    def begin(self) -> None:
        """Nothing yet: the page begins with what is known of all explanations."""

    def write(
        self, explanation: Explanation, file: str | None = None, kept: Sequence[Any] = (), label: str | None = None
    ) -> None:
        """Gathers an explanation; `label` is the true label of its text."""
        from autorel_jax.report.page.save import check_size

        record = explanation.to_dict() | ({} if file is None else {"file": file})
        self.collection.add(record | dict(zip(self.kept, kept, strict=True)), label)
        check_size(self.collection)

    def end(self) -> None:
        """Writes the page."""
        from autorel_jax.report.page.save import page

        self.stream.write(page(self.collection, self.level, self.collection.name_labels(False)))


def csv_columns(level: str) -> tuple[str, ...]:
    """The columns of a .csv of words or word pieces, in their order."""
    return (*OF_TEXT, "index", "segment", level, "start", "end", "relevance", "span_text")


CSV_MORE = ("diagnostics",)  # columns that a .csv has only on request
WRITERS = {".jsonl": Jsonl, ".csv": Csv, ".html": Html}


def text_of(value: Any) -> Any:
    """A value that passes through, as a cell: lists and objects as JSON."""
    if value is None or isinstance(value, str | int | float | Decimal):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | tuple | dict) else str(value)


def cell(value: Any) -> Any:
    """A value as a cell of .csv: text that a spreadsheet would run gets a ' in front, a number not finite is empty."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, int):  # may be larger than any float, as an id of .jsonl
        return value
    return None if value is None or not math.isfinite(value) else value
