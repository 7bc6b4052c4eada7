"""People: the words that people marked, and how far the scores of a method agree with them.

That is plausibility, not faithfulness: a model may well decide by other words than people do. The measures are those
of ERASER (DeYoung et al. 2020). U units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.faithfulness.asking import Measurement
from autorel_jax.faithfulness.curves import Scored, at_least, order
from autorel_jax.text.tokens import Tokens

MAJORITY = 0.5  # of those who marked a text
SAME = 0.5  # of the union of two spans that must be common to both


def words_of_first(tokens: Tokens) -> list[int]:
    """The places of the words of the text, or of a pair's first text, special tokens left out."""
    return [
        word
        for word, (span, segment) in enumerate(zip(tokens.word_spans, tokens.word_segments, strict=True))
        if span is not None and segment == 0
    ]


def marks_of(value: Any, tokens: Tokens, units: np.ndarray, count: int) -> np.ndarray | None:
    """Whether most people marked each unit [U], NaN for those of a pair's second text; None for no unit or for all.

    Args:
      value: 0 or 1 for each word of the text, or such a list of each of several people; None: not known.
      tokens: of the text.
      units: [T] the unit of each token.
      count: the words of the text before it was cut off.

    Raises:
      InputError: it is something else, or of another length than the text.
    """
    if value is None:
        return None
    try:
        people = np.array(value, float).reshape(-1, np.shape(value)[-1] if len(np.shape(value)) else 0)
    except (ValueError, TypeError):
        people = np.full((1, 1), np.nan)
    if not np.isin(people, (0, 1)).all() or np.ndim(value) not in (1, 2):
        raise InputError(
            f"the marks are {one_line(value, 60)}; expected 0 or 1 for each word, or a list of such lists."
        )
    if people.shape[1] != count:
        raise InputError(f"there are marks for {people.shape[1]} words, but the text has {count}.")
    first = words_of_first(tokens)
    marked = people.mean(axis=0) >= MAJORITY
    of_word = np.full(len(tokens.words), np.nan)
    of_word[first] = marked[: len(first)] if tokens.truncation_side == "right" else marked[count - len(first) :]
    marks = np.full(int(units.max(initial=-1)) + 1, np.nan)
    inside = units >= 0
    marks[units[inside]] = of_word[tokens.word_index[inside]]
    return marks if (marks == 1).any() and (marks == 0).any() else None


def people(text: Scored) -> Measurement:
    """The scores against the marks, where there are some."""
    yield from ()
    if text.marks is None:
        return {}
    known = ~np.isnan(text.marks)
    marked = text.marks[known] == 1
    among = Scored(text.scores[known], text.draws[known])
    chosen = np.zeros(len(marked), bool)
    chosen[order(among)[: at_least(np.array(text.share), len(marked))]] = True
    return {
        "token_f1": f1((chosen & marked).sum(), chosen.sum(), marked.sum()),
        "iou_f1": iou_f1(chosen, marked),
        "auprc": auprc(among.scores, marked),
    }


def f1(common: float, found: float, wanted: float) -> float:
    """The harmonic mean of common / found and common / wanted; 0 where there is nothing."""
    return float(2 * common / (found + wanted)) if found + wanted else 0.0


def spans(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of neighbours that are chosen [U], as (start, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def iou_f1(chosen: np.ndarray, marked: np.ndarray) -> float:
    """F1 of the chosen stretches, of which one is right that has half of its union with a marked one in common."""

    def same(a: tuple[int, int], b: tuple[int, int]) -> bool:
        common = min(a[1], b[1]) - max(a[0], b[0])
        return common > 0 and common / (max(a[1], b[1]) - min(a[0], b[0])) >= SAME

    ours, theirs = spans(chosen), spans(marked)
    right = sum(any(same(one, other) for other in theirs) for one in ours)
    return f1(right, len(ours), len(theirs))


def auprc(scores: np.ndarray, marked: np.ndarray) -> float:
    """The area under precision over recall, by straight lines between the scores that there are."""
    thresholds = np.unique(scores)[::-1]
    found = scores >= thresholds[:, None]
    right = (found & marked).sum(axis=1)
    precision, recall = right / found.sum(axis=1), right / marked.sum()
    return float(np.trapezoid(np.concatenate([[1.0], precision]), np.concatenate([[0.0], recall])))
