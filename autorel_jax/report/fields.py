"""Fields: a dataclass whose fields say what they mean -> where each value stands in a file, and as what.

`declared` describes a field once. From that come `Explanation.to_dict` (.jsonl), the columns of corpus/columns.py
(.parquet, .npz), the reader in saved.py and the tables of docs/output.md.
"""

import dataclasses
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from autorel_jax.report.json_values import plain, plain_ledger, plain_records, plain_spans

ID, TEXT, LABEL, COUNT, NUMBER = "id", "text", "label", "count", "number"  # kinds of one value
SPAN = "span"  # likewise
TEXTS, COUNTS, NUMBERS, SPANS, WINDOWS = "texts", "counts", "numbers", "spans", "windows"  # of a list
DIAGNOSTICS, LEDGER, READOUTS = "diagnostics", "ledger", "readouts"  # of an object; each is the kind of one field
OBJECT = "object"  # of any other object
JSON_TYPES = {  # kind -> the type in .jsonl, in words
    ID: "string or whole number",
    TEXT: "string or list of strings",
    LABEL: "string",
    COUNT: "whole number",
    NUMBER: "number",
    SPAN: "pair",
    TEXTS: "strings",
    COUNTS: "whole numbers",
    NUMBERS: "numbers",
    SPANS: "pairs or null",
    WINDOWS: "objects",
    DIAGNOSTICS: "object",
    LEDGER: "object",
    READOUTS: "object",
    OBJECT: "object",
}
TO_JSON = {SPANS: plain_spans, WINDOWS: plain_records, LEDGER: plain_ledger}  # kind -> conversion; `plain` for others
DECLARATION, PARTS = "declaration", "parts"  # keys of a dataclass field's metadata


class Declaration(NamedTuple):
    """What `declared` is told."""

    kind: str
    meaning: str
    path: str | None
    column: str | None
    each: str
    optional: bool
    numpy: bool


@dataclasses.dataclass(frozen=True)
class Field:
    """One value of an Explanation in files.

    Attributes:
      path: its keys in a line of .jsonl, one or two.
      column: its name in .parquet and .npz; None if it has no column.
      kind: one of the kinds above, which decides its type in each format.
      json_type: in words.
      meaning: in words, Markdown.
      get: Explanation -> the value.
      numpy: whether .npz holds it.
    """

    path: tuple[str, ...]
    column: str | None
    kind: str
    json_type: str
    meaning: str
    get: Callable[[Any], Any]
    numpy: bool = True

    @property
    def name(self) -> str:
        """The path as it is written in the documentation."""
        return ".".join(self.path)


def declared(
    kind: str,
    meaning: str,
    *,
    path: str | None = None,
    column: str | None = "",
    each: str = "",
    optional: bool = False,
    numpy: bool = True,
    **options: Any,
) -> Any:
    """A field of a dataclass that files hold.

    Args:
      kind: of its value.
      meaning: in words, for docs/output.md.
      path: its place in .jsonl, "a" or "a.b"; None for the name of the field.
      column: its name in tables; "" for the name of the field, None for no column.
      each: the letter for how many there are, for instance "T".
      optional: whether it can be None.
      numpy: whether .npz holds it.
      options: of `dataclasses.field`.
    """
    declaration = Declaration(kind, meaning, path, column, each, optional, numpy)
    return dataclasses.field(metadata={DECLARATION: declaration}, **options)


def parts(record: type) -> Any:
    """A field that holds a dataclass, whose own fields are declared."""
    return dataclasses.field(metadata={PARTS: record})


def fields_of(record: type, *above: str) -> Iterator[Field]:
    """The declared fields of a dataclass in their order; `above` are the names of the fields that lead to it."""
    for field in dataclasses.fields(record):
        names = (*above, field.name)
        if PARTS in field.metadata:
            yield from fields_of(field.metadata[PARTS], *names)
        elif DECLARATION in field.metadata:
            yield field_from(field.metadata[DECLARATION], names)


def field_from(declaration: Declaration, names: tuple[str, ...]) -> Field:
    """The Field of a declaration; `names` lead from the Explanation to its value."""
    path = tuple(declaration.path.split(".")) if declaration.path else names
    column = names[-1] if declaration.column == "" else declaration.column
    get = operator.attrgetter(".".join(names))
    return Field(path, column, declaration.kind, in_words(declaration), declaration.meaning, get, declaration.numpy)


def in_words(declaration: Declaration) -> str:
    """The type of a field in .jsonl."""
    words = f"{declaration.each} {JSON_TYPES[declaration.kind]}".strip()
    if not declaration.optional:
        return words
    return f"{words}, or null" if " or " in words else f"{words} or null"


def to_record(fields: tuple[Field, ...], explanation: Any) -> dict[str, Any]:
    """The values of the fields as JSON types, each under its path."""
    record: dict[str, Any] = {}
    for field in fields:
        convert, value = TO_JSON.get(field.kind, plain), field.get(explanation)
        if len(field.path) == 1:
            record[field.path[0]] = convert(value)
        else:
            record.setdefault(field.path[0], {})[field.path[1]] = convert(value)
    return record
