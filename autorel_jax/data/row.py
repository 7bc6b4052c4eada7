"""Row: what every source gives, one text to explain, or Rejected in its place. Used wherever rows pass through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from autorel_jax.data.kinds import located
from autorel_jax.errors import InputError, one_line
from autorel_jax.foreign import lone_surrogate

Label = str | int | float | bool | tuple[str, ...] | None  # a tuple: a data set's class, as its name and "id:1"

# What a row's own values may cause, whatever reads, computes or writes them. Faults of the disk, of a device and of
# memory are not among them: those end a run, which can then go on.
ROW_FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Row:
    """One text to explain; a list of str is a text given as words (.jsonl and .parquet only)."""

    id: str | int  # from the id column; else the number from 1 of the line (.txt, .jsonl) or row (the others)
    text: str | list[str]
    pair: str | list[str] | None
    label: Label
    file: str | None = field(default=None, compare=False)  # where it comes from, as UTF-8 holds it; None: from no file
    line: int | None = field(default=None, compare=False)  # from 1, where it begins there; the row without lines
    kept: tuple[Any, ...] = ()  # values of the columns that pass through


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be explained, in its place among the others."""

    file: str | None
    line: int | None
    reason: str
    where: str = field(default="", compare=False)  # file and line, for messages

    @property
    def record(self) -> dict[str, Any]:
        """As JSON, a line of OUTPUT.rejected.jsonl."""
        return {"file": self.file, "line": self.line, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def reject(row: Row, reason: str) -> Rejected:
    """A row that turned out to be of no use."""
    where = located(row.file, row.line) if row.file else f"Text {row.id}"
    return Rejected(row.file, row.line, reason.removeprefix(f"{where}: "), where)


def reason_of(error: Exception, stage: str) -> str:
    """Why a row cannot be used: our own words, or of another of ROW_FAULTS its kind; `stage` says what was done."""
    if isinstance(error, InputError):
        return str(error)
    return f"it cannot be {stage} ({type(error).__name__}: {one_line(error)})."


@dataclass(frozen=True)
class Columns:
    """What is where in a table of rows: the names of its columns, None where there is none."""

    text: str = "text"
    pair: str | None = None
    label: str | None = None
    id: str | None = None
    keep: tuple[str, ...] = ()  # that pass through to the output
    format: str | None = None  # how the files are written, a name in data/rows.py; None: by the suffix
    delimiter: str | None = None  # between the columns; None: as the format has it
    header: tuple[str, ...] = ()  # the names of all columns of files that have no header

    def __post_init__(self):
        for name in filter(None, self.wanted):
            if fault := lone_surrogate(name):
                raise InputError(f"The name of the column {name!r} has {fault}; a name is text in UTF-8.")

    @property
    def wanted(self) -> tuple[str | None, ...]:
        """As the readers take them."""
        return (self.text, self.pair, self.label, self.id, *self.keep)

    @property
    def layout(self) -> list[Any]:
        """As JSON, how the files are written, where that was said; else empty."""
        said = [self.format, self.delimiter, list(self.header)]
        return [said] if any(said) else []
