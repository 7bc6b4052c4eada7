"""Output: Explanations, one by one -> a .jsonl, .csv or .html file that is there as a whole or not at all.

What the files hold is in docs/output.md. Used by cli/explain.py.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from autorel_jax.errors import InputError
from autorel_jax.files import disk_faults, new_text
from autorel_jax.report import view

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet may run a cell that begins so (OWASP, "CSV injection")


@contextlib.contextmanager
def open_writer(path: Path, level: str) -> Iterator[Callable[[Explanation], None]]:
    """The function that writes an explanation to a file, whose suffix decides the format.

        with open_writer(Path("out.jsonl"), "word") as write:
            write(explanation)

    The file appears, or is replaced, when the block ends; after an exception everything is as it was. A link stays,
    and the file it leads to is replaced; a pipe or a device is written to directly.

    Args:
      path: of a .jsonl, .csv or .html file in a directory that exists.
      level: "word" or "token", of .csv and .html; .jsonl holds both.

    Raises:
      InputError: the path cannot be written, as far as possible on entry, or there is no such level.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        what, accepted = suffix or "a name without suffix", ", ".join(WRITERS)
        raise InputError(f"{path}: cannot write {what} text by text, as into a pipe or a device; accepted: {accepted}.")
    view.check_level(level)
    with new_text(path) as stream:
        writer = WRITERS[suffix](stream, level)

        def write(explanation: Explanation) -> None:
            with disk_faults(path):
                writer.write(explanation)

        with disk_faults(path):
            writer.begin()
        yield write
        with disk_faults(path):
            writer.end()


class Jsonl:
    """One object a line.

    `columns` are the fields it has, all by default, and `kept` the names of values that pass through.
    """

    def __init__(self, stream: TextIO, level: str, columns: Sequence[str] = (), kept: Sequence[str] = ()):
        self.stream, self.columns, self.kept = stream, columns, kept

    def begin(self) -> None:
        """Nothing precedes the first line."""

    def write(self, explanation: Explanation, file: str | None = None, kept: Sequence[Any] = ()) -> None:
        """Writes a line; `file` is where the text comes from, `kept` what passes through."""
        values = explanation.to_dict()
        if self.columns:
            values["file"] = file
            values = {name: values[name] for name in self.columns}
        values |= zip(self.kept, kept, strict=True)
        self.stream.write(f"{json.dumps(values, ensure_ascii=False, allow_nan=False, default=str)}\n")

    def end(self) -> None:
        """Nothing follows the last line."""


class Csv:
    """One row for each word or word piece of each explanation; the choices are those of Jsonl."""

    def __init__(self, stream: TextIO, level: str, columns: Sequence[str] = (), kept: Sequence[str] = ()):
        self.rows, self.level = csv.writer(stream, lineterminator="\n"), level
        self.columns, self.kept = columns or csv_columns(level), kept
        self.places = [(*csv_columns(level), *CSV_MORE, "file").index(name) for name in self.columns]

    def begin(self) -> None:
        """Writes the header."""
        self.rows.writerow([*self.columns, *map(cell, self.kept)])

    def write(self, explanation: Explanation, file: str | None = None, kept: Sequence[Any] = ()) -> None:
        """Writes the rows of an explanation."""
        made = explanation.prediction
        whole = (explanation.id, explanation.target, explanation.target_logit, made.label, made.probability)
        passed = [cell(text_of(value)) for value in kept]
        whole, file = [cell(value) for value in whole], cell(file)
        diagnostics = explanation.diagnostics.items()
        measured = json.dumps({name: value if math.isfinite(value) else None for name, value in diagnostics})
        rows = []
        for index, (text, score, segment, span) in enumerate(view.units(explanation, self.level)):
            start, end = span or (None, None)
            row = (*whole, index, segment, cell(text), start, end, cell(score), measured, file)
            rows.append([*(row[place] for place in self.places), *passed])
        self.rows.writerows(rows)

    def end(self) -> None:
        """Nothing follows the last row."""


class Html:
    """A page, written piece by piece."""

    def __init__(self, stream: TextIO, level: str):
        self.stream, self.level, self.count = stream, level, 0

    def begin(self) -> None:
        """The page begins with its first explanation, which says what model it is of."""

    def write(self, explanation: Explanation) -> None:
        """Writes an explanation, and before the first one the beginning of the page."""
        from autorel_jax.report import html

        if not self.count:
            self.stream.write(html.head(explanation))
        self.stream.write(html.entry(explanation, self.level))
        self.count += 1

    def end(self) -> None:
        """Writes the end of the page."""
        from autorel_jax.report import html

        if not self.count:
            self.stream.write(html.head(None))
        self.stream.write(html.tail(self.count))


def csv_columns(level: str) -> tuple[str, ...]:
    """The columns of a .csv of words or word pieces, in their order."""
    head = ("id", "target", "target_logit", "prediction", "probability", "index", "segment", level)
    return (*head, "start", "end", "relevance")


CSV_MORE = ("diagnostics",)  # columns that a .csv has only where they are asked for
WRITERS = {".jsonl": Jsonl, ".csv": Csv, ".html": Html}


def text_of(value: Any) -> Any:
    """A value that passes through as a cell: lists and objects as JSON."""
    single = value is None or isinstance(value, str | int | float)
    return value if single else json.dumps(value, ensure_ascii=False, default=str)


def cell(value: Any) -> Any:
    """A value as a cell of .csv: text that a spreadsheet would run gets a ' in front, what is no number is empty."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, int):  # which may be larger than any float, as an id of .jsonl
        return value
    return None if value is None or not math.isfinite(value) else value
