"""Cases: rows -> the texts that are measured, each with its units and its label. Used by run.py.

N texts, U units, T tokens.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.data.label_ids import is_missing
from autorel_jax.data.row import Rejected, Row, reject
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import prepared
from autorel_jax.faithfulness.config import CHANGED, MARKS, WORD, EvaluateConfig
from autorel_jax.faithfulness.people import marks_of, words_of_first
from autorel_jax.text import words
from autorel_jax.text.tokens import Tokens


class Case(NamedTuple):
    """One text to measure."""

    row: Row
    tokens: Tokens
    units: np.ndarray  # [T] the unit of each token; -1: none
    count: int  # U
    draws: np.ndarray  # [U] random numbers that break ties
    key: str  # of all that is read and taken away
    label: int | None  # of the row, the model's number
    marks: np.ndarray | None  # [U] whether people marked a unit

    def pooled(self, scores: np.ndarray) -> np.ndarray:
        """Scores of tokens [T] -> of units [U], in float64."""
        inside = self.units >= 0
        return np.bincount(self.units[inside], scores[inside].astype(np.float64), self.count)


def sampled(rows: Iterable[Row | Rejected], limit: int | None, seed: int) -> tuple[list[Row], list[Rejected], int]:
    """As many rows as `limit` says, drawn at random and in the order of the draw; rows left out; how many were read.

    A larger limit draws the same rows and more.
    """
    rng = np.random.default_rng(seed)
    rejected: list[Rejected] = []
    read = 0

    def drawn() -> Iterator[tuple[float, int, Row]]:
        nonlocal read
        for row in rows:
            read += 1
            if isinstance(row, Rejected):
                rejected.append(row)
            yield rng.random(), read, row

    usable = (item for item in drawn() if isinstance(item[2], Row))
    found = sorted(usable, key=_place) if limit is None else heapq.nsmallest(limit, usable, key=_place)
    return [row for _, _, row in found], rejected, read


def _place(item: tuple[float, int, Row]) -> tuple[float, int]:
    return item[:2]


def cases(
    rows: Sequence[Row], explainer: Explainer, config: EvaluateConfig, kept: Sequence[str] = (), labelled: bool = False
) -> tuple[list[Case], list[Rejected]]:
    """The rows as Cases, and those that cannot be: without a word, with marks that do not fit, with an unknown label.

    `kept` names what passes through with the rows; labels are read where they are `labelled`.
    """
    part = prepared(explainer, 0, rows)
    made, left_out = [], part.rejected
    for place in part.places:
        row, tokens = part.items[place], part.tokens[place]
        try:
            made.append(case(row, tokens, explainer, config, dict(zip(kept, row.kept, strict=True)), labelled))
        except InputError as error:
            left_out.append(reject(row, str(error)))
    return made, left_out


def case(
    row: Row, tokens: Tokens, explainer: Explainer, config: EvaluateConfig, kept: Mapping[str, Any], labelled: bool
) -> Case:
    """A row as a Case."""
    units = words.units(tokens, config.units == WORD)
    count = int(units.max(initial=-1)) + 1
    if not count:
        raise InputError("the text has no word that the model reads.")
    read = tokens.ids.tobytes() + tokens.types.tobytes()
    draws = np.random.default_rng([config.seed, zlib.crc32(read)]).random(count)
    grouped = tokens.word_index.tobytes()  # methods may take words away where the units are tokens
    key = hashlib.sha256(read + units.tobytes() + grouped).hexdigest()
    label = None if not labelled or is_missing(row.label) else explainer.row_label(row.label)
    check_copy(kept.get(CHANGED))
    marks = kept.get(MARKS)
    whole = tokens
    if marks is not None and tokens.truncated:
        (whole,) = explainer.classifier.tokenizer([row.text], max_length=sys.maxsize, **explainer.word_options)
    return Case(
        row, tokens, units, count, draws, key, label, marks_of(marks, tokens, units, len(words_of_first(whole)))
    )


def check_copy(copy: Any) -> None:
    """Raises InputError for a changed copy that is neither a text, nor its words, nor missing."""
    if not isinstance(copy, str | list | tuple) and not is_missing(copy):
        raise InputError(
            f"the changed copy is {one_line(copy, 40)} ({type(copy).__name__}); expected a text, its words, or nothing."
        )


def changed_case(of: Case, explainer: Explainer, config: EvaluateConfig, kept: Sequence[str]) -> Case | None:
    """The copy of a text with few other words; None where it has none that can be measured."""
    text = dict(zip(kept, of.row.kept, strict=True)).get(CHANGED)
    if not isinstance(text, str | list | tuple) or not text:
        return None
    text = list(text) if isinstance(text, tuple) else text  # a tuple of two may be a pair elsewhere
    row = dataclasses.replace(of.row, text=text, label=None, kept=())
    made, _ = cases([row], explainer, config)
    return made[0] if made else None
