"""Columns: rows and their explanations -> the columns of a table, as Arrow arrays.

The columns and their kinds are those that report/explanation.py declares. Used by formats.py for .parquet and .npz.
N explanations.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autorel_jax.corpus import nested
from autorel_jax.data import moments
from autorel_jax.data.by_products import MARK
from autorel_jax.data.row import Row
from autorel_jax.report import fields as kinds
from autorel_jax.report.explanation import ALIASES, IN_FILES, Explanation
from autorel_jax.report.saved import MADE_BY
from autorel_jax.report.view import joined

if TYPE_CHECKING:
    import pyarrow

Pairs = Sequence[tuple[Row, Explanation]]
Span = tuple[int, int] | None

FILE = "file"  # the one column that is of the row, not of its explanation
DIGITS = 12  # of a digest


class Column(NamedTuple):
    """How a column is made."""

    kind: str  # of report/fields.py
    values: Callable[[Pairs], list[Any]]
    numpy: bool = True  # whether .npz has it


def files(pairs: Pairs) -> list[str | None]:
    """The input file of each row."""
    return [row.file for row, _ in pairs]


def column_for(field: kinds.Field) -> Column:
    """The column of a declared field."""
    get = field.get
    return Column(field.kind, lambda pairs: [get(explanation) for _, explanation in pairs], field.numpy)


def makers(pairs: Pairs) -> list[str]:
    """What made the rows, the same for all: the method, and a digest of it with its rules and the model."""
    if not pairs:
        return []
    one = pairs[0][1]
    what = [one.weights_sha256, one.labels, one.method, one.parameters, one.rules]
    digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
    return [f"{one.method} {digest[:DIGITS]}"] * len(pairs)


COLUMNS = (
    {FILE: Column(kinds.LABEL, files)}
    | {field.column: column_for(field) for field in IN_FILES if field.column is not None}
    | {MADE_BY: Column(kinds.LABEL, makers, numpy=False)}
)


def column_of(name: str) -> Column:
    """The column of that name; a name of an older schema means today's."""
    return COLUMNS[ALIASES.get(name, name)]


def arrow_types(numbered: bool) -> dict[str, pyarrow.DataType]:
    """Kind -> Arrow type; `numbered`: ids are the numbers of rows, not the values of an id column."""
    import pyarrow as pa

    spans = [("start", pa.int32()), ("end", pa.int32())]
    window = [*spans, ("weight", pa.float64()), ("logits", pa.list_(pa.float32()))]
    return {
        kinds.ID: pa.int64() if numbered else pa.string(),
        kinds.TEXT: pa.string(),
        kinds.LABEL: pa.string(),
        kinds.COUNT: pa.int32(),
        kinds.NUMBER: pa.float64(),
        kinds.SPAN: pa.struct(spans),
        kinds.TEXTS: pa.list_(pa.string()),
        kinds.COUNTS: pa.list_(pa.int32()),
        kinds.NUMBERS: pa.list_(pa.float32()),
        kinds.SPANS: pa.list_(pa.struct(spans)),
        kinds.WINDOWS: pa.list_(pa.struct(window)),
        **nested.arrow_types(),
    }


def schema(
    names: Sequence[str], kept: Mapping[str, pyarrow.DataType], numbered: bool, metadata: Mapping[str, Any]
) -> pyarrow.Schema:
    """The schema of a table: the columns of those names, then the input's that pass through, with their types."""
    import pyarrow as pa

    types = arrow_types(numbered)
    fields = [(name, types[column_of(name).kind]) for name in names]
    return pa.schema([*fields, *kept.items()], {MARK: json.dumps(metadata)})


def table(pairs: Pairs, schema: pyarrow.Schema, kept: Sequence[str]) -> pyarrow.Table:
    """The rows and their explanations as a table of the schema; `kept` names what `Row.kept` holds."""
    import pyarrow as pa

    arrays = []
    for name, arrow_type in zip(schema.names, schema.types, strict=True):
        if name in kept:
            place = kept.index(name)
            arrays.append(passed([row.kept[place] for row, _ in pairs], arrow_type))
        else:
            column = column_of(name)
            arrays.append(array(column.values(pairs), column.kind, arrow_type))
    return pa.table(arrays, schema=schema)


def array(values: list[Any], kind: str, arrow_type: pyarrow.DataType) -> pyarrow.Array:
    """One column: N values of that kind; lists become one array of all their items, cut by offsets."""
    import pyarrow as pa

    if kind in nested.KINDS:
        return nested.arrow_array(values, kind, arrow_type)
    if kind not in (kinds.NUMBERS, kinds.SPANS) or any(value is None for value in values):
        return pa.array(simple(values, kind, arrow_type), arrow_type)
    if kind == kinds.NUMBERS:
        flat = np.concatenate(values).astype(np.float32, copy=False) if values else np.zeros(0, np.float32)
        items = pa.array(flat)
    else:
        items = span_array(list(itertools.chain.from_iterable(values)), arrow_type.value_type)
    offsets = nested.offsets([len(value) for value in values])
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=arrow_type)


def simple(values: list[Any], kind: str, arrow_type: pyarrow.DataType) -> list[Any]:
    """Values as types that Arrow converts by itself."""
    import pyarrow as pa

    if kind == kinds.ID and pa.types.is_string(arrow_type):
        return [str(value) for value in values]
    if kind == kinds.TEXT:
        return [None if value is None else joined(value) for value in values]
    if kind == kinds.SPAN:
        return [span and {"start": span[0], "end": span[1]} for span in values]
    if kind == kinds.WINDOWS:
        return [[dataclasses.asdict(window) for window in windows] for windows in values]
    return values


def span_array(spans: list[Span], arrow_type: pyarrow.DataType) -> pyarrow.Array:
    """Spans (start, end) as structs; None as null."""
    import pyarrow as pa

    absent = np.array([span is None for span in spans], bool)
    flat = itertools.chain.from_iterable(span or (0, 0) for span in spans)
    ends = np.fromiter(flat, np.int32, 2 * len(spans)).reshape(-1, 2)
    parts = [pa.array(ends[:, 0]), pa.array(ends[:, 1])]
    return pa.StructArray.from_arrays(parts, fields=list(arrow_type), mask=pa.array(absent))


def passed(values: list[Any], arrow_type: pyarrow.DataType) -> pyarrow.Array:
    """A column that passes through; in a column of strings, other values are written as JSON."""
    import pyarrow as pa

    if moments.are_moments(arrow_type):
        return moments.column_of(values, arrow_type)
    if pa.types.is_string(arrow_type):
        values = [value if value is None or isinstance(value, str) else in_json(value) for value in values]
    return pa.array(values, arrow_type)


def in_json(value: Any) -> str:
    """A value of a column that passes through as text: JSON, but a decimal number by its digits."""
    of_json = value is None or isinstance(value, bool | int | float | list | tuple | dict)
    return json.dumps(value, ensure_ascii=False, default=str) if of_json else str(value)
