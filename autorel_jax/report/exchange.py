"""Exchange: Explanations -> tables and records of other libraries, which are imported when they are asked for.

Used by results.py, whose methods they are. The page makes the same records of Argilla (page/export.js).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.report import colour, view

if TYPE_CHECKING:
    import pandas
    import polars
    import shap

    from autorel_jax.report.explanation import Explanation

OF_TEXT = ("id", "target", "target_value", "prediction", "probability")  # columns, the same in all rows of a text
QUESTION = "relevance"  # a span question of Argilla
EXTRAS = {"matplotlib": "plot", "pandas": "frames", "polars": "frames", "shap": "shap"}


def library(name: str) -> Any:
    """A library that is not required; InputError says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"This needs {name} ({one_line(error)}): pip install 'autorel-jax[{EXTRAS[name.split('.')[0]]}]'."
        ) from None


def rows(explanations: Sequence[Explanation], level: str) -> dict[str, list[Any]]:
    """The columns of a table with a row for each word or word piece, named as in `.csv` (docs/output.md)."""
    view.check_level(level)
    columns: dict[str, list[Any]] = {name: [] for name in columns_of(level)}
    for one in explanations:
        of_text = (one.id, one.target, one.target_value, one.prediction.label, one.prediction.probability)
        for index, (text, score, segment, span) in enumerate(view.units(one, level)):
            row = (*of_text, index, segment, text, *(span or (None, None)), float(score), one.span_text)
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return columns


def columns_of(level: str) -> tuple[str, ...]:
    """The columns of a table of words or word pieces, in their order."""
    return (*OF_TEXT, "index", "segment", level, "start", "end", "relevance", "span_text")


def to_pandas(explanations: Sequence[Explanation], level: str) -> pandas.DataFrame:
    """`rows` as a DataFrame; `start` and `end` are whole numbers that may be missing."""
    columns = rows(explanations, level)
    types = {"index": "int64", "segment": "int64", "start": "Int64", "end": "Int64"}
    types |= dict.fromkeys(("target_value", "probability", "relevance"), "float64")
    return library("pandas").DataFrame(columns).astype(types)


def to_polars(explanations: Sequence[Explanation], level: str) -> polars.DataFrame:
    """`rows` as a DataFrame; ids are strings where not all are numbers."""
    pl = library("polars")
    columns = rows(explanations, level)
    numbered = all(isinstance(one, int) for one in columns["id"])
    columns["id"] = columns["id"] if numbered else list(map(str, columns["id"]))
    types = dict.fromkeys(columns, pl.Float64) | dict.fromkeys(("index", "segment", "start", "end"), pl.Int64)
    types |= dict.fromkeys(("target", "prediction", level, "span_text"), pl.String)
    return pl.DataFrame(columns, schema=types | {"id": pl.Int64 if numbered else pl.String})


def to_shap(explanation: Explanation, level: str) -> shap.Explanation:
    """One text as a shap.Explanation: `values` [W] (or [T]) and, in `data`, the pieces of the text that have them.

    `base_values` is what the scores leave of the target's value, so that both add up to it. The pieces joined are the
    text, with special tokens in their places.
    """
    units = view.units(explanation, level)
    pieces = pieces_of(explanation, units)
    return library("shap").Explanation(
        values=np.array([float(unit.score) for unit in units]),
        base_values=explanation.target_value - explanation.explained,
        data=np.array(pieces, object),
        feature_names=[unit.text for unit in units],
    )


def all_to_shap(explanations: Sequence[Explanation], level: str) -> shap.Explanation:
    """Texts of different lengths as one shap.Explanation of N rows, one for each text and target."""
    each = [to_shap(one, level) for one in explanations]
    return library("shap").Explanation(
        values=ragged([one.values for one in each]),
        base_values=np.array([one.base_values for one in each]),
        data=ragged([one.data for one in each]),
        feature_names=ragged([np.array(one.feature_names, object) for one in each]),
        instance_names=[f"{one.id}: {one.target}" for one in explanations],
    )


def ragged(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of any lengths as an array of objects [N]."""
    made = np.empty(len(arrays), object)
    made[:] = arrays
    return made


def pieces_of(explanation: Explanation, units: Sequence[view.Unit]) -> list[str]:
    """For each unit its stretch of the text and the space behind it."""
    pieces: dict[int, str] = {}
    order = {id(unit): place for place, unit in enumerate(units)}
    last = None
    for passage in view.passages(explanation, units):
        for text, unit in passage:
            if unit is not None:
                last = order[id(unit)]
                pieces[last] = text
            elif last is not None:
                pieces[last] += text
        if last is not None and not pieces[last].endswith(" "):
            pieces[last] += " "
    return [pieces.get(place, unit.text) for place, unit in enumerate(units)]


def to_spans(explanation: Explanation, level: str) -> list[dict[str, Any]]:
    """The words of the text (not its pair) that a terminal would colour, with what they speak for.

    Each has `start` and `end` in characters of the text, `label` ("for positive", "against positive"), `score` (0 to
    1, of the text's strongest |score|), and `relevance`.
    """
    units = view.units(explanation, level)
    return [
        {
            "start": unit.span[0],
            "end": unit.span[1],
            "label": f"{'for' if unit.score > 0 else 'against'} {explanation.target}",
            "score": abs(strength),
            "relevance": float(unit.score),
        }
        for unit, strength in zip(units, colour.strengths(unit.score for unit in units), strict=True)
        if unit.span is not None and unit.segment == 0 and math.isfinite(strength) and abs(strength) >= colour.FAINT
    ]


def to_argilla(explanation: Explanation, level: str) -> dict[str, Any]:
    """A record of Argilla, as its `records.log` takes it, with a suggestion for the span question QUESTION."""
    spans = to_spans(explanation, level)
    place = "" if explanation.span is None else f" at {explanation.span[0]}"
    pair = {} if explanation.text_pair is None else {"text_pair": view.joined(explanation.text_pair)}
    value = [{name: span[name] for name in ("start", "end", "label", "score")} for span in spans]
    return {
        "id": f"{explanation.id}: {explanation.target}{place}",  # Argilla keeps one record of an id
        "fields": {"text": view.joined(explanation.text), **pair},
        "metadata": {"prediction": explanation.prediction.label},
        "suggestions": [{"question_name": QUESTION, "agent": explanation.model, "value": value}],
    }
