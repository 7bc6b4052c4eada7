"""Nested: the ledgers, read-outs and diagnostics of explanations -> nested Arrow arrays, and arrays for NumPy.

A file has one method and one choice of read-outs, so all its explanations have the same names in them. Their meaning
is in docs/ledger.md. Used by columns.py and npz.py. N explanations, L layers, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.report.fields import DIAGNOSTICS, LEDGER, READOUTS
from autorel_jax.report.ledger import Ledger
from autorel_jax.report.readout_shapes import INTEGERS, SHAPES, TOKENS

if TYPE_CHECKING:
    import pyarrow

KINDS = (LEDGER, READOUTS, DIAGNOSTICS)  # of columns, each with one column of the same name
WITH_INSIDE = (".parquet", ".jsonl", ".npz")  # formats that hold ledgers and read-outs
TERMINAL = "the terminal"
SHOWN_IN = {LEDGER: (*WITH_INSIDE, ".html", TERMINAL), READOUTS: (*WITH_INSIDE, ".html")}  # kind -> outputs of any sort
SUMS = ("value", "words", "special_tokens", "positions", "segments", "function", "rounding")  # of a ledger
DEPTHS = {name: len(shape.axes) for name, shape in SHAPES.items()}  # read-out -> number of axes
BY_TEXT = tuple(name for name, shape in SHAPES.items() if shape.axes[-1] != TOKENS)  # as long for every text
LONGEST = 2**31 - 1  # items that an Arrow array of lists can hold


def not_in(flag: str, kind: str, accepted: Sequence[str]) -> InputError:
    """The error for a flag that asks for a column which the output cannot hold; `accepted` are outputs that can."""
    return InputError(f"{flag}: this kind of output has no {kind}; use {', '.join(accepted)}.")


def arrow_types() -> dict[str, pyarrow.DataType]:
    """Kind -> Arrow type."""
    import pyarrow as pa

    number = pa.float64()
    kept = pa.struct([("item", pa.string()), ("layer", pa.int32()), ("value", number)])
    sums = [(name, number) for name in SUMS]
    return {
        LEDGER: pa.struct([*sums, ("absorbed", pa.list_(kept)), ("conclusion", pa.string())]),
        READOUTS: pa.struct([(name, listed(name)) for name in DEPTHS]),
        DIAGNOSTICS: pa.list_(pa.struct([("name", pa.string()), ("value", number)])),
    }


def listed(name: str) -> pyarrow.DataType:
    """The type of a read-out: lists as deep as it has axes."""
    import pyarrow as pa

    arrow_type = pa.int32() if name in INTEGERS else pa.float32()
    for _ in range(DEPTHS[name]):
        arrow_type = pa.list_(arrow_type)
    return arrow_type


def arrow_array(values: Sequence[Any], kind: str, arrow_type: pyarrow.DataType) -> pyarrow.Array:
    """One column: N ledgers (None becomes null), mappings of read-outs (an empty one becomes null) or diagnostics."""
    import pyarrow as pa

    if kind == LEDGER:
        return pa.array([None if value is None else ledger_record(value) for value in values], arrow_type)
    if kind == DIAGNOSTICS:
        pairs = [[{"name": name, "value": number} for name, number in value.items()] for value in values]
        return pa.array(pairs, arrow_type)
    absent = np.array([not value for value in values], bool)
    fields = [readout([value.get(field.name) for value in values], field.type) for field in arrow_type]
    return pa.StructArray.from_arrays(fields, fields=list(arrow_type), mask=pa.array(absent))


def ledger_record(ledger: Ledger) -> dict[str, Any]:
    """A ledger as a struct, in which `absorbed` is a list of items at layers."""
    absorbed = [
        {"item": item, "layer": layer, "value": amount}
        for item, kept in ledger.absorbed.items()
        for layer, amount in enumerate(kept.tolist())
    ]
    sums = {name: getattr(ledger, name) for name in SUMS}
    return {**sums, "absorbed": absorbed, "conclusion": ledger.conclusion}


def readout(values: Sequence[np.ndarray | None], arrow_type: pyarrow.DataType) -> pyarrow.Array:
    """One read-out of N texts as nested lists, each level cut from one array of all items; nulls if not asked for."""
    import pyarrow as pa

    if not values or values[0] is None:
        return pa.nulls(len(values), arrow_type)
    levels = [arrow_type]
    while pa.types.is_list(levels[-1].value_type):
        levels.append(levels[-1].value_type)
    items = pa.array(np.concatenate([value.ravel() for value in values]), levels[-1].value_type)
    shapes = [value.shape for value in values]
    for axis, level in reversed(list(enumerate(levels))):
        lengths = np.repeat([shape[axis] for shape in shapes], [math.prod(shape[:axis]) for shape in shapes])
        items = pa.ListArray.from_arrays(pa.array(offsets(lengths)), items, type=level)
    return items


def offsets(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each list begins, and where the last one ends: [N + 1] int32."""
    ends = np.cumsum([0, *lengths], dtype=np.int64)
    if ends[-1] > LONGEST:
        raise InputError(f"A part of the output has {ends[-1]} numbers in one column; use fewer --part-rows.")
    return ends.astype(np.int32)


def numpy_arrays(values: Sequence[Any], kind: str) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """The arrays of a column: name, items, and if a text has several items, how many [N].

    Read-outs of tokens have tokens first: [Σ T, L, H]. No arrays without explanations, or if nothing was asked for.
    """
    if not values or not values[0]:
        return
    first = values[0]
    if kind == LEDGER:
        for name in SUMS:
            yield f"{kind}_{name}", np.array([getattr(value, name) for value in values], np.float64), None
        for item in first.absorbed:
            yield f"{kind}_absorbed_{item}", np.stack([value.absorbed[item] for value in values]), None
    elif kind == DIAGNOSTICS:
        for name in first:
            yield f"{kind}_{name}", np.array([value[name] for value in values], np.float64), None
    else:
        yield from numpy_readouts(values)


def numpy_readouts(values: Sequence[Mapping[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """As `numpy_arrays`, of read-outs."""
    for name in values[0]:
        arrays = [value[name] for value in values]
        if name in BY_TEXT:
            yield f"{READOUTS}_{name}", np.stack(arrays), None
        else:
            lengths = np.array([array.shape[-1] for array in arrays], np.int64)
            yield f"{READOUTS}_{name}", np.concatenate([np.moveaxis(array, -1, 0) for array in arrays]), lengths
