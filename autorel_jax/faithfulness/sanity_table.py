"""Sanity's table: how scores change with the model -> lines for a terminal. Used by sanity.py and tables.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CASCADING, INDEPENDENT, SEED, BFLOAT16, ALONE = KINDS = (
    "cascading",
    "independent",
    "other_model",
    "bfloat16",
    "alone",
)
ABOUT = {
    CASCADING: "parameters of this block and of all above it in disorder",
    INDEPENDENT: "parameters of this block in disorder",
    SEED: "another model of the same task",
    BFLOAT16: "matrix products in bfloat16",
    ALONE: "each text in a batch of its own, with other padding",
}


def lines(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of the entries of a record, for a terminal."""
    methods = list(dict.fromkeys(entry["method"] for entry in entries))
    yield "sanity: rank correlation of the scores with those of the model as it is, mean over texts"
    rows = [["", *methods]]
    by = {(entry["kind"], entry["what"], entry["method"]): entry for entry in entries}
    for kind, what in dict.fromkeys((entry["kind"], entry["what"]) for entry in entries):
        name = kind if kind == what else f"{kind} {what}"
        rows.append([name, *(cell(by[kind, what, method]) for method in methods)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
    for kind in dict.fromkeys(entry["kind"] for entry in entries):
        yield f"{kind}: {ABOUT[kind]}"


def cell(entry: Mapping[str, Any]) -> str:
    """A mean with its interval."""
    return "no text" if entry["mean"] is None else f"{entry['mean']:.3f} [{entry['low']:.3f} {entry['high']:.3f}]"
