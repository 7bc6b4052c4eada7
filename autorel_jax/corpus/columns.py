"""Columns: rows and their explanations -> the columns of a table, as Arrow arrays.

The names are those of docs/output.md. Used by formats.py for .parquet and .npz. N explanations.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax.corpus import nested as inside
from autorel_jax.data.by_products import MARK
from autorel_jax.data.moments import are_moments, column_of
from autorel_jax.data.row import Row
from autorel_jax.report.explanation import Explanation
from autorel_jax.report.view import joined

if TYPE_CHECKING:
    import pyarrow

Pairs = Sequence[tuple[Row, Explanation]]
Span = tuple[int, int] | None

ID, TEXT, LABEL, COUNT, NUMBER = "id", "text", "label", "count", "number"  # one value a row
TEXTS, COUNTS, NUMBERS, SPANS, WINDOWS = "texts", "counts", "numbers", "spans", "windows"  # a list a row
COLUMNS: dict[str, tuple[str, Callable[[Row, Explanation], Any]]] = {  # name -> kind, value
    "file": (LABEL, lambda row, made: row.file),
    "id": (ID, lambda row, made: made.id),
    "text": (TEXT, lambda row, made: joined(made.text)),
    "text_pair": (TEXT, lambda row, made: None if made.text_pair is None else joined(made.text_pair)),
    "prediction": (LABEL, lambda row, made: made.prediction.label),
    "probability": (NUMBER, lambda row, made: made.prediction.probability),
    "target": (LABEL, lambda row, made: made.target),
    "target_logit": (NUMBER, lambda row, made: made.target_logit),
    "logits": (NUMBERS, lambda row, made: made.logits),
    "probabilities": (NUMBERS, lambda row, made: made.probabilities),
    "explained": (NUMBER, lambda row, made: made.explained),
    "tokens": (TEXTS, lambda row, made: made.tokens),
    "token_relevance": (NUMBERS, lambda row, made: made.token_relevance),
    "token_words": (COUNTS, lambda row, made: made.token_words),
    "token_spans": (SPANS, lambda row, made: made.token_spans),
    "words": (TEXTS, lambda row, made: made.words),
    "word_relevance": (NUMBERS, lambda row, made: made.word_relevance),
    "word_spans": (SPANS, lambda row, made: made.word_spans),
    "word_segments": (COUNTS, lambda row, made: made.word_segments),
    "truncated_tokens": (COUNT, lambda row, made: made.truncated_tokens),
    "warnings": (TEXTS, lambda row, made: made.warnings),
    "windows": (WINDOWS, lambda row, made: [dataclasses.asdict(window) for window in made.windows]),
    "diagnostics": (inside.MEASURED, lambda row, made: made.diagnostics),
    "ledger": (inside.LEDGER, lambda row, made: made.ledger),
    "readouts": (inside.READOUTS, lambda row, made: made.readouts),
}


def arrow_types(numbered: bool) -> dict[str, pyarrow.DataType]:
    """Kind -> Arrow type; `numbered`: ids are numbers of rows, not what an id column holds."""
    import pyarrow as pa

    spans = [("start", pa.int32()), ("end", pa.int32())]
    window = [*spans, ("weight", pa.float64()), ("logits", pa.list_(pa.float32()))]
    return {
        ID: pa.int64() if numbered else pa.string(),
        TEXT: pa.string(),
        LABEL: pa.string(),
        COUNT: pa.int32(),
        NUMBER: pa.float64(),
        TEXTS: pa.list_(pa.string()),
        COUNTS: pa.list_(pa.int32()),
        NUMBERS: pa.list_(pa.float32()),
        SPANS: pa.list_(pa.struct(spans)),
        WINDOWS: pa.list_(pa.struct(window)),
        **inside.arrow_types(),
    }


def schema(
    names: Sequence[str], kept: Mapping[str, pyarrow.DataType], numbered: bool, metadata: Mapping[str, Any]
) -> pyarrow.Schema:
    """The schema of a table: the columns of those names, then those that pass through, with their types."""
    import pyarrow as pa

    types = arrow_types(numbered)
    fields = [(name, types[COLUMNS[name][0]]) for name in names]
    return pa.schema([*fields, *kept.items()], {MARK: json.dumps(metadata)})


def table(pairs: Pairs, schema: pyarrow.Schema, kept: Sequence[str]) -> pyarrow.Table:
    """The rows and their explanations as a table of the schema; `kept` names what `Row.kept` holds."""
    import pyarrow as pa

    arrays = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        if name in kept:
            place = kept.index(name)
            arrays.append(passed([row.kept[place] for row, _ in pairs], kind))
        else:
            values = [COLUMNS[name][1](row, made) for row, made in pairs]
            arrays.append(array(values, COLUMNS[name][0], kind))
    return pa.table(arrays, schema=schema)


def array(values: list[Any], kind: str, made: pyarrow.DataType) -> pyarrow.Array:
    """One column: N values of that kind; lists become one array of all their items, cut by offsets."""
    import pyarrow as pa

    if kind == ID and pa.types.is_string(made):
        values = [str(value) for value in values]
    if kind in inside.KINDS:
        return inside.arrow_array(values, kind, made)
    if kind not in (NUMBERS, SPANS) or any(value is None for value in values):
        return pa.array(values, made)
    if kind == NUMBERS:
        flat = np.concatenate(values).astype(np.float32, copy=False) if values else np.zeros(0, np.float32)
        items = pa.array(flat)
    else:
        items = span_array(list(itertools.chain.from_iterable(values)), made.value_type)
    offsets = inside.offsets([len(value) for value in values])
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=made)


def span_array(spans: list[Span], made: pyarrow.DataType) -> pyarrow.Array:
    """Spans (start, end) as structs; None as null."""
    import pyarrow as pa

    absent = np.array([span is None for span in spans], bool)
    flat = itertools.chain.from_iterable(span or (0, 0) for span in spans)
    ends = np.fromiter(flat, np.int32, 2 * len(spans)).reshape(-1, 2)
    parts = [pa.array(ends[:, 0]), pa.array(ends[:, 1])]
    return pa.StructArray.from_arrays(parts, fields=list(made), mask=pa.array(absent))


def passed(values: list[Any], made: pyarrow.DataType) -> pyarrow.Array:
    """A column that passes through; in a column of strings, what is none is written as JSON."""
    import pyarrow as pa

    if are_moments(made):
        return column_of(values, made)
    if pa.types.is_string(made):
        values = [value if value is None or isinstance(value, str) else in_json(value) for value in values]
    return pa.array(values, made)


def in_json(value: Any) -> str:
    """A value of a column that passes through as text."""
    return json.dumps(value, ensure_ascii=False, default=str)
